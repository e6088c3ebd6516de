"""Questions to the API that must be answered, for tests of what it tells."""

import csv
import io
from typing import Any


async def ask(world: Any, path: str, status: int = 200, *, role: str = "viewer", **query: Any) -> Any:
    """The answer to a GET."""
    answer = await world.get(path, await world.signed_in(role), params=query)
    assert answer.status_code == status, answer.text
    return answer.json()


async def pages(world: Any, path: str, *, role: str = "viewer", limit: int = 1, **query: Any) -> list[Any]:
    """All items of a list, from pages of so many."""
    items: list[Any] = []
    cursor = None
    while True:
        page = await ask(world, path, role=role, limit=limit, **query, **({"cursor": cursor} if cursor else {}))
        items += page["items"]
        if (cursor := page["next_cursor"]) is None:
            return items


async def table(world: Any, path: str, **query: Any) -> list[dict[str, str]]:
    """The rows of a list as a CSV file, which must be whole."""
    answer = await world.get(path, await world.signed_in("viewer"), params={**query, "format": "csv"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-truncated"] == "false"
    return list(csv.DictReader(io.StringIO(answer.text)))
