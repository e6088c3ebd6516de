"""How hosts' configurations changed, as the API tells it."""

import csv
import io
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from bench.plans import explain
from drifting import history, said, snapshot
from fleet import add_change, add_host
from infrawatch_api.domain.drift_changes import ChangeState, DriftSeverity
from infrawatch_api.store import drift_changes
from infrawatch_common.drift.changes import Action, Category, Direction
from stack import Database

DRIFT = "/api/v1/drift"
START = datetime(2026, 11, 22, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PIP = {"python:/usr/bin/python3": {"pip": "23.0", "six": "1.16"}}
FIRST = said(packages={"dpkg": {"openssl": "3.0.15-1", "curl": "8.0"}}, env_vars={"LANG": "C", "API_TOKEN": "hush-1"})
SECOND = replace(FIRST, packages={"dpkg": {"openssl": "3.0.16-1", "nginx": "1.26"}, **PIP})
THIRD = replace(SECOND, env_vars={"LANG": "de_DE", "API_TOKEN": "hush-2"}, kernel="6.1.0-20-amd64")
HEADLINES = {
    "openssl (dpkg) upgraded: 3.0.15-1 to 3.0.16-1",
    "curl (dpkg) went: 8.0",
    "nginx (dpkg) came: 1.26",
    "all of python:/usr/bin/python3 came: 2 packages",
    "LANG changed: C to de_DE",
    "API_TOKEN changed",
    "the kernel changed: 6.1.0-18-amd64 to 6.1.0-20-amd64",
}


def at(minutes: float) -> datetime:
    return START + minutes * MINUTE


def text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


@pytest.fixture
async def web(world: Any, database: Database) -> Any:
    """web-1, of prod, changes at 30 and at 60; db-1, of nothing, upgrades openssl at 40, and web-2 at 41 to another."""
    world.clock.now = at(120)
    states = [(0, FIRST), (20, FIRST), (30, SECOND), (60, THIRD)]
    tags = {"env": "prod", "role": "web"}
    world.ids = await history(database, "web-1", [(at(minutes), content) for minutes, content in states], tags=tags)
    for host, minutes, version in (("db-1", 40, "3.0.16-1"), ("web-2", 41, "3.0.17-1")):
        after = replace(FIRST, packages={"dpkg": {"openssl": version, "curl": "8.0"}})
        await history(database, host, [(at(1), FIRST), (at(minutes), after)])
    return world


async def get(world: Any, path: str = DRIFT, status: int = 200, **query: Any) -> Any:
    answer = await world.get(path, await world.signed_in("viewer"), params=query)
    assert answer.status_code == status, answer.text
    return answer.json()


async def items(world: Any, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await get(world, **query))["items"]
    return found


async def test_changes_are_told_whole_newest_first(web: Any) -> None:
    found = await items(web, host_id="web-1")

    assert {item["sentence"] for item in found} == HEADLINES
    assert [item["at"] for item in found] == [text(at(60))] * 3 + [text(at(30))] * 4
    (openssl,) = [item for item in found if item["name"] == "openssl"]
    assert openssl == {
        "id": openssl["id"],
        "host_id": "web-1",
        "snapshot_id": str(web.ids[2]),
        "not_before": text(at(20)),
        "at": text(at(30)),
        "found_at": openssl["found_at"],
        "late": openssl["late"],
        "category": "package",
        "source": "dpkg",
        "name": "openssl",
        "action": "changed",
        "direction": "upgraded",
        "before": "3.0.15-1",
        "after": "3.0.16-1",
        "packages_before": None,
        "packages_after": None,
        "severity": "info",
        "reason": "packages change with every update",
        "hidden": False,
        "ignored_by": None,
        "state": "open",
        "verdict_reason": None,
        "verdict_at": None,
        "verdict_by": None,
        "expires_at": None,
        "sentence": "openssl (dpkg) upgraded: 3.0.15-1 to 3.0.16-1",
    }
    (source,) = [item for item in found if item["category"] == "source"]
    assert [source[name] for name in ("before", "after", "packages_before", "packages_after")] == [None] * 3 + [2]


async def test_secrets_are_in_no_answer_and_in_no_file(web: Any) -> None:
    viewer = await web.signed_in("viewer")
    (token,) = await items(web, name="API_TOKEN")
    assert (token["before"], token["after"]) == ("(hidden)", "(hidden)")

    for path in (
        *(DRIFT, f"{DRIFT}?format=csv", f"{DRIFT}/{token['id']}", "/api/v1/hosts/web-1/snapshots"),
        *("/api/v1/hosts/web-1/snapshots/at?time=2026-11-22T12:00:00Z", f"/api/v1/snapshots/{web.ids[0]}"),
        *(f"{DRIFT}/stories", f"{DRIFT}/compare?left=web-1@2026-11-22T10:01:00Z&right=web-1"),
        f"{DRIFT}/compare?left=web-1@2026-11-22T10:01:00Z&right=web-1&format=csv",
    ):
        answer = await web.get(path, viewer)
        assert answer.status_code == 200, path
        assert "hush" not in answer.text, path
        assert "API_TOKEN" in answer.text or path.endswith("/snapshots"), path


async def test_changes_are_filtered(web: Any) -> None:
    every = await items(web)
    assert len(every) == 9
    questions: list[tuple[dict[str, Any], Callable[[dict[str, Any]], bool]]] = [
        ({"host_id": "db-1"}, lambda one: one["host_id"] == "db-1"),
        ({"tag": "env:prod"}, lambda one: one["host_id"] == "web-1"),
        ({"tag": ["env:prod", "role:db"]}, lambda _: False),
        ({"snapshot_id": str(web.ids[3])}, lambda one: one["at"] == text(at(60))),
        ({"category": "package"}, lambda one: one["category"] == "package"),
        ({"category": ["env", "kernel"]}, lambda one: one["category"] in {"env", "kernel"}),
        ({"source": "dpkg"}, lambda one: one["source"] == "dpkg"),
        ({"source": ""}, lambda one: one["source"] == ""),
        ({"name": "openssl"}, lambda one: one["name"] == "openssl"),
        ({"name": "openss"}, lambda _: False),
        ({"name": "os_info"}, lambda _: False),
        ({"action": "added"}, lambda one: one["action"] == "added"),
        ({"direction": "upgraded"}, lambda one: one["direction"] == "upgraded"),
        ({"direction": "downgraded"}, lambda _: False),
        ({"severity": "warning"}, lambda one: one["severity"] == "warning"),
        ({"severity": ["warning", "critical"]}, lambda one: one["severity"] == "warning"),
        ({"state": "accepted"}, lambda _: False),
        ({"late": True}, lambda one: one["late"]),
        ({"late": False}, lambda one: not one["late"]),
        ({"from": text(at(41))}, lambda one: one["at"] >= text(at(41))),
        ({"to": text(at(41))}, lambda one: one["at"] < text(at(41))),
    ]
    for query, fits in questions:
        assert await items(web, **query) == [one for one in every if fits(one)], query
        assert len([one for one in every if fits(one)]) < len(every), query


async def test_what_is_ignored_is_listed_when_it_is_asked_for(web: Any) -> None:
    await web.admin.execute("UPDATE drift_changes SET severity = 'ignored' WHERE name = 'LANG'")

    assert len(await items(web)) == 8
    (hidden,) = await items(web, hidden=True)
    assert (hidden["name"], hidden["hidden"], hidden["severity"]) == ("LANG", True, "ignored")


async def test_a_state_is_what_was_said_until_it_expires(web: Any) -> None:
    user = await web.admin.fetchval("SELECT id FROM users WHERE email = $1", await web.add_user("operator"))
    for name, verdict, minutes in (
        ("curl", "accepted", None),
        ("nginx", "accepted", 121),
        ("LANG", "accepted", 120),
        ("API_TOKEN", "expired", None),
        ("kernel", "rejected", None),
    ):
        await web.admin.execute(
            "UPDATE drift_changes SET verdict = $2, verdict_reason = 'so', verdict_at = $3, verdict_by = $4,"
            " expires_at = $5 WHERE name = $1",
            *(name, verdict, at(100), user, None if minutes is None else at(minutes)),
        )
    for state, names in {
        "open": {"openssl", ""},
        "accepted": {"curl", "nginx"},
        "expired": {"LANG", "API_TOKEN"},
        "rejected": {"kernel"},
    }.items():
        found = await items(web, state=state)
        assert {one["name"] for one in found} == names
        assert {one["state"] for one in found} == {state}
    assert (await items(web, name="curl"))[0]["verdict_by"].startswith("operator-")


async def test_changes_come_in_pages_each_once(web: Any) -> None:
    every, found, cursor = await items(web), [], None
    while True:
        page = await get(web, limit=2, **({"cursor": cursor} if cursor else {}))
        found += page["items"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert found == every


async def test_a_file_holds_what_the_list_holds(web: Any) -> None:
    every = await items(web)
    viewer = await web.signed_in("viewer")
    for options in ({"params": {"format": "csv"}}, {"headers": {"Accept": "text/csv"}}):
        answer = await web.get(DRIFT, viewer, **options)
        rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        assert [(row["id"], row["sentence"], row["after"]) for row in rows] == [
            (one["id"], one["sentence"], one["after"] or "") for one in every
        ]
        assert answer.headers["x-truncated"] == "false"
        assert answer.headers["content-type"].startswith("text/csv")


async def test_a_file_that_is_cut_says_so(make_world: Any) -> None:
    world = await make_world(csv_rows_max=3, page_size=1, page_size_max=2)
    for number in range(5):
        await add_change(world, "web-1", f"package-{number}")

    answer = await world.get(DRIFT, await world.signed_in("viewer"), params={"format": "csv"})

    assert len(answer.text.splitlines()) == 1 + 3
    assert answer.headers["x-truncated"] == "true"


async def test_no_cell_of_a_file_is_a_formula(world: Any) -> None:
    for name in ("=HYPERLINK(1)", "+1", "-1", "@SUM(1)", " =1", "a;=1"):
        await add_change(world, "web-1", name, before=None, after='=cmd|" /C calc"!A0', source="=1+1")

    answer = await world.get(DRIFT, await world.signed_in("viewer"), params={"format": "csv"})

    for delimiter in ",;":
        cells = [cell for row in csv.reader(io.StringIO(answer.text, newline=""), delimiter=delimiter) for cell in row]
        assert not [cell for cell in cells if cell.lstrip(' "').startswith(("=", "+", "-", "@", "\t"))]


async def test_a_change_is_told_with_verdicts_snapshots_and_who_else_came_to_the_same(web: Any) -> None:
    (openssl,) = await items(web, host_id="web-1", name="openssl")
    for verdict, minutes in (("accepted", 70), ("rejected", 80)):
        await web.admin.execute(
            "INSERT INTO drift_verdicts (change_id, host_id, verdict, reason, at) VALUES ($1, 'web-1', $2, 'so', $3)",
            *(UUID(openssl["id"]), verdict, at(minutes)),
        )

    found = await get(web, f"{DRIFT}/{openssl['id']}")

    assert {name: found[name] for name in openssl} == openssl
    said = [(one["verdict"], one["reason"], one["at"], one["by"]) for one in found["verdicts"]]
    assert said == [("accepted", "so", text(at(70)), None), ("rejected", "so", text(at(80)), None)]
    assert found["snapshot_before"]["id"] == str(web.ids[0])
    assert found["snapshot_after"]["id"] == str(web.ids[2])
    assert found["other_hosts"] == 1  # web-2 came to another version

    web.clock.now = at(40) + timedelta(days=7, seconds=1)
    assert (await get(web, f"{DRIFT}/{openssl['id']}"))["other_hosts"] == 0


async def test_a_change_whose_snapshots_are_gone_is_still_told(world: Any) -> None:
    found = await get(world, f"{DRIFT}/{await add_change(world, 'web-1')}")

    assert (found["snapshot_before"], found["snapshot_after"], found["verdicts"]) == (None, None, [])


async def test_a_change_that_is_not_there_is_a_404(world: Any) -> None:
    for change_id in (uuid4(), "x"):
        await get(world, f"{DRIFT}/{change_id}", 404)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"host_id": "a b"}, "host_id"),
    ({"tag": "prod"}, "tag"),
    ({"snapshot_id": "x"}, "snapshot_id"),
    ({"category": "x"}, "category"),
    ({"name": ""}, "name"),
    ({"name": "a\0"}, "name"),
    ({"source": "a\0"}, "source"),
    ({"action": "x"}, "action"),
    ({"direction": "x"}, "direction"),
    ({"severity": "x"}, "severity"),
    ({"state": "x"}, "state"),
    ({"hidden": "x"}, "hidden"),
    ({"late": "x"}, "late"),
    ({"from": "x"}, "from"),
    ({"to": "x"}, "to"),
    ({"format": "x"}, "format"),
    ({"cursor": "x"}, "cursor"),
    ({"limit": 0}, "limit"),
]


