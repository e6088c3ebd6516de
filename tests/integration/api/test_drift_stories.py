"""What went back and forth, as the API tells it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from drifting import history, said, snapshot
from fleet import add_change
from stack import Database

STORIES = "/api/v1/drift/stories"
START = datetime(2026, 11, 22, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
A = said(packages={"dpkg": {"openssl": "1"}}, env_vars={"API_TOKEN": "hush-1"})
B = said(packages={"dpkg": {"openssl": "2"}}, env_vars={"API_TOKEN": "hush-1"})


def at(hours: float) -> datetime:
    return START + hours * HOUR


def text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


@pytest.fixture
async def flapping(world: Any, database: Database) -> Any:
    """openssl of web-1 goes 1, 2, 1 within two hours, and to 2 for good two days later; db-1 upgrades once."""
    world.clock.now = at(72)
    await history(database, "web-1", [(at(0), A), (at(1), B), (at(2), A), (at(50), B)], tags={"env": "prod"})
    await history(database, "db-1", [(at(0), A), (at(3), B)])
    return world


async def stories(world: Any, **query: Any) -> list[dict[str, Any]]:
    answer = await world.get(STORIES, await world.signed_in("viewer"), params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_what_goes_back_and_forth_is_one_story_and_what_follows_much_later_another(flapping: Any) -> None:
    found = await stories(flapping)

    told = [(one["host_id"], one["since"], one["until"], one["changes"], one["returned"]) for one in found]
    assert told == [
        ("web-1", text(at(50)), text(at(50)), 1, False),
        ("db-1", text(at(3)), text(at(3)), 1, False),
        ("web-1", text(at(1)), text(at(2)), 2, True),
    ]
    flap = found[2]
    assert (flap["first"], flap["last"], flap["values"]) == ("1", "1", ["1", "2"])
    assert flap["sentence"] == ("openssl (dpkg) downgraded: 2 to 1; the last of 2 changes, it is as it was before them")
    assert [(step["at"], step["direction"], step["before"], step["after"]) for step in flap["steps"]] == [
        (text(at(1)), "upgraded", "1", "2"),
        (text(at(2)), "downgraded", "2", "1"),
    ]
    assert found[0]["sentence"] == "openssl (dpkg) upgraded: 1 to 2"


async def test_the_steps_of_a_story_are_the_changes_themselves(flapping: Any) -> None:
    viewer = await flapping.signed_in("viewer")
    for story in await stories(flapping):
        for step in story["steps"]:
            change = (await flapping.get(f"/api/v1/drift/{step['id']}", viewer)).json()
            assert {name: change[name] for name in step} == step
            assert change["host_id"] == story["host_id"]


async def test_the_window_says_what_belongs_together(flapping: Any) -> None:
    def lengths(found: list[dict[str, Any]]) -> list[int]:
        return [one["changes"] for one in found if one["host_id"] == "web-1"]

    assert lengths(await stories(flapping, window="PT59M")) == [1, 1, 1]
    assert lengths(await stories(flapping, window="1h")) == [1, 2]
    assert lengths(await stories(flapping, window="P2D")) == [3]


async def test_stories_are_filtered(flapping: Any) -> None:
    def keys(found: list[dict[str, Any]]) -> list[tuple[str, int]]:
        return [(one["host_id"], one["changes"]) for one in found]

    assert keys(await stories(flapping, flapping=True)) == [("web-1", 2)]
    assert keys(await stories(flapping, host_id="db-1")) == [("db-1", 1)]
    assert keys(await stories(flapping, tag="env:prod")) == [("web-1", 1), ("web-1", 2)]
    assert keys(await stories(flapping, name="curl")) == []
    assert keys(await stories(flapping, category="package", source="dpkg", name="openssl", to=text(at(3)))) == [
        ("web-1", 2)
    ]
    assert keys(await stories(flapping, category="env")) == []
    await flapping.admin.execute("UPDATE drift_changes SET severity = 'ignored' WHERE host_id = 'web-1'")
    assert keys(await stories(flapping)) == [("db-1", 1)]


async def test_a_story_that_began_before_the_range_says_so(flapping: Any) -> None:
    (late, early) = await stories(flapping, host_id="web-1", **{"from": text(at(1.5))})

    assert (early["changes"], early["began_before"]) == (1, True)
    assert (late["changes"], late["began_before"]) == (1, False)
    assert not any(one["began_before"] for one in await stories(flapping))
    await flapping.admin.execute("UPDATE drift_changes SET severity = 'ignored' WHERE at = $1", at(1))
    assert not any(one["began_before"] for one in await stories(flapping, **{"from": text(at(1.5))}))


async def test_stories_come_in_pages_each_once(flapping: Any) -> None:
    viewer, found, cursor = await flapping.signed_in("viewer"), [], None
    while True:
        params = {"limit": 1, **({"cursor": cursor} if cursor else {})}
        page = (await flapping.get(STORIES, viewer, params=params)).json()
        found += page["items"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert found == await stories(flapping)


async def test_secret_values_are_told_apart_and_not_shown(world: Any, database: Database) -> None:
    world.clock.now = at(3)
    states = [(at(hours), replace(A, env_vars={"API_TOKEN": f"hush-{hours % 2}"})) for hours in range(3)]
    await history(database, "web-1", states)

    (story,) = await stories(world)

    assert (story["returned"], story["first"], story["last"]) == (True, "(hidden)", "(hidden)")
    assert story["values"] == ["(hidden)", "(hidden)"]
    assert "hush" not in str(story)


async def test_sources_that_come_and_go_are_compared_whole_and_told_as_numbers(world: Any, database: Database) -> None:
    world.clock.now = at(9)

    def with_pip(**packages: str) -> Any:
        return replace(A, packages={**A.packages, "python:/venv": packages})

    states = [with_pip(pip="1", six="1"), A, with_pip(pip="1", six="1"), A, with_pip(pip="2", six="1")]
    await history(database, "web-1", [(at(hours), content) for hours, content in enumerate(states)])
    (story,) = await stories(world, category="source")
    (shorter,) = await stories(world, category="source", to=text(at(2.5)))

    assert (story["changes"], story["returned"]) == (4, False)
    assert (shorter["changes"], shorter["returned"]) == (2, True)
    assert story["values"] == ["2 packages", None, "2 packages"]
    assert [(step["packages_before"], step["packages_after"]) for step in shorter["steps"]] == [(2, None), (None, 2)]


async def test_what_changes_twice_at_one_time_is_told_twice(world: Any, database: Database) -> None:
    world.clock.now = at(9)
    for hours, content, identifier in ((0, A, UUID(int=1)), (1, B, UUID(int=2)), (1, A, UUID(int=3))):
        await snapshot(database, "web-1", at(hours), content, id=identifier)

    (story,) = await stories(world)

    assert (story["changes"], story["returned"], story["since"], story["until"]) == (2, True, text(at(1)), text(at(1)))
    assert len({step["id"] for step in story["steps"]}) == 2


async def test_a_range_with_too_many_changes_is_refused(make_world: Any) -> None:
    world = await make_world(story_changes_max=2)
    for number in range(3):
        await add_change(world, "web-1", f"package-{number}", at=world.clock.now - HOUR)
    viewer = await world.signed_in("viewer")

    answer = await world.get(STORIES, viewer)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["message"].startswith("should be later: there are more than 2 changes")


async def test_bad_questions_are_refused_by_field(world: Any) -> None:
    viewer = await world.signed_in("viewer")
    for query, field in (
        ({"window": "long"}, "window"),
        ({"window": "P91D"}, "window"),
        ({"flapping": "x"}, "flapping"),
        ({"from": "2200-01-01T00:00:00Z"}, "from"),
        ({"from": "2199-01-01T00:00:00Z"}, "from"),
        ({"tag": "x"}, "tag"),
        ({"cursor": "x"}, "cursor"),
    ):
        answer = await world.get(STORIES, viewer, params=query)
        assert [error["field"] for error in answer.json()["errors"]] == [field], query
