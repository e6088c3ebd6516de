"""What alerting leaves in the database, whatever happens to it in between."""

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaluating import SECOND, World
from records import NOW, FakeMessage, host_key, sample, signed


async def test_what_fires_and_ends_is_kept_told_and_logged_once(world: World) -> None:
    rule = await world.rule()
    replica = await world.replica()
    await replica.take(*world.every_ten(0, 95, 95, 95, 95, 95, 0))
    assert await world.events() == [("host-a", 40, 60, "cleared")]
    assert await world.states() == 0
    event = dict(await world.admin.fetchrow("SELECT * FROM alert_events"))
    assert (event["version"], event["value"], event["resolved_value"], event["late"]) == (1, 95, 0, False)
    told = [json.loads(row["value"]) for row in await world.admin.fetch("SELECT value FROM outbox ORDER BY id")]
    assert [(one["event"], one["id"], one["host_id"]) for one in told] == [
        (kind, str(event["id"]), "host-a") for kind in ("fired", "resolved")
    ]
    kept = await world.admin.fetchrow("SELECT last_triggered, log FROM alerts WHERE id = $1", rule)
    assert kept["last_triggered"] == NOW + 40 * SECOND
    assert [entry["event"] for entry in json.loads(kept["log"])] == ["fired", "resolved"]
    assert replica.metrics.transitions.labels("fired", "warning")._value.get() == 1


async def test_the_log_of_a_rule_keeps_the_latest(world: World) -> None:
    await world.rule(seconds=0)
    replica = await world.replica()
    for round_ in range(4):
        await replica.take(*world.every_ten(95, 0, begin=100 * round_))
    log = json.loads(await world.admin.fetchval("SELECT log FROM alerts"))
    assert [entry["event"] for entry in log] == ["resolved", "fired", "resolved"]
    assert log[-1]["at"] == (NOW + 310 * SECOND).isoformat()


async def test_a_restart_resumes_a_half_elapsed_duration(world: World) -> None:
    await world.rule(seconds=30)
    await (await world.replica()).take(*world.every_ten(0, 95, 95))
    await (await world.replica()).take(*world.every_ten(95, 95, begin=30))
    assert await world.events() == [("host-a", 40, None, None)]


async def test_the_topic_read_again_from_its_beginning_changes_nothing(world: World) -> None:
    await world.rule(seconds=10)
    await (await world.replica()).take(*world.every_ten(95, 95, 0, 95, 95, 95))
    before = await world.events()
    again = await world.replica()
    await again.take(*world.sent)
    assert await world.events() == before == [("host-a", 10, 20, "cleared"), ("host-a", 40, None, None)]
    assert again.metrics.records.labels("repeated")._value.get() == len(world.sent)


async def test_records_that_are_sent_again_fire_nothing_again(world: World) -> None:
    await world.rule(seconds=0)
    await (await world.replica()).take(*world.every_ten(95, 0, 95, 0))
    before = await world.events()
    await (await world.replica()).take(*world.every_ten(95, 0, 95, 0))
    assert await world.events() == before
    assert await world.admin.fetchval("SELECT count(*) FROM outbox") == 2 * len(before)


async def test_a_replica_that_lost_its_partitions_without_noticing_doubles_nothing_and_goes_on(world: World) -> None:
    await world.rule(seconds=20)
    zombie = await world.replica()
    first, second, third = world.every_ten(95, 95), world.every_ten(95, 95, begin=20), world.every_ten(0, 0, begin=40)
    await zombie.take(*first)
    heir = await world.replica()
    await heir.take(*second)
    await zombie.take(*second)
    assert await world.events() == [("host-a", 20, None, None)]
    await zombie.take(*third)
    await heir.take(*third)
    assert await world.events() == [("host-a", 20, 40, "cleared")]
    assert await world.admin.fetchval("SELECT next_offset FROM consumer_offsets") == 6


