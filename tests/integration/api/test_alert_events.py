"""What alert rules did, as the API tells it."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from asking import pages
from bench.plans import explain
from fleet import START, add_host, add_samples, add_stream
from infrawatch_api.store import alert_events
from infrawatch_common.alerts.rules import Severity

EVENTS = "/api/v1/alert-events"
RULES = [UUID(int=number + 1) for number in range(4)]
ANY = alert_events.Filters(None, None, None, None, None, None, None)


def event(number: int, fired_at: datetime, **columns: Any) -> dict[str, Any]:
    """A row; of every four one still fires, of every five one was late."""
    fires = number % 4 == 0
    return {
        "id": uuid4(),
        "alert_id": RULES[number % len(RULES)],
        "version": 1 + number % 2,
        "host_id": f"web-{number % 3}",
        "name": "cpu high",
        "metric": "cpu",
        "comparison": ">=",
        "threshold": 90.0,
        "severity": "critical" if number % 2 else "info",
        "since": fired_at - timedelta(minutes=5),
        "fired_at": fired_at,
        "value": 97.5,
        "found_at": fired_at + timedelta(seconds=1),
        "late": number % 5 == 0,
        "resolved_at": None if fires else fired_at + timedelta(minutes=1),
        "resolved_value": None if fires else 50.0,
        "resolved_reason": None if fires else "cleared",
        **columns,
    }


async def add(world: Any, rows: Sequence[dict[str, Any]]) -> None:
    records = [tuple(row.values()) for row in rows]
    await world.admin.copy_records_to_table("alert_events", records=records, columns=list(rows[0]))


@pytest.fixture
async def events(world: Any) -> list[dict[str, Any]]:
    """Some fired at the same moment; the newest first, as they are listed."""
    rows = [event(number, START + timedelta(minutes=number // 3)) for number in range(40)]
    await add(world, rows)
    return sorted(rows, key=lambda row: (row["fired_at"], row["id"]), reverse=True)


async def listed(world: Any, **query: Any) -> list[str]:
    return [item["id"] for item in await pages(world, EVENTS, limit=7, **query)]


def ids(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [str(row["id"]) for row in rows]


async def test_events_come_newest_first_in_pages_each_once(world: Any, events: list[dict[str, Any]]) -> None:
    assert await listed(world) == ids(events)


async def test_what_fires_meanwhile_does_not_disturb_the_pages(world: Any, events: list[dict[str, Any]]) -> None:
    viewer = await world.signed_in("viewer")
    first = (await world.get(EVENTS, viewer, params={"limit": 25})).json()
    await add(world, [event(0, START + timedelta(days=1))])

    second = (await world.get(EVENTS, viewer, params={"limit": 25, "cursor": first["next_cursor"]})).json()

    assert [item["id"] for item in first["items"] + second["items"]] == ids(events)
    assert second["next_cursor"] is None


async def test_events_are_filtered(world: Any, events: list[dict[str, Any]]) -> None:
    middle = START + timedelta(minutes=5)
    questions: list[tuple[dict[str, Any], Callable[[dict[str, Any]], bool]]] = [
        ({"host_id": "web-1"}, lambda row: row["host_id"] == "web-1"),
        ({"alert_id": str(RULES[2])}, lambda row: row["alert_id"] == RULES[2]),
        ({"severity": "critical"}, lambda row: row["severity"] == "critical"),
        ({"firing": True}, lambda row: row["resolved_at"] is None),
        ({"firing": False}, lambda row: row["resolved_at"] is not None),
        ({"late": True}, lambda row: row["late"]),
        ({"late": False}, lambda row: not row["late"]),
        ({"from": middle.isoformat()}, lambda row: row["fired_at"] >= middle),
        ({"to": middle.isoformat()}, lambda row: row["fired_at"] < middle),
        (
            {"from": "2026-11-22T11:02:00+01:00", "to": middle.isoformat(), "host_id": "web-2", "firing": False},
            lambda row: (
                START + timedelta(minutes=2) <= row["fired_at"] < middle
                and row["host_id"] == "web-2"
                and row["resolved_at"] is not None
            ),
        ),
        ({"host_id": "none"}, lambda _: False),
    ]
    for query, fits in questions:
        wanted = ids([row for row in events if fits(row)])
        assert await listed(world, **query) == wanted, query
        assert len(wanted) < len(events)


async def test_one_event_is_shown_whole(world: Any, events: list[dict[str, Any]]) -> None:
    await add(world, [event(0, START, metric="heartbeat", threshold=None, value=None, host_id="silent")])
    viewer = await world.signed_in("viewer")
    row = next(row for row in events if row["resolved_at"] is not None)

    shown = (await world.get(f"{EVENTS}/{row['id']}", viewer)).json()

    assert shown == {
        name: value.isoformat().replace("+00:00", "Z")
        if isinstance(value, datetime)
        else str(value)
        if isinstance(value, UUID)
        else value
        for name, value in row.items()
    } | {"diagnosis": None}
    (silent,) = (await world.get(EVENTS, viewer, params={"host_id": "silent"})).json()["items"]
    assert (silent["value"], silent["threshold"], silent["resolved_at"], silent["resolved_reason"]) == (None,) * 4


SILENT: dict[str, Any] = {
    "metric": "heartbeat",
    "threshold": None,
    "value": None,
    "host_id": "web-1",
    "since": START,
    "resolved_at": START + timedelta(minutes=10),
    "resolved_value": None,
    "resolved_reason": "heard",
    "late": False,
}


async def diagnosis(world: Any, **columns: Any) -> Any:
    row = event(1, START + timedelta(minutes=1), **(SILENT | columns))
    await add(world, [row])
    return (await world.get(f"{EVENTS}/{row['id']}", await world.signed_in("viewer"))).json()["diagnosis"]


async def test_a_silence_of_which_nothing_is_stored_was_the_hosts(world: Any) -> None:
    await add_host(world, "web-1")
    await add_samples(world, "web-1", -10, 0, 600, 610)
    found = await diagnosis(world)
    assert (found["kind"], found["seen"]["back_filled"], found["seen"]["first_at"]) == ("silent", 0, None)
    assert found["seen"]["found_after"] == 1
    assert (await diagnosis(world, host_id="purged"))["kind"] == "silent"


async def test_samples_that_came_later_say_that_the_host_was_alive(world: Any) -> None:
    await add_host(world, "web-1")
    await add_samples(world, "web-1", 0, 10, 20, 590, 600)
    found = await diagnosis(world)
    assert (found["kind"], found["seen"]["back_filled"]) == ("unreachable", 3)
    assert found["seen"]["first_at"] == "2026-11-22T10:00:10Z"
    assert found["because"].startswith("3 of its samples")


async def test_a_silence_that_was_over_when_it_was_found_is_ours(world: Any) -> None:
    found = await diagnosis(world, late=True, found_at=START + timedelta(hours=1))
    assert (found["kind"], found["seen"]["found_after"]) == ("our_lag", 3540)


async def test_records_refused_for_their_time_tell_of_the_clock(world: Any) -> None:
    await add_host(world, "web-1")
    await world.admin.execute(
        "INSERT INTO dead_letters"
        ' (service, topic, partition, "offset", appended_at, host_id, reason, detail, created_at)'
        " SELECT 'ingest', 't', 0, n, now(), 'web-1', 'in_future', '', $1::timestamptz + make_interval(mins => n)"
        " FROM generate_series(-5, 30) AS n",
        START,
    )
    found = await diagnosis(world)
    assert (found["kind"], found["seen"]["refused"]) == ("clock_skew", {"in_future": 9})


async def test_two_agents_under_one_name_are_told_as_a_clone(world: Any) -> None:
    await add_host(world, "web-1")
    await add_stream(world, "web-1")
    await add_stream(world, "web-1", begin=START + timedelta(minutes=1))
    assert (await diagnosis(world))["kind"] == "cloned"


async def test_an_event_that_is_not_there_is_a_404(world: Any) -> None:
    viewer = await world.signed_in("viewer")

    for event_id in (uuid4(), "x", "%00"):
        assert (await world.get(f"{EVENTS}/{event_id}", viewer)).status_code == 404


BAD: list[tuple[dict[str, Any], str]] = [
    ({"host_id": "a b"}, "host_id"),
    ({"alert_id": "x"}, "alert_id"),
    ({"severity": "bad"}, "severity"),
    ({"firing": "perhaps"}, "firing"),
    ({"late": "perhaps"}, "late"),
    ({"from": "yesterday"}, "from"),
    ({"to": "2026-11-22T10:00:00"}, "to"),
    ({"from": "2026-11-22T10:00:00Z", "to": "2026-11-22T10:00:00Z"}, "from"),
    ({"cursor": "x"}, "cursor"),
    ({"limit": 0}, "limit"),
]


async def test_bad_questions_are_refused_by_field(world: Any) -> None:
    viewer = await world.signed_in("viewer")
    for query, field in BAD:
        answer = await world.get(EVENTS, viewer, params=query)
        assert answer.status_code == 400, query
        assert [error["field"] for error in answer.json()["errors"]] == [field], query


async def test_a_page_is_found_by_an_index_whatever_is_asked(world: Any) -> None:
    rng = random.Random(5)
    rows = [
        event(
            number,
            START + timedelta(seconds=number),
            host_id="rare" if number == 3000 else f"host-{rng.randrange(200)}",
            alert_id=UUID(int=rng.randrange(200)),
            resolved_at=None if number % 1000 == 0 else START + timedelta(days=1),
            resolved_reason=None if number % 1000 == 0 else "cleared",
        )
        for number in range(20_000)
    ]
    await add(world, rows)
    await world.admin.execute("ANALYZE alert_events")
    middle, before = START + timedelta(seconds=10_000), (START + timedelta(seconds=15_000), UUID(int=0))

    questions: list[tuple[dict[str, Any], tuple[datetime, UUID] | None, int]] = [
        ({}, None, 20),
        ({}, before, 20),
        ({"start": middle, "end": START + timedelta(seconds=10_050)}, None, 20),
        ({"end": middle}, None, 20),
        ({"host_id": "rare"}, None, 20),
        ({"host_id": "rare"}, before, 20),
        ({"host_id": "host-7"}, None, 200),
        ({"host_id": "host-7", "start": middle}, before, 200),
        ({"host_id": "rare", "severity": Severity.INFO, "late": False}, None, 20),
        ({"firing": True}, None, 100),
        ({"firing": True}, before, 100),
        ({"firing": True, "host_id": "host-7"}, None, 200),
        ({"alert_id": UUID(int=7)}, None, 100),
        ({"alert_id": UUID(int=7)}, before, 100),
        ({"alert_id": UUID(int=777)}, None, 20),
        ({"alert_id": UUID(int=7), "firing": True}, None, 60),
    ]
    for filters, position, most in questions:
        statement, arguments = alert_events.question(replace(ANY, **filters), position, 50)
        # With the values and without: the server may plan a prepared statement either way.
        for mode in ("force_custom_plan", "force_generic_plan"):
            async with world.admin.transaction():
                await world.admin.execute(f"SET LOCAL plan_cache_mode = {mode}; PREPARE asked AS {statement}")
                values = ", ".join(f"'{value}'" for value in arguments)
                plan = await explain(world.admin, f"EXECUTE asked ({values})")
                await world.admin.execute("DEALLOCATE asked")
            assert "Seq Scan" not in plan.nodes, (filters, position, mode, plan)
            assert plan.buffers <= most, (filters, position, mode, plan)


async def test_a_purged_host_takes_its_events_with_it(world: Any, events: list[dict[str, Any]]) -> None:
    await add_host(world, "web-1")
    admin = await world.signed_in("admin")

    assert (await world.call("DELETE", "/api/v1/hosts/web-1?purge=true", admin)).status_code == 204

    assert await listed(world) == ids([row for row in events if row["host_id"] != "web-1"])
