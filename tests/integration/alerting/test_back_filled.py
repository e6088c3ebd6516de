"""Samples that come after newer ones, over the real database: what they bring about is found once, whatever happens."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluating import SECOND, Replica, World
from infrawatch_alerting.store import event_id
from records import NOW, FakeMessage

QUIET = (0.0,) * 5


async def histories(world: World) -> int:
    return int(await world.admin.fetchval("SELECT count(*) FROM alert_histories"))


async def outage(world: World, replica: Replica) -> None:
    """Samples until 40 s, and again at 200 s."""
    await replica.take(*world.every_ten(*QUIET), world.record(200, 0))


async def test_what_should_have_fired_is_kept_once_and_is_late(world: World) -> None:
    await world.rule()
    replica = await world.replica()
    await outage(world, replica)
    world.now = NOW + 201 * SECOND
    stretch = world.every_ten(0, 95, 95, 95, 95, 95, 0, *[0] * 8, begin=50)
    await replica.take(*stretch)
    assert await world.events() == [("host-a", 90, 110, "cleared")]
    row = await world.admin.fetchrow("SELECT late, since, value FROM alert_events")
    assert tuple(row) == (True, NOW + 60 * SECOND, 95)
    assert (await world.states(), await histories(world)) == (0, 0)
    assert replica.metrics.records.labels("back_filled")._value.get() == len(stretch)
    await replica.take(*world.every_ten(*[95] * 15, begin=50))
    assert len(await world.events()) == 1
    assert replica.metrics.records.labels("late")._value.get() == 15


async def test_what_was_found_a_moment_after_it_fired_is_late_when_it_came_after_newer_samples(world: World) -> None:
    await world.rule(seconds=0)
    replica = await world.replica()
    await outage(world, replica)
    world.now = NOW + 191 * SECOND
    await replica.take(world.record(190, 95))
    assert await world.admin.fetchval("SELECT late FROM alert_events")


async def test_a_restart_in_the_middle_of_a_stretch_goes_on_in_it(world: World) -> None:
    await world.rule()
    replica = await world.replica()
    await outage(world, replica)
    await replica.take(*world.every_ten(0, 95, 95, 95, begin=50))
    assert await histories(world) == 1
    await (await world.replica()).take(*world.every_ten(95, 95, begin=90))
    assert await world.events() == [("host-a", 90, None, None)], "what it left firing is not without a state"
    assert await world.states() == 0
    await (await world.replica()).take(*world.every_ten(95, 0, *[0] * 8, begin=110))
    assert await world.events() == [("host-a", 90, 120, "cleared")]
    assert await histories(world) == 0


async def test_what_goes_on_behind_the_gap_becomes_the_present_state(world: World) -> None:
    await world.rule()
    replica = await world.replica()
    await replica.take(*world.every_ten(*QUIET), *world.every_ten(95, 95, begin=200))
    await replica.take(*world.every_ten(0, *[95] * 14, begin=50))
    assert await world.admin.fetchval("SELECT fired_at FROM alert_states") == NOW + 90 * SECOND
    await (await world.replica()).take(*world.every_ten(95, 95, 0, begin=220))
    assert await world.events() == [("host-a", 90, 240, "cleared")]


async def test_a_stretch_ends_nothing_that_fires(world: World) -> None:
    await world.rule(seconds=0)
    replica = await world.replica()
    await replica.take(*world.every_ten(*QUIET), world.record(200, 95), *world.every_ten(*[0] * 15, begin=50))
    assert await world.events() == [("host-a", 200, None, None)]
    assert await world.states() == 1


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_rule_that_is_changed_ends_what_a_stretch_left_firing(world: World, *, restarted: bool) -> None:
    await world.rule(seconds=0)
    replica = await world.replica()
    await outage(world, replica)
    await replica.take(*world.every_ten(95, 95, begin=50))
    await world.admin.execute("UPDATE alerts SET version = 2, threshold = 99")
    world.now = NOW + 205 * SECOND
    replica = await world.replica() if restarted else replica
    await replica.read_rules()
    assert await world.events() == [("host-a", 50, 205, "rule_changed")]
    await (await world.replica()).take(*world.every_ten(99, 99, begin=70))
    assert len(await world.events()) == 1


@pytest.mark.parametrize("patience", [15, 60])
async def test_a_replica_that_died_in_a_backlog_takes_no_host_for_silent(world: World, patience: float) -> None:
    await world.rule("heartbeat", patience)
    await world.rule(seconds=40)
    records = [world.record(10 * number, 95 if 30 <= number < 40 else 0) for number in range(60)]
    for begin in range(0, 60, 10):
        replica = await world.replica()
        for start in range(begin, begin + 10):
            await replica.take(records[start])
    assert await world.events() == [("host-a", 340, 400, "cleared")]


async def add_event(world: World, alert_id: UUID, version: int = 1, host: str = "host-a") -> None:
    await world.admin.execute(
        """INSERT INTO alert_events (id, alert_id, version, host_id, name, metric, comparison, threshold, severity,
                                     since, fired_at, value, found_at, late)
           VALUES ($1, $2, $3, $4, 'r', 'cpu', '>=', 90, 'warning', $5, $5, 95, $5, FALSE)""",
        event_id(alert_id, host, NOW),
        alert_id,
        version,
        host,
        NOW,
    )


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("the state", "state_lost"),
        ("the version", "rule_changed"),
        ("the rule", "rule_deleted"),
        ("the host", "host_deleted"),
    ],
)
async def test_an_event_that_has_lost_its_state_ends(world: World, what: str, reason: str) -> None:
    alert_id = await world.rule(seconds=0)
    await add_event(world, uuid4() if what == "the rule" else alert_id, version=2 if what == "the version" else 1)
    if what == "the host":
        await world.admin.execute("UPDATE host_keys SET revoked_at = now() WHERE host_id = 'host-a'")
        await world.admin.execute("DELETE FROM hosts WHERE id = 'host-a'")
    world.now = NOW + timedelta(seconds=30)
    replica = await world.replica()
    await replica.take(world.record(40, 95))
    [first, *_] = await world.events()
    assert first == ("host-a", 0, 30, reason)


loads = st.lists(st.tuples(st.sampled_from([0.0, 85.0, 95.0]), st.integers(1, 5)), min_size=6, max_size=12)
cuts = st.lists(st.tuples(st.integers(0, 80), st.sampled_from(["go on", "restart", "read again"])), max_size=8)


def as_an_agent_sends(world: World, cpu: Sequence[float], first: int, last: int, kept_a_time: int) -> list[FakeMessage]:
    """Every ten seconds; from ``first`` to ``last`` the broker is away."""
    order = [world.record(10 * number, cpu[number]) for number in range(first)]
    kept = list(range(first, last))
    for number in range(last, len(cpu)):
        order.append(world.record(10 * number, cpu[number]))
        for place in kept[:kept_a_time]:
            order.append(world.record(10 * place, cpu[place], came=10 * number + 2))
            order.append(world.record(10 * number, cpu[number], "host-b"))
        del kept[:kept_a_time]
    return order


@given(loads, st.data(), cuts)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_cut_restart_and_repetition_of_a_stretch_finds_the_same_events(
    world: World, load: Sequence[tuple[float, int]], data: st.DataObject, cuts: Sequence[tuple[int, str]]
) -> None:
    await world.admin.execute("DELETE FROM alerts")
    await world.rule(seconds=20, clear_threshold=80.0)
    await world.rule("heartbeat", seconds=50)
    cpu = [0.0, *(value for value, length in load for _ in range(length))]
    first = data.draw(st.integers(1, len(cpu) - 5))
    last = data.draw(st.integers(first + 3, len(cpu) - 1))
    records = as_an_agent_sends(world, cpu, first, last, data.draw(st.integers(1, 4)))

    async def events_of(cut: Sequence[tuple[int, str]]) -> list[tuple[Any, ...]]:
        for table in ("alert_events", "alert_states", "alert_hosts", "alert_histories", "consumer_offsets", "notices"):
            await world.admin.execute(f"DELETE FROM {table}")
        replica = await world.replica()
        ends = sorted({min(place, len(records)) for place, _ in cut} | {0, len(records)})
        what = dict(cut)
        for begin, end in pairwise(ends):
            if what.get(begin) == "restart":
                replica = await world.replica()
            await replica.take(*records[0 if what.get(begin) == "read again" else begin : end])
        return await world.events()

    assert await events_of(cuts) == await events_of([])