async def test_a_transaction_that_fails_leaves_nothing_and_the_batch_is_kept_when_it_is_repeated(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.rule(seconds=0)
    replica = await world.replica()
    publish, failures = replica.store._publish, iter([OSError("away")])

    async def fail_once(*arguments: Any) -> None:
        await publish(*arguments)
        for error in failures:
            raise error

    monkeypatch.setattr(replica.store, "_publish", fail_once)
    prepared = await replica.handler.prepare(world.every_ten(95, 0, 95))  # type: ignore[arg-type]
    with pytest.raises(OSError, match="away"):
        await replica.handler.write(prepared)
    assert await world.events() == []
    assert await replica.handler.refresh() is False, "memory is ahead"
    await replica.handler.write(prepared)
    assert await world.events() == [("host-a", 0, 10, "cleared"), ("host-a", 20, None, None)]


EDITS = {
    "rule_changed": "UPDATE alerts SET version = 2, threshold = 99",
    "rule_disabled": "UPDATE alerts SET version = 2, enabled = FALSE",
    "rule_deleted": "DELETE FROM alerts",
    "host_retired": "UPDATE hosts SET retired = now()",
    "host_deleted": "DELETE FROM hosts WHERE id = 'host-a'",
    "host_not_selected": "UPDATE hosts SET tags = '{}'",
}


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("reason", EDITS)
async def test_an_edit_ends_what_fires_and_says_why(world: World, reason: str, *, restarted: bool) -> None:
    await world.rule(seconds=0, selector=json.dumps({"env": "prod"}))
    replica = await world.replica()
    await replica.take(*world.every_ten(95, 95))
    await world.admin.execute(EDITS[reason])
    world.now = NOW + 15 * SECOND
    replica = await world.replica() if restarted else replica
    await replica.read_rules()
    assert await world.events() == [("host-a", 0, 15, reason)]
    assert await world.states() == 0
    await replica.read_rules()
    assert await world.admin.fetchval("SELECT count(*) FROM outbox") == 2


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_host_that_is_purged_ends_also_under_rules_for_every_host(world: World, *, restarted: bool) -> None:
    await world.rule(seconds=0)
    replica = await world.replica()
    await replica.take(*world.every_ten(95, 95))
    await world.admin.execute("UPDATE host_keys SET revoked_at = now() WHERE host_id = 'host-a'")
    await world.admin.execute("DELETE FROM hosts WHERE id = 'host-a'")
    world.now = NOW + 15 * SECOND
    replica = await world.replica() if restarted else replica
    await replica.read_rules()
    assert await world.events() == [("host-a", 0, 15, "host_deleted")]
    assert await world.states() == 0


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_was_told_of_a_purged_host_ends_although_its_events_are_deleted(
    world: World, *, restarted: bool
) -> None:
    await world.rule(seconds=0)
    replica = await world.replica()
    await replica.take(*world.every_ten(95, 95))
    await world.admin.execute("UPDATE host_keys SET revoked_at = now() WHERE host_id = 'host-a'")
    await world.admin.execute("DELETE FROM alert_events")
    await world.admin.execute("DELETE FROM hosts WHERE id = 'host-a'")
    await world.admin.execute("UPDATE notice_hosts SET look_at = 'infinity'")
    world.now = NOW + 15 * SECOND
    replica = await world.replica() if restarted else replica
    await replica.read_rules()
    (notice,) = await world.admin.fetch("SELECT ended, event FROM notices")
    event = json.loads(notice["event"])
    assert (notice["ended"], event["event"], event["resolved_reason"]) == (True, "resolved", "host_deleted")
    assert datetime.fromisoformat(event["resolved_at"]) == world.now
    assert await world.admin.fetchval("SELECT look_at < now() FROM notice_hosts WHERE host_id = 'host-a'")


async def test_a_rule_is_for_the_hosts_that_it_selects_and_new_ones_join(world: World) -> None:
    await world.rule(seconds=0, selector=json.dumps({"env": "prod"}))
    await world.rule(seconds=0, host_id="host-b")
    replica = await world.replica()
    await replica.take(world.record(0, 95), world.record(0, 95, "host-b"))
    await world.host("host-c", env="prod")
    await world.host("host-d", env="test")
    await replica.read_rules()
    await replica.take(world.record(0, 95, "host-c"), world.record(0, 95, "host-d"))
    assert [event[0] for event in await world.events()] == ["host-a", "host-b", "host-c"]


async def test_what_is_found_long_after_it_happened_is_late(world: World) -> None:
    await world.rule(seconds=0)
    replica = await world.replica()
    world.now = NOW + 61 * SECOND
    await replica.take(world.record(0, 95), world.record(0, 95, "host-b"), world.record(50, 0))
    world.now = NOW + 70 * SECOND
    await replica.take(world.record(60, 95))
    late = await world.admin.fetch("SELECT host_id, late FROM alert_events ORDER BY fired_at, host_id")
    assert [tuple(row) for row in late] == [("host-a", True), ("host-b", True), ("host-a", False)]


async def test_a_silent_host_is_told_and_a_restart_does_not_begin_to_wait_anew(world: World) -> None:
    await world.rule("heartbeat", 60)
    replica = await world.replica()
    await replica.take(*world.every_ten(0, 0), *world.every_ten(0, 0, 0, 0, 0, 0, 0, host="host-b"))
    replica = await world.replica()
    await replica.handler.tell_silence(NOW + 71 * SECOND, None)
    assert await world.events() == [], "its clock is a second behind the broker's"
    await replica.handler.tell_silence(NOW + 72 * SECOND, None)
    await replica.handler.tell_silence(NOW + 73 * SECOND, None)
    assert await world.events() == [("host-a", 70, None, None)]
    await (await world.replica()).take(world.record(80, 0))
    assert await world.events() == [("host-a", 70, 80, "heard")]


async def test_silence_that_is_ours_stays_excused_when_everything_is_read_again(world: World) -> None:
    await world.rule("heartbeat", 60)
    replica = await world.replica()
    await replica.take(*world.every_ten(0, 0))
    await replica.handler.tell_silence(NOW + 300 * SECOND, NOW + 300 * SECOND)
    replica.handler.assign([0], 1)
    await replica.handler.tell_silence(NOW + 359 * SECOND, None)
    assert await world.events() == []
    await replica.handler.tell_silence(NOW + 362 * SECOND, None)
    assert [event[1] for event in await world.events()] == [359]


async def test_forged_and_bad_records_judge_nothing_and_are_passed(world: World) -> None:
    await world.rule(seconds=0)
    replica = await world.replica()
    forged = signed(sample("host-a", cpu=95), host_key("host-b"), offset=0)
    await replica.take(forged, FakeMessage(b"{", offset=1), FakeMessage(b"", offset=2))
    assert await world.events() == []
    assert await world.admin.fetchval("SELECT next_offset FROM consumer_offsets") == 3
    assert await world.admin.fetchval("SELECT count(*) FROM dead_letters") == 0, "they are ingest's"


loads = st.lists(
    st.tuples(st.sampled_from(["host-a", "host-b"]), st.sampled_from([0.0, 85.0, 95.0])), min_size=1, max_size=40
)
cuts = st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["go on", "restart", "read again"])), max_size=6)


@given(loads, cuts)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_cut_restart_and_repetition_finds_the_same_events(
    world: World, load: Sequence[tuple[str, float]], cuts: Sequence[tuple[int, str]]
) -> None:
    await world.admin.execute("DELETE FROM alerts")
    await world.rule(seconds=20, clear_threshold=80.0)
    records = [world.record(5 * number, cpu, host) for number, (host, cpu) in enumerate(load)]

    async def events_of(cut: Sequence[tuple[int, str]]) -> list[tuple[Any, ...]]:
        for table in ("alert_events", "alert_states", "alert_hosts", "alert_histories", "consumer_offsets", "notices"):
            await world.admin.execute(f"DELETE FROM {table}")
        replica = await world.replica()
        ends = sorted({min(place, len(records)) for place, _ in cut} | {0, len(records)})
        what = dict(cut)
        for begin, end in pairwise(ends):
            if what.get(begin) == "restart":
                replica.pool.terminate()
                replica = await world.replica()
            await replica.take(*records[0 if what.get(begin) == "read again" else begin : end])
        replica.pool.terminate()
        return await world.events()

    assert await events_of(cuts) == await events_of([])
