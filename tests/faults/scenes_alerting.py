"""Faults of alerting: killed, away, records that come twice or late, restless hosts."""

import asyncio
import random
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import uuid4

from faults.alerts import (
    BUSY,
    CALM,
    Rule,
    Waves,
    add_hosts,
    add_rules,
    compare_with_undisturbed,
    firings,
)
from faults.scenes_processes import kill_one_of
from faults.verdicts import at_least, at_most
from faults.world import World
from ledger import producer, send
from records import sample
from stack import Topics, eventually, fresh_topics

_JUDGED = 'infrawatch_alerting_records_total{outcome="judged"}'
_REPEATED = 'infrawatch_alerting_records_total{outcome="repeated"}'
_HOUR = timedelta(hours=1)
_INTERVAL = timedelta(seconds=10)
_AT_A_TIME = 10_000


async def killed(world: World) -> None:
    """SIGKILL of one of two replicas at random, while much is pending, fires and ends."""
    chance = random.Random(18)
    rules = await _begin(world, Rule(), Rule(seconds=0.5), Rule(seconds=3))
    replicas = [await world.alerting(), await world.alerting()]
    async with world.under_load(shape=Waves(18, length=75)):
        await kill_one_of(world, replicas, _JUDGED, chance, world.scale.times(20, at_least=3))
    await compare_with_undisturbed(world, rules)


async def away(world: World) -> None:
    """Alerting is killed for half an hour by the hosts' clocks; then it works off what has come."""
    rules = await _begin(world, Rule(), Rule(seconds=60), Rule("heartbeat", 120, None))
    alerting = await world.alerting()
    shape = Waves(7, length=8)
    start = datetime.now(UTC) - timedelta(minutes=40)
    records = [
        record
        for number in range(240)
        for host in world.load.host_ids
        for record in shape(sample(host, number, start + number * _INTERVAL))
        if not (host == "host-0" and 100 <= number < 130)  # silent for five minutes meanwhile
    ]
    await _send(world.topics, records[:1200])
    await world.caught_up(60)
    await world.kill(alerting)
    await _send(world.topics, records[1200:])
    world.healed()
    await world.start(alerting)
    await world.caught_up(60)
    await compare_with_undisturbed(world, rules)
    async with world.database.admin() as connection:
        early = await connection.fetchval(
            "SELECT count(*) FROM alert_events WHERE NOT late AND fired_at < found_at - INTERVAL '1 minute'"
        )
    world.checks.append(at_most("late", "events found late and not marked so", early, 0))


async def an_hour_behind(world: World) -> None:
    """An hour of a thousand hosts: who judges it while it comes and who finds it as a backlog find the same."""
    rules = await _begin(
        world, Rule(), Rule(seconds=60), Rule(clear_threshold=50.0), Rule("memory"), Rule("heartbeat", 120, None)
    )
    await world.alerting()
    shape = Waves(60, length=30)
    samples = world.scale.times(360, at_least=30)
    start = datetime.now(UTC) - samples * _INTERVAL
    records = (
        record
        for number in range(samples)
        for host in world.load.host_ids
        for record in shape(sample(host, number, start + number * _INTERVAL))
    )
    await _send(world.topics, records)
    await compare_with_undisturbed(world, rules)


async def repeated(world: World) -> None:
    """Every tenth record is sent twice; afterwards another group reads the whole topic again."""
    chance = random.Random(15)
    waves = Waves(15, length=75)

    def shape(record: dict[str, Any]) -> Sequence[dict[str, Any]]:
        return [*waves(record)] * (2 if chance.random() < 0.1 else 1)

    rules = await _begin(world, Rule(), Rule(seconds=1))
    await world.alerting()
    async with world.under_load(shape=shape):
        await asyncio.sleep(world.scale.seconds(120, at_least=5))
    await world.caught_up(60)
    before = set(await firings(world.database))
    again = await world.alerting(world.environment(kafka_group=f"{world.group}-replay"))
    sent = sum((await world.read_group()).ends.values())

    async def replayed() -> bool:
        return again.metric(_REPEATED) >= sent

    await eventually(replayed, 120)
    changed = len(before ^ set(await firings(world.database)))
    world.checks.append(at_most("replay", "events new or changed after the replay", changed, 0))
    world.checks.append(at_least("twice", "records sent twice", sent - len(world.load.acknowledged), 0.05 * sent))
    await compare_with_undisturbed(world, rules)


