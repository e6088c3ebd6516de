"""The ledger of deliveries through the API: listed, filtered, and sent again."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from alert_rules import fields_of
from asking import pages
from bench.plans import explain
from fleet import START
from infrawatch_api.domain.deliveries import Outcome
from infrawatch_api.store import deliveries
from infrawatch_common.drift.notice_ids import drift_notice_id
from telling import add_attempt, add_channel, add_message, message

DELIVERIES = "/api/v1/deliveries"
MINUTE = timedelta(minutes=1)


@dataclass
class Attempt:
    """An attempt as it was put into the database."""

    id: str
    notification_id: str
    channel_id: str
    host_id: str | None
    event_id: UUID
    at: datetime
    outcome: str


@pytest.fixture
async def ledger(world: Any) -> list[Attempt]:
    """Messages to two channels about three hosts, in every state; the newest attempt first."""
    channels = [await add_channel(world, name) for name in ("ops", "others")]
    made = []
    soon, past = world.clock.now + MINUTE, world.clock.now
    for number, (outcomes, columns) in enumerate(
        [
            (["delivered"], {"state": "delivered", "attempts": 1}),
            (["failed", "delivered"], {"state": "delivered", "attempts": 2}),
            (["failed", "given_up"], {"state": "given_up", "attempts": 2}),
            (["failed", "pending"], {"attempts": 2, "next_attempt_at": soon}),
            (["unknown", "pending"], {"attempts": 2, "next_attempt_at": soon}),
            (["unknown"], {"attempts": 1, "next_attempt_at": past}),
            (["unknown", "delivered"], {"state": "delivered", "attempts": 2}),
            (["delivered"], {"state": "delivered", "attempts": 1}),
        ]
    ):
        channel_id, event_id = channels[number % 2], uuid4()
        host_id = f"web-{number % 3}" if number else None
        at = START + number * MINUTE
        notification_id = await add_message(world, channel_id, host_id, uuid4(), event_id, at=at, **columns)
        for attempt, outcome in enumerate(outcomes, start=1):
            stored = None if outcome in {"pending", "unknown"} else outcome
            detail = "503" if outcome == "failed" else None
            began = at + attempt * timedelta(seconds=90)
            delivery_id = await add_attempt(world, notification_id, attempt, at=began, outcome=stored, detail=detail)
            made.append(
                Attempt(str(delivery_id), str(notification_id), str(channel_id), host_id, event_id, began, outcome)
            )
    return sorted(made, key=lambda one: (one.at, one.id), reverse=True)


async def test_attempts_come_newest_first_in_pages_each_once(world: Any, ledger: list[Attempt]) -> None:
    assert [item["id"] for item in await pages(world, DELIVERIES, limit=4)] == [attempt.id for attempt in ledger]


async def test_attempts_are_filtered(world: Any, ledger: list[Attempt]) -> None:
    some, middle = ledger[5], START + 6 * MINUTE
    questions: list[tuple[dict[str, Any], Callable[[Attempt], bool]]] = [
        ({"channel_id": some.channel_id}, lambda one: one.channel_id == some.channel_id),
        ({"host_id": "web-1"}, lambda one: one.host_id == "web-1"),
        ({"notification_id": some.notification_id}, lambda one: one.notification_id == some.notification_id),
        ({"event_id": str(some.event_id)}, lambda one: one.event_id == some.event_id),
        ({"event_id": str(uuid4())}, lambda _: False),
        (
            {"event_id": str(some.event_id), "notification_id": ledger[0].notification_id},
            lambda one: one.event_id == some.event_id and one.notification_id == ledger[0].notification_id,
        ),
        ({"from": middle.isoformat()}, lambda one: one.at >= middle),
        ({"to": middle.isoformat()}, lambda one: one.at < middle),
        (
            {"channel_id": some.channel_id, "outcome": "failed", "to": middle.isoformat()},
            lambda one: one.channel_id == some.channel_id and one.outcome == "failed" and one.at < middle,
        ),
        *(({"outcome": outcome.value}, lambda one, outcome=outcome: one.outcome == outcome) for outcome in Outcome),
    ]
    for query, fits in questions:
        wanted = [attempt for attempt in ledger if fits(attempt)]
        found = await pages(world, DELIVERIES, limit=4, **query)
        assert [item["id"] for item in found] == [attempt.id for attempt in wanted], query
        assert [item["outcome"] for item in found] == [attempt.outcome for attempt in wanted], query
        assert len(wanted) < len(ledger)


async def test_what_a_snapshot_shows_leads_to_the_attempts_that_told_it(world: Any, ledger: list[Attempt]) -> None:
    snapshot_id, event_id = uuid4(), uuid4()
    channel_id, other = UUID(ledger[0].channel_id), UUID(ledger[1].channel_id)
    told = [
        await add_message(world, one, "web-1", event_id, drift_notice_id(snapshot_id), at=START)
        for one in (channel_id, other)
    ]
    attempts = [str(await add_attempt(world, one, at=START, outcome="delivered")) for one in told]

    for query in ({"snapshot_id": str(snapshot_id)}, {"event_id": str(event_id), "snapshot_id": str(snapshot_id)}):
        assert {item["id"] for item in await pages(world, DELIVERIES, limit=4, **query)} == set(attempts)
    assert await pages(world, DELIVERIES, limit=4, snapshot_id=str(uuid4())) == []
    assert await pages(world, DELIVERIES, limit=4, event_id=str(ledger[0].event_id), snapshot_id=str(snapshot_id)) == []


async def test_one_attempt_is_shown_with_its_message(world: Any, ledger: list[Attempt]) -> None:
    viewer = await world.signed_in("viewer")
    failed = next(one for one in ledger if one.outcome == "failed" and one.host_id == "web-0")

    shown = (await world.get(f"{DELIVERIES}/{failed.id}", viewer)).json()

    stamp = failed.at.isoformat().replace("+00:00", "Z")
    told = shown.pop("message")
    assert shown == {
        "id": failed.id,
        "notification_id": failed.notification_id,
        "attempt": 1,
        "channel_id": failed.channel_id,
        "channel": "ops",
        "host_id": "web-0",
        "title": "cpu high on web-0",
        "started_at": stamp,
        "finished_at": stamp,
        "outcome": "failed",
        "detail": "503",
        "state": "waiting",
        "next_attempt_at": (world.clock.now + MINUTE).isoformat().replace("+00:00", "Z"),
        "resent_of": None,
        "requested_by": None,
    }
    assert told["items"][1]["event"]["id"] == str(failed.event_id)
    assert (await world.get(f"{DELIVERIES}/{uuid4()}", viewer)).status_code == 404


BAD: list[tuple[dict[str, Any], str]] = [
    ({"channel_id": "x"}, "channel_id"),
    ({"host_id": "a b"}, "host_id"),
    ({"outcome": "lost"}, "outcome"),
    ({"notification_id": "x"}, "notification_id"),
    ({"event_id": "x"}, "event_id"),
    ({"snapshot_id": "x"}, "snapshot_id"),
    ({"from": "yesterday"}, "from"),
    ({"to": "2026-11-22T10:00:00"}, "to"),
    ({"from": "2026-11-22T10:00:00Z", "to": "2026-11-22T10:00:00Z"}, "from"),
    ({"cursor": "x"}, "cursor"),
]


async def test_bad_questions_are_refused_by_field(world: Any) -> None:
    viewer = await world.signed_in("viewer")
    for query, field in BAD:
        assert fields_of(await world.get(DELIVERIES, viewer, params=query)) == [field], query


async def test_a_message_is_sent_again_under_a_new_id(world: Any, ledger: list[Attempt]) -> None:
    email = await world.add_user("operator")
    operator = await world.session(email)
    lost = next(one for one in ledger if one.outcome == "given_up")

    answer = await world.post(f"{DELIVERIES}/{lost.id}/resend", operator)

    assert answer.status_code == 202, answer.text
    new_id = UUID(answer.json()["notification_id"])
    old, new = [
        await world.admin.fetchrow("SELECT * FROM notifications WHERE id = $1", one)
        for one in (UUID(lost.notification_id), new_id)
    ]
    same = ("channel_id", "channel", "host_id", "message")
    assert [new[name] for name in same] == [old[name] for name in same]
    assert (new["resent_of"], new["state"], new["attempts"]) == (old["id"], "waiting", 0)
    assert new["created_at"] == new["next_attempt_at"] == world.clock.now
    assert old["state"] == "given_up"
    attempt = await add_attempt(world, new_id, at=world.clock.now, outcome="delivered")
    shown = (await world.get(f"{DELIVERIES}/{attempt}", operator)).json()
    assert (shown["resent_of"], shown["requested_by"]) == (lost.notification_id, email)
    (noted,) = await world.audit("delivery.resent")
    assert (noted["actor"], noted["target"]) == (email, lost.id)
    assert json.loads(noted["detail"]) == {
        "channel": "ops",
        "resent_of": lost.notification_id,
        "notification_id": str(new_id),
    }


async def test_what_cannot_be_sent_again_is_refused(world: Any, ledger: list[Attempt]) -> None:
    operator = await world.signed_in("operator")
    waits = next(one for one in ledger if one.outcome == "pending")
    delivered = next(one for one in ledger if one.outcome == "delivered")

    async def refusal(attempt: Attempt) -> str:
        answer = await world.post(f"{DELIVERIES}/{attempt.id}/resend", operator)
        assert answer.status_code == 409, answer.text
        return str(answer.json()["detail"])

    assert "still being sent" in await refusal(waits)
    await world.admin.execute("UPDATE channels SET enabled = FALSE")
    assert "is disabled" in await refusal(delivered)
    await world.admin.execute("DELETE FROM channels")
    assert "is gone" in await refusal(delivered)
    assert (await world.post(f"{DELIVERIES}/{uuid4()}/resend", operator)).status_code == 404
    assert await world.admin.fetchval("SELECT count(*) FROM notifications WHERE resent_of IS NOT NULL") == 0


async def test_a_page_is_found_by_an_index_whatever_is_asked(world: Any) -> None:
    channels = [await add_channel(world, f"channel-{number}") for number in range(50)]
    await fill(world, channels)
    middle, before = START + timedelta(seconds=10_000), (START + timedelta(seconds=15_000), UUID(int=0))
    seldom, often = channels[0], channels[1]
    event_id = UUID(int=3000)
    questions: list[tuple[deliveries.Filters, tuple[datetime, UUID] | None, int]] = [
        (deliveries.Filters(), None, 400),
        (deliveries.Filters(), before, 400),
        (deliveries.Filters(start=middle, end=middle + 50 * timedelta(seconds=1)), None, 400),
        (deliveries.Filters(channel_id=often), None, 400),
        (deliveries.Filters(channel_id=seldom), None, 400),
        (deliveries.Filters(channel_id=seldom), before, 400),
        (deliveries.Filters(channel_id=seldom, outcome=Outcome.GIVEN_UP), None, 400),
        (deliveries.Filters(host_id="rare"), None, 400),
        (deliveries.Filters(host_id="host-7", start=middle), before, 400),
        (deliveries.Filters(outcome=Outcome.DELIVERED), before, 400),
        (deliveries.Filters(outcome=Outcome.FAILED), None, 600),
        (deliveries.Filters(outcome=Outcome.GIVEN_UP), None, 600),
        (deliveries.Filters(outcome=Outcome.PENDING), None, 600),
        (deliveries.Filters(outcome=Outcome.UNKNOWN), None, 600),
        (deliveries.Filters(notification_ids=(event_id,)), None, 40),
        (deliveries.Filters(notification_ids=()), None, 40),
    ]
    asked = [
        (deliveries.question(filters, position, 50, world.clock.now), most, filters)
        for filters, position, most in questions
    ]
    asked.append(((deliveries._OF_EVENTS, [[str(event_id)]]), 40, deliveries.Filters()))
    for (statement, arguments), most, filters in asked:
        # With the values and without: the server may plan a prepared statement either way.
        for mode in ("force_custom_plan", "force_generic_plan"):
            async with world.admin.transaction():
                await world.admin.execute(f"SET LOCAL plan_cache_mode = {mode}; PREPARE asked AS {statement}")
                values = ", ".join(literal(value) for value in arguments)
                plan = await explain(world.admin, f"EXECUTE asked ({values})" if values else "EXECUTE asked")
                await world.admin.execute("DEALLOCATE asked")
            assert "Seq Scan" not in plan.nodes, (filters, mode, plan)
            assert plan.buffers <= most, (filters, mode, plan)


def literal(value: Any) -> str:
    if isinstance(value, list):
        return "'{" + ",".join(map(str, value)) + "}'"
    return f"'{value}'"


async def fill(world: Any, channels: list[UUID]) -> None:
    """20,000 messages with an attempt each, one a second; few failed, and few are to the first channel."""
    rng = random.Random(5)
    messages, attempts = [], []
    for number in range(20_000):
        identifier, at = UUID(int=number), START + timedelta(seconds=number)
        channel_id = channels[0] if number % 1000 == 0 else rng.choice(channels[1:])
        host_id = "rare" if number == 3000 else f"host-{rng.randrange(200)}"
        outcome = {1: "failed", 2: "given_up", 3: None}.get(number % 400, "delivered")
        state = {"failed": "waiting", None: "waiting"}.get(outcome, outcome)
        told = json.dumps(message("ops", host_id, UUID(int=number), UUID(int=number + 100_000)))
        messages.append((identifier, channel_id, "ops", host_id, told, at, state, 1, at))
        attempts.append((identifier, identifier, channel_id, host_id, 1, at, at if outcome else None, outcome))
    for table, columns, rows in (
        ("notifications", "id channel_id channel host_id message created_at state attempts next_attempt_at", messages),
        ("deliveries", "id notification_id channel_id host_id attempt started_at finished_at outcome", attempts),
    ):
        await world.admin.copy_records_to_table(table, records=rows, columns=columns.split())
    await world.admin.execute("ANALYZE notifications, deliveries")
