"""Drift from the drift service's own role to its delivery: by the machinery of alerts, once, whatever happens."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from drift_notices import KERNEL, add_drift, drift_event
from notifying import MINUTE, SECOND, Teller

from bench.plans import explain
from infrawatch_alerting.store_notices import _TOLD_BEFORE
from infrawatch_common.drift.notice_ids import drift_notice_id
from records import NOW
from stack import Database

_SILENCE = "INSERT INTO silences (match, reason, starts_at, ends_at) VALUES ($1, 'work', $2, $3)"


@pytest.fixture
async def drift(database: Database) -> AsyncIterator[Any]:
    """A connection with no rights but the drift service's."""
    async with database.connect("drift") as connection:
        yield connection


async def left(teller: Teller) -> tuple[int, int]:
    """Notices, and hosts that are looked at again."""
    query = "SELECT (SELECT count(*) FROM notices), (SELECT count(*) FROM notice_hosts)"
    notices, hosts = await teller.admin.fetchrow(query)
    return notices, hosts


async def test_drift_is_told_once_to_each_channel_that_it_is_routed_to(teller: Teller, drift: Any) -> None:
    for name, routes in (
        ("all", "[{}]"),  # as it was stored before there was drift
        ("drift", '[{"kinds": ["drift"]}]'),
        ("critical", '[{"severities": ["critical"], "kinds": ["alert", "drift"]}]'),
        ("alerts", '[{"kinds": ["alert"]}]'),
        ("rule", f'[{{"alert_ids": ["{uuid4()}"]}}]'),
        ("info", '[{"severities": ["info"]}]'),
    ):
        await teller.channel(name, routes, repeat_interval=MINUTE)
    await add_drift(drift, "web-1", NOW)
    await teller.tell()
    for name in ("all", "drift", "critical"):
        assert teller.receivers.told(name) == [("web-1", ["changed"])]
    assert len(teller.receivers.got) == 3
    assert await left(teller) == (0, 0)
    teller.now += 60 * MINUTE
    await teller.tell()
    assert len(teller.receivers.got) == 3


async def test_the_message_says_what_changed(teller: Teller, drift: Any) -> None:
    await teller.admin.execute("INSERT INTO hosts (id, name) VALUES ('host-a', 'web-1')")
    await teller.channel("all")
    changes = [KERNEL, ("warning", "openssl (dpkg) upgraded: 1 to 2"), ("info", "LANG changed: C to POSIX")]
    snapshot_id = await add_drift(drift, "host-a", NOW, changes)
    await teller.tell()
    ((_, key, body),) = teller.receivers.got
    assert (body["id"], body["type"], body["late"]) == (str(key), "drift", False)
    assert body["title"] == "[critical] 3 changes on web-1 (host-a)"
    (item,) = body["items"]
    assert item == {"what": "changed", "event": drift_event("host-a", snapshot_id, NOW, NOW, changes)}


async def test_what_is_put_there_again_while_it_waits_is_told_once(teller: Teller, drift: Any) -> None:
    await teller.channel("mail")
    snapshot_id = await add_drift(drift, "web-1", NOW)
    await add_drift(drift, "web-1", NOW, snapshot_id=snapshot_id)
    await teller.tell()
    assert teller.receivers.told("mail") == [("web-1", ["changed"])]


async def test_what_is_found_anew_after_it_was_told_is_told_to_none_but_a_new_channel(
    teller: Teller, drift: Any
) -> None:
    await teller.channel("mail")
    snapshot_id = await add_drift(drift, "web-1", NOW)
    await teller.tell()
    await teller.channel("new")
    await add_drift(drift, "web-1", NOW, snapshot_id=snapshot_id)
    await teller.tell()
    assert (teller.receivers.told("mail"), teller.receivers.told("new")) == ([("web-1", ["changed"])],) * 2
    assert await left(teller) == (0, 0)


async def test_what_a_late_snapshot_has_another_show_besides_is_told(teller: Teller, drift: Any) -> None:
    await teller.channel("mail")
    snapshot_id = await add_drift(drift, "web-1", NOW)
    await teller.tell()
    await add_drift(drift, "web-1", NOW, [("warning", "LANG changed: C to POSIX")], snapshot_id)
    await teller.tell()
    assert teller.receivers.told("mail") == [("web-1", ["changed"])] * 2


async def test_what_was_told_is_found_by_the_index_however_many_messages_there_are(teller: Teller, drift: Any) -> None:
    rows = []
    for number in range(5000):
        message = {"items": [{"what": "changed", "event": drift_event(f"web-{number % 50}", uuid4(), NOW, NOW)}]}
        rows.append((uuid4(), uuid4(), "mail", f"web-{number % 50}", json.dumps(message), NOW, NOW, "delivered"))
    names = ["id", "channel_id", "channel", "host_id", "message", "created_at", "next_attempt_at", "state"]
    await teller.admin.copy_records_to_table("notifications", records=rows, columns=names)
    await teller.admin.execute("ANALYZE notifications")
    for number in range(20):
        await add_drift(drift, f"web-{number}", NOW)
    ids = ",".join([str(row["id"]) for row in await teller.admin.fetch("SELECT id FROM notices")])
    for mode in ("force_custom_plan", "force_generic_plan"):
        async with teller.admin.transaction():
            await teller.admin.execute(f"SET LOCAL plan_cache_mode = {mode}; PREPARE asked AS {_TOLD_BEFORE}")
            plan = await explain(teller.admin, f"EXECUTE asked ('{{{ids}}}')")
            await teller.admin.execute("DEALLOCATE asked")
        assert plan.buffers < 200, (mode, plan)