async def late(world: World) -> None:
    """Records of an hour ago, which say the opposite, come among those of now: no state goes back."""
    chance = random.Random(16)
    waves = Waves(16, length=75)
    punctual: list[dict[str, Any]] = []

    def shape(record: dict[str, Any]) -> Sequence[dict[str, Any]]:
        (now,) = waves(record)
        punctual.append(now)
        if chance.random() > 1 / 3:
            return [now]
        then = datetime.fromisoformat(now["timestamp"]) - _HOUR
        stamp = then.isoformat().replace("+00:00", "Z")
        cpu = CALM if now["cpu"] == BUSY else BUSY
        return [now, {**now, "id": str(uuid4()), "timestamp": stamp, "cpu": cpu}]

    rules = await _begin(world, Rule(), Rule(seconds=1))
    begin = datetime.now(UTC)
    await world.alerting()
    async with world.under_load(shape=shape):
        await asyncio.sleep(world.scale.seconds(120, at_least=5))
    only = await fresh_topics(world.stack)
    await _send(only, punctual)
    await compare_with_undisturbed(world, rules, only, since=begin)


async def restless(world: World) -> None:
    """Values that flap inside and outside the hysteresis, gaps, silent hosts; alerting is killed again and again."""
    flapping, held, silent = Rule(clear_threshold=80.0), Rule(seconds=2), Rule("heartbeat", 2, None)
    rules = await _begin(world, flapping, held, silent)
    # A gap is three intervals: so they are short enough for seconds to hold some.
    alerting = await world.alerting(world.environment(reporting_interval=1))
    async with world.under_load(rate=200, shape=_Restless(26)):
        for _ in range(world.scale.times(10, at_least=1)):
            await asyncio.sleep(5.0)
            await world.kill(alerting)
            await world.start(alerting)
            await asyncio.sleep(4.0)
    await compare_with_undisturbed(world, rules, reporting_interval=1)
    found = await firings(world.database)
    fewest = min(sum(one.alert_id == rule.id and one.resolved_at is not None for one in found) for rule in rules)
    world.checks.append(at_least("kinds", "events of the rarest kind that ended", fewest, 1))


class _Restless:
    """A third of the hosts flaps around a threshold; the others step up and down, and now and then send nothing."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._waves = Waves(seed, length=15)
        self._silent_until: dict[str, float] = {}

    def __call__(self, record: dict[str, Any]) -> Sequence[dict[str, Any]]:
        host, now = record["host_id"], time.monotonic()
        if int(host.rpartition("-")[2]) % 3 == 0:
            return [{**record, "cpu": self._chance.choice((70.0, 85.0, BUSY))}]
        if now < self._silent_until.get(host, 0.0):
            return []
        if self._chance.random() < 0.05:
            self._silent_until[host] = now + self._chance.uniform(1, 5)
        return self._waves(record)


async def _begin(world: World, *rules: Rule) -> list[Rule]:
    """Hosts that are registered, and these rules."""
    await add_hosts(world.database, world.load.host_ids)
    await add_rules(world.database, rules)
    return list(rules)


async def _send(topics: Topics, records: Iterable[dict[str, Any]]) -> None:
    async with producer(topics) as sending:
        left = iter(records)
        while waiting := [await send(sending, topics, record) for record in islice(left, _AT_A_TIME)]:
            await asyncio.gather(*waiting)