async def test_bad_questions_are_refused_by_field(world: Any) -> None:
    for query, field in BAD:
        fields = [error["field"].partition("[")[0] for error in (await get(world, status=400, **query))["errors"]]
        assert fields == [field], query


async def test_a_page_is_found_by_an_index_whatever_is_asked(world: Any) -> None:
    rng = random.Random(7)
    await add_host(world, "rare", tags={"env": "lab"})
    await world.admin.execute(
        "INSERT INTO drift_changes (id, host_id, snapshot_id, not_before, at, category, source, name, subject, action,"
        " before, after, severity, reason, found_at, late) SELECT gen_random_uuid(), CASE n WHEN 3000 THEN 'rare'"
        " ELSE 'host-' || n % 200 END, md5((n / 5)::text)::uuid, $1, $1::timestamptz + make_interval(secs => n),"
        " 'package', 'dpkg', 'p' || n % 997, decode(md5((n % 997)::text), 'hex'), 'changed', '\"1\"', '\"2\"',"
        " 'info', 'x', $1, FALSE FROM generate_series(1, 20000) AS n",
        START,
    )
    await world.admin.execute(
        "INSERT INTO facts (key, subject, category, source, name, value) SELECT decode(md5('k' || n), 'hex'),"
        " decode(md5((n % 997)::text), 'hex'), 'package', 'dpkg', 'p' || n % 997, n::text"
        " FROM generate_series(1, 2991) AS n"
    )
    await world.admin.execute("ANALYZE drift_changes; ANALYZE facts; ANALYZE hosts")
    before = (START + timedelta(seconds=rng.randrange(10_000, 20_000)), UUID(int=0))
    middle = START + timedelta(seconds=10_000)
    questions: list[tuple[dict[str, Any], tuple[datetime, UUID] | None, int]] = [
        ({}, None, 20),
        ({}, before, 20),
        ({"start": middle, "end": middle + timedelta(seconds=40)}, None, 20),
        ({"host_id": "rare"}, None, 20),
        ({"host_id": "host-7"}, None, 200),
        ({"host_id": "host-7", "categories": [Category.PACKAGE], "action": Action.CHANGED}, before, 200),
        ({"name": "p5"}, None, 60),
        ({"name": "p5", "direction": Direction.UPGRADED}, before, 60),
        ({"name": "none"}, None, 20),
        ({"snapshot_id": uuid4()}, None, 20),
        ({"severities": [DriftSeverity.INFO], "state": ChangeState.OPEN}, before, 20),
        ({"late": False, "source": "dpkg", "state": ChangeState.OPEN}, None, 20),
    ]
    for filters, position, most in questions:
        statement, arguments = drift_changes.question(drift_changes.Filters(**filters), position, 50, START)
        plan = await explain(world.admin, statement, *arguments)
        assert plan.buffers <= most, (filters, position, plan)


async def test_a_late_snapshot_is_found_late_and_listed_in_its_place(web: Any, database: Database) -> None:
    between = replace(FIRST, kernel="6.1.0-19-amd64")
    await snapshot(database, "web-1", at(10), between, found_at=at(110))

    late = await items(web, late=True, category="kernel", host_id="web-1")

    assert [one["at"] for one in late] == [text(at(20)), text(at(10))]