async def test_drift_waits_for_the_group_interval_and_goes_with_the_alerts_of_that_time(
    teller: Teller, drift: Any
) -> None:
    await teller.channel("mail", group_interval=MINUTE)
    await teller.fire("web-1")
    await teller.tell()
    teller.now += 10 * SECOND
    await add_drift(drift, "web-1", teller.now)
    await add_drift(drift, "web-1", teller.now + SECOND)
    await teller.tell()
    assert len(teller.receivers.got) == 1
    teller.now += 40 * SECOND
    await teller.resolve("web-1")
    await teller.tell()
    teller.now += 10 * SECOND
    await teller.tell()
    assert teller.receivers.told("mail")[1:] == [("web-1", ["resolved", "changed", "changed"])]
    body = teller.receivers.got[-1][2]
    assert (body["type"], body["title"]) == ("alert", "[critical] 2 changes on web-1 and 1 alert")
    assert await left(teller) == (0, 0)


async def test_drift_in_a_silence_is_never_told_and_alerts_are_told_when_it_is_over(teller: Teller, drift: Any) -> None:
    await teller.channel("mail")
    await teller.admin.execute(_SILENCE, json.dumps({"host_ids": ["web-1"]}), NOW, NOW + 5 * MINUTE)
    await teller.fire("web-1")
    await add_drift(drift, "web-1", NOW)
    await add_drift(drift, "web-2", NOW)
    await teller.tell()
    assert teller.receivers.told("mail") == [("web-2", ["changed"])]
    teller.now += 5 * MINUTE
    await teller.tell()
    assert teller.receivers.told("mail")[1:] == [("web-1", ["no_longer_silenced"])]


async def test_drift_that_was_found_in_a_silence_is_not_told_when_alerting_comes_back_after_it(
    teller: Teller, drift: Any
) -> None:
    await teller.channel("mail")
    await teller.admin.execute(_SILENCE, json.dumps({"kinds": ["drift"]}), NOW, NOW + 5 * MINUTE)
    await add_drift(drift, "web-1", NOW - MINUTE, found_at=NOW + MINUTE)
    await add_drift(drift, "web-2", NOW + MINUTE, found_at=NOW + 5 * MINUTE)
    teller.now += 60 * MINUTE
    await teller.tell()
    assert teller.receivers.told("mail") == [("web-2", ["changed"])]
    assert await left(teller) == (0, 0)


async def test_drift_that_nobody_is_to_know_of_is_settled(teller: Teller, drift: Any) -> None:
    await add_drift(drift, "web-1", NOW)
    await teller.tell()
    assert await left(teller) == (0, 0)
    await teller.channel("late")
    await teller.tell()
    assert teller.receivers.got == []


async def test_drift_of_a_host_that_is_purged_meanwhile_does_no_harm(teller: Teller, drift: Any) -> None:
    await teller.admin.execute("INSERT INTO hosts (id, name, tags) VALUES ('web-1', 'w', '{\"env\": \"prod\"}')")
    await teller.channel("all")
    await teller.channel("prod", '[{"selector": {"env": "prod"}}]')
    await add_drift(drift, "web-1", NOW)
    await teller.admin.execute("DELETE FROM hosts")
    await teller.tell()
    assert [(to, body["host"]) for to, _, body in teller.receivers.got] == [
        ("all", {"id": "web-1", "name": "web-1", "tags": {}})
    ]
    assert await left(teller) == (0, 0)


async def test_replicas_tell_of_drift_once_and_writers_wait_for_none_of_them_for_long(
    teller: Teller, database: Database
) -> None:
    await teller.channel("mail")
    hosts = [f"web-{number}" for number in range(60)]

    async def write(mine: list[str]) -> None:
        async with database.connect("drift") as connection:
            for number, host_id in enumerate(mine):
                await add_drift(connection, host_id, NOW + number * timedelta(seconds=1))

    async def tell() -> None:
        for _ in range(5):
            await teller.make_notifier().tell()

    async with asyncio.timeout(60):
        await asyncio.gather(write(hosts[::2]), write(hosts[1::2]), tell(), tell())
        await teller.tell()
    assert sorted(host for host, _ in teller.receivers.told("mail")) == sorted(hosts)


async def test_drift_whose_delivery_could_not_be_noted_is_sent_again_with_the_same_key(
    teller: Teller, drift: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise ConnectionError

    await teller.channel("mail")
    snapshot_id = await add_drift(drift, "web-1", NOW)
    await teller.notifier.tell()
    broken = teller.make_dispatcher()
    monkeypatch.setattr(broken._store, "delivered", away)
    await broken.send_due()
    await asyncio.gather(*broken._under_way)
    for minutes in (1, 60):
        teller.now += minutes * MINUTE
        await teller.tell()
    told = [item["event"]["id"] for _, _, body in teller.receivers.got for item in body["items"]]
    assert told == [str(drift_notice_id(snapshot_id))] * 2
    assert len({key for _, key, _ in teller.receivers.got}) == 1
