"""Before this alert: what changed on its host, and how others fared with the same."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from bench.plans import explain
from drifting import history, said
from fleet import add_change
from infrawatch_api.store import alert_events, drift_peers
from stack import Database

FIRED = datetime(2026, 11, 22, 3, 5, tzinfo=UTC)
SINCE = FIRED - timedelta(minutes=5)
MINUTE = timedelta(minutes=1)
RULE = UUID(int=7)
OLD = said(packages={"dpkg": {"openssl": "3.0.15-1", "curl": "8.0"}}, env_vars={"API_TOKEN": "hush-1"})
NEW = replace(OLD, packages={"dpkg": {"openssl": "3.0.16-1", "curl": "8.0"}})


def before(minutes: float) -> datetime:
    return SINCE - minutes * MINUTE


def text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


async def add_event(world: Any, host_id: str, fired_at: datetime = FIRED, alert_id: UUID = RULE) -> UUID:
    event_id = uuid4()
    await world.admin.execute(
        "INSERT INTO alert_events (id, alert_id, version, host_id, name, metric, comparison, threshold, severity,"
        " since, fired_at, value, found_at, late) VALUES ($1, $2, 1, $3, 'cpu high', 'cpu', '>=', 90, 'critical', $4,"
        " $5, 97, $5, FALSE)",
        *(event_id, alert_id, host_id, fired_at - timedelta(minutes=5), fired_at),
    )
    return event_id


async def ask(world: Any, event_id: UUID, status: int = 200, **query: Any) -> Any:
    answer = await world.get(f"/api/v1/alert-events/{event_id}/drift", await world.signed_in("viewer"), params=query)
    assert answer.status_code == status, answer.text
    return answer.json()


async def told(world: Any, event_id: UUID, **query: Any) -> list[str]:
    return [item["sentence"] for item in (await ask(world, event_id, **query))["items"]]


@pytest.fixture
async def night(world: Any, database: Database) -> Any:
    """web-1 upgrades 12 minutes before its alert. So did three others before, and one after; one to another version.

    web-2 had the same alert within the hour. web-3 had another before its change was seen, but not before it may have
    happened, as web-4 had.
    """
    await history(database, "web-1", [(before(60 * 30), OLD), (before(22), OLD), (before(12), NEW), (before(2), NEW)])
    for host, minutes in (("web-2", 600), ("web-3", 500), ("web-4", 400), ("web-5", -300)):
        await history(database, host, [(before(60 * 30), OLD), (before(minutes + 10), OLD), (before(minutes), NEW)])
    other = replace(OLD, packages={"dpkg": {"openssl": "3.0.17-1", "curl": "8.0"}})
    await history(database, "web-6", [(before(60 * 30), OLD), (before(90), other)])
    world.same = await add_event(world, "web-2", before(560))
    world.another = await add_event(world, "web-3", before(505), UUID(int=8))
    await add_event(world, "web-4", before(411), UUID(int=8))
    await add_event(world, "web-6", before(80))
    world.event = await add_event(world, "web-1")
    return world


async def test_a_change_before_an_alert_is_told_with_how_others_fared(night: Any) -> None:
    found = await ask(night, night.event)

    assert found["summary"] == (
        "1 change from 24 hours before it until it fired. The host was last seen 2 minutes before it: what changed"
        " later is not known."
    )
    assert (found["looked_from"], found["seen_at"]) == (text(before(24 * 60)), text(before(2)))
    (item,) = found["items"]
    assert item["seconds_before"] == 720
    assert item["summary"] == (
        "openssl (dpkg) upgraded: 3.0.15-1 to 3.0.16-1, 12 minutes before; 4 other hosts came to the same, 3 of them"
        " earlier; 2 had alerts within 24 hours of it, 1 of them this one"
    )
    others = item["others"]
    assert [others[name] for name in ("hosts", "more", "earlier", "with_alerts", "with_this_alert")] == [
        4,
        False,
        3,
        2,
        1,
    ]
    assert others["first_hosts"] == [
        {"host_id": host, "at": text(before(minutes))}
        for host, minutes in (("web-2", 600), ("web-3", 500), ("web-4", 400), ("web-5", -300))
    ]
    assert [(alert["id"], alert["host_id"]) for alert in others["first_alerts"]] == [
        (str(night.same), "web-2"),
        (str(night.another), "web-3"),
    ]


async def test_hours_say_how_far_to_look(night: Any) -> None:
    near = await ask(night, night.event, hours=1)
    others = near["items"][0]["others"]
    assert (others["hosts"], others["with_alerts"], others["with_this_alert"]) == (4, 2, 1)
    await add_event(night, "web-4", before(400 - 61))
    assert (await ask(night, night.event, hours=1))["items"][0]["others"]["with_alerts"] == 2
    assert (await ask(night, night.event, hours=2))["items"][0]["others"]["with_alerts"] == 3
    await night.admin.execute("UPDATE drift_changes SET at = $1 WHERE host_id = 'web-1'", before(61))
    assert await told(night, night.event, hours=1) == []
    assert len(await told(night, night.event, hours=2)) == 1


async def test_what_is_seen_after_the_firing_may_have_happened_before_it(world: Any) -> None:
    event = await add_event(world, "web-1")

    async def seen(not_before: float, at: float) -> list[Any]:
        await world.admin.execute("TRUNCATE drift_changes")
        change = await add_change(world, "web-1", at=before(at))
        await world.admin.execute(
            "UPDATE drift_changes SET not_before = $2 WHERE id = $1", UUID(change), before(not_before)
        )
        return [one["summary"].partition("; ")[0] for one in (await ask(world, event))["items"]]

    sentence = "openssl (dpkg) changed: 1 to 2"
    assert await seen(6, -4) == [f"{sentence}, seen 4 minutes after it began, but not yet 6 minutes before it"]
    assert await seen(6, -9) == [f"{sentence}, seen 9 minutes after it began, but not yet 6 minutes before it"]
    assert await seen(-2, -4) == [f"{sentence}, 4 minutes after it began"]
    assert await seen(-2, -9) == [f"{sentence}, 9 minutes after it began"]
    assert await seen(-5, -9) == []
    assert await seen(-6, -9) == []


async def test_hidden_changes_and_those_of_other_hosts_are_left_out(night: Any) -> None:
    await night.admin.execute("UPDATE drift_changes SET severity = 'ignored' WHERE host_id = 'web-1'")

    assert await told(night, night.event) == []


async def test_the_newest_changes_come_first_and_what_is_left_out_is_said(world: Any) -> None:
    event = await add_event(world, "web-1")
    for number in range(4):
        await add_change(world, "web-1", f"package-{number}", at=before(10 * (number + 1)))

    found = await ask(world, event, limit=3)

    assert [one["name"] for one in found["items"]] == ["package-0", "package-1", "package-2"]
    assert (found["more"], found["items"][0]["others"]["hosts"]) == (True, 0)
    assert found["items"][0]["summary"].endswith("; no other host came to the same within 7 days")
    assert (await ask(world, event, limit=4))["more"] is False


async def test_a_host_that_was_not_seen_leaves_open_what_changed(world: Any, database: Database) -> None:
    event = await add_event(world, "web-1")
    assert (await ask(world, event))["summary"].startswith("The host had sent no snapshot by then")

    await history(database, "web-1", [(before(600), OLD), (before(120), OLD)])
    silent = await ask(world, event)
    assert silent["summary"].endswith("The host was last seen 2 hours before it: what changed later is not known.")
    assert silent["seen_at"] == text(before(120))

    await history(database, "web-1", [(before(-60), OLD)])
    known = await ask(world, event)
    assert (known["summary"], known["seen_at"]) == ("No change from 24 hours before it until it fired.", text(FIRED))


async def test_more_others_than_are_looked_at_are_said_to_be_more(make_world: Any) -> None:
    world = await make_world(drift_peers_max=3)
    event = await add_event(world, "web-1")
    for number in range(1, 6):
        await add_change(world, f"web-{number}", at=before(number))

    (item,) = (await ask(world, event))["items"]

    assert (item["others"]["hosts"], item["others"]["more"]) == (3, True)
    assert "at least 3 other hosts" in item["summary"]


async def test_secrets_are_not_told(world: Any, database: Database) -> None:
    changed = replace(OLD, env_vars={"API_TOKEN": "hush-2"})
    for host in ("web-1", "web-2"):
        await history(database, host, [(before(60), OLD), (before(12), changed)])
    event = await add_event(world, "web-1")

    answer = await ask(world, event)

    assert answer["items"][0]["others"]["hosts"] == 1
    assert "hush" not in str(answer)


async def test_an_event_that_is_not_there_is_a_404_and_bad_questions_are_refused(world: Any) -> None:
    event = await add_event(world, "web-1")

    await ask(world, uuid4(), 404)
    for query, field in (({"hours": 0}, "hours"), ({"hours": 721}, "hours"), ({"limit": 0}, "limit")):
        assert [error["field"] for error in (await ask(world, event, 400, **query))["errors"]] == [field]


async def test_what_happened_before_is_found_by_indexes_among_many_changes(world: Any) -> None:
    event_id = await add_event(world, "host-7", FIRED)
    await world.admin.execute(
        "INSERT INTO drift_changes (id, host_id, snapshot_id, not_before, at, category, source, name, subject, action,"
        " before, after, severity, reason, found_at, late) SELECT gen_random_uuid(), 'host-' || n % 500,"
        " gen_random_uuid(), at - interval '10 min', at, 'package', 'dpkg', 'p' || n / 500,"
        " decode(md5((n / 500)::text), 'hex'), 'changed', '\"1\"', '\"2\"', 'info', 'x', at, FALSE"
        " FROM (SELECT n, $1::timestamptz - make_interval(mins => n) AS at FROM generate_series(1, 30000) AS n) AS n",
        FIRED,
    )
    await world.admin.execute(
        "INSERT INTO alert_events (id, alert_id, version, host_id, name, metric, comparison, threshold, severity,"
        " since, fired_at, value, found_at, late) SELECT gen_random_uuid(), gen_random_uuid(), 1, 'host-' || n % 500,"
        " 'x', 'cpu', '>=', 90, 'info', at, at, 97, at, FALSE"
        " FROM (SELECT n, $1::timestamptz - make_interval(mins => n) AS at FROM generate_series(1, 10000) AS n) AS n",
        FIRED,
    )
    await world.admin.execute("ANALYZE drift_changes; ANALYZE alert_events")
    async with world.api.database.connection() as connection:
        event = await alert_events.get(connection, event_id)
        assert event is not None
        changes = await drift_peers.changes(connection, event, 48, 20, FIRED)
    assert len(changes) == 6
    arguments = ([change.id for change in changes], "host-7", timedelta(days=7), 1000, timedelta(hours=24))

    looked_for = ("host-7", SINCE - 48 * 60 * MINUTE, FIRED + 48 * 60 * MINUTE, FIRED)
    for statement, values, most in (
        (drift_peers._CHANGES, (20, *looked_for), 60),
        (drift_peers._COUNTS, (*arguments, RULE), 20_000),
        (drift_peers._ALERTS, arguments, 20_000),
    ):
        plan = await explain(world.admin, statement, *values)
        assert plan.buffers < most, plan
