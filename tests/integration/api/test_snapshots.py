"""Snapshots, as the API tells them."""

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from asking import ask
from drifting import history, said, snapshot
from fleet import add_host
from stack import Database

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OLD = said(packages={"dpkg": {"openssl": "3.0.15-1", "curl": "8.0"}}, env_vars={"LANG": "C.UTF-8", "API_TOKEN": "hush"})
NEW = replace(OLD, packages={"dpkg": {"openssl": "3.0.16-1", "curl": "8.0"}})
HOST = "/api/v1/hosts/web-1/snapshots"


def at(minutes: float) -> datetime:
    return START + minutes * MINUTE


def text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


@pytest.fixture
async def web(world: Any, database: Database) -> Any:
    """Seen with OLD at 0, 10 and 20, with NEW at 30 and 40, and with OLD again at 50; another host at 5."""
    states = [(0, OLD), (10, OLD), (20, OLD), (30, NEW), (40, NEW), (50, OLD)]
    world.ids = await history(database, "web-1", [(at(minutes), content) for minutes, content in states])
    await snapshot(database, "web-2", at(5), NEW)
    return world


async def test_what_is_reported_again_is_one_snapshot_and_the_newest_comes_first(web: Any) -> None:
    items = (await ask(web, HOST))["items"]

    told = [(item["id"], item["timestamp"], item["confirmed_at"], item["until"], item["changes"]) for item in items]
    assert told == [
        (str(web.ids[5]), text(at(50)), text(at(50)), None, 1),
        (str(web.ids[3]), text(at(30)), text(at(40)), text(at(50)), 1),
        (str(web.ids[0]), text(at(0)), text(at(20)), text(at(30)), 0),
    ]
    assert {(item["host_id"], item["packages"], item["env_vars"]) for item in items} == {("web-1", 2, 2)}


async def test_snapshots_come_in_pages_each_once(web: Any) -> None:
    found, cursor = [], None
    while True:
        page = await ask(web, HOST, limit=1, **({"cursor": cursor} if cursor else {}))
        found += [item["timestamp"] for item in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert found == [text(at(minutes)) for minutes in (50, 30, 0)]


RANGES: list[tuple[float | None, float | None, list[int]]] = [
    (None, 30, [0]),
    (None, 31, [30, 0]),
    (29, None, [50, 30, 0]),
    (30, None, [50, 30]),
    (45, 46, [30]),
    (60, None, [50]),
    (-20, -10, []),
    (-20, 1, [0]),
]


@pytest.mark.parametrize(("start", "end", "found"), RANGES)
async def test_a_range_asks_for_what_was_in_force_then(
    web: Any, start: float | None, end: float | None, found: list[int]
) -> None:
    query: dict[str, Any] = {
        name: text(at(value)) for name, value in (("from", start), ("to", end)) if value is not None
    }

    assert [item["timestamp"] for item in (await ask(web, HOST, **query))["items"]] == [text(at(one)) for one in found]


async def test_snapshots_can_be_had_as_a_file(web: Any) -> None:
    answer = await web.get(HOST, await web.signed_in("viewer"), params={"format": "csv"})

    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [row["timestamp"] for row in rows] == [text(at(minutes)) for minutes in (50, 30, 0)]
    assert answer.headers["content-disposition"] == 'attachment; filename="snapshots.csv"'


@pytest.mark.parametrize(
    ("minutes", "number", "certain"), [(0, 0, True), (20, 0, True), (25, 0, False), (30, 3, True), (99, 5, False)]
)
async def test_at_a_time_the_snapshot_in_force_is_told_and_whether_that_is_certain(
    web: Any, minutes: float, number: int, certain: bool
) -> None:
    found = await ask(web, f"{HOST}/at", time=text(at(minutes)))

    assert (found["id"], found["certain"], found["time"]) == (str(web.ids[number]), certain, text(at(minutes)))
    assert found["packages"] == (NEW if number == 3 else OLD).packages


async def test_without_a_time_it_is_now(web: Any) -> None:
    web.clock.now = at(35)

    assert (await ask(web, f"{HOST}/at"))["id"] == str(web.ids[3])


async def test_any_record_leads_to_the_snapshot_that_it_confirmed(web: Any) -> None:
    for number, run in ((0, 0), (1, 0), (2, 0), (3, 3), (4, 3), (5, 5)):
        found = await ask(web, f"/api/v1/snapshots/{web.ids[number]}")
        assert found["id"] == str(web.ids[run])
        assert found["os_info"] == OLD.os_info


async def test_records_of_one_time_lead_each_to_its_own_snapshot(world: Any, database: Database) -> None:
    for number, content in enumerate((OLD, OLD, NEW, NEW), 1):
        await snapshot(database, "web-1", START, content, id=UUID(int=number))

    found = [(await ask(world, f"/api/v1/snapshots/{UUID(int=number)}"))["id"] for number in (1, 2, 3, 4)]

    assert found == [str(UUID(int=number)) for number in (1, 1, 3, 3)]
    assert (await ask(world, f"{HOST}/at", time=text(START)))["id"] == found[3]


async def test_what_is_not_there_is_a_404_that_says_what(web: Any) -> None:
    await add_host(web, "empty")

    early = await ask(web, f"{HOST}/at", 404, time=text(at(-1)))
    assert early["detail"].endswith("its first is of 2026-11-22T10:00:00Z.")
    assert (await ask(web, "/api/v1/hosts/empty/snapshots/at", 404))["detail"].endswith("it has none.")
    for path in ("/api/v1/hosts/none/snapshots", "/api/v1/hosts/none/snapshots/at", "/api/v1/hosts/a b/snapshots"):
        assert (await ask(web, path, 404))["detail"] == "There is no such host."
    assert (await ask(web, f"/api/v1/snapshots/{uuid4()}", 404))["detail"] == "There is no such snapshot."
    assert (await ask(web, "/api/v1/hosts/empty/snapshots"))["items"] == []


async def test_bad_questions_are_refused_by_field(web: Any) -> None:
    for path, query, field in (
        (HOST, {"from": "yesterday"}, "from"),
        (HOST, {"to": "x"}, "to"),
        (HOST, {"from": text(at(1)), "to": text(at(1))}, "from"),
        (HOST, {"format": "xml"}, "format"),
        (HOST, {"cursor": "x"}, "cursor"),
        (f"{HOST}/at", {"time": "noon"}, "time"),
    ):
        assert [error["field"] for error in (await ask(web, path, 400, **query))["errors"]] == [field]
