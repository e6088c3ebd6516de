"""Faults of drift: killed; snapshots that come twice, late, poisonous, too large, of other versions, in other words.

What must have become of the records is judged after every scene, by ``drifts.judge``.
"""

import asyncio
import json
import random
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from faults import verdicts
from faults.drift_verdicts import refused
from faults.drifts import Letter, events_topic, kept, letters
from faults.scenes_processes import kill_one_of
from faults.snapshot_load import Changing
from faults.verdicts import Check, at_least, at_most
from faults.world import World, aside
from infrawatch_common.drift.changes import Action, Category, Change
from infrawatch_common.drift.stories import Dated, stories
from ledger import producer, send
from poisons import snapshot_poisons
from records import body, host_key, signature
from snapshots import debian_packages, upgraded
from stack import Service, eventually

_RATE = 200
_RECORDS = "infrawatch_drift_records_total"
_HOUR = timedelta(hours=1)


def _environment(world: World, **settings: Any) -> dict[str, str]:
    return world.environment(drift_events_topic=events_topic(world), **settings)


async def _start(world: World, **settings: Any) -> Service:
    return await world.drift(_environment(world, **settings))


async def killed(world: World) -> None:
    """SIGKILL of one of two replicas at random, again and again, while configurations change and change back."""
    chance = random.Random(25)
    replicas = [await _start(world), await _start(world)]
    async with world.under_load(_RATE, Changing(25, length=5)):
        await kill_one_of(world, replicas, f'{_RECORDS}{{outcome="stored"}}', chance, world.scale.times(20, at_least=3))


async def repeated(world: World) -> None:
    """Every tenth snapshot is sent twice; afterwards another group reads the whole topic again."""
    chance = random.Random(15)
    changing = Changing(15, length=5)

    def shape(record: dict[str, Any]) -> Sequence[dict[str, Any]]:
        return [*changing(record)] * (2 if chance.random() < 0.1 else 1)

    await _start(world)
    async with world.under_load(_RATE, shape):
        await asyncio.sleep(world.scale.seconds(120, at_least=5))
    await world.caught_up(60)
    before = set(await kept(world.database))
    again = await _start(world, kafka_group=f"{world.group}-replay")
    sent = sum((await world.read_group()).ends.values())

    async def replayed() -> bool:
        return again.metric(f'{_RECORDS}{{outcome="duplicate"}}') >= sent

    await eventually(replayed, 120)
    changed = len(before ^ set(await kept(world.database)))
    world.checks.append(at_most("replay", "changes new or other after the replay", changed, 0))
    world.checks.append(at_least("twice", "snapshots sent twice", sent - len(world.load.acknowledged), 0.05 * sent))


async def late(world: World) -> None:
    """A third of the snapshots is an hour late, and all come in wild order: each finds its place."""
    chance = random.Random(16)
    changing = Changing(16, length=5)

    def shape(record: dict[str, Any]) -> Sequence[dict[str, Any]]:
        (now,) = changing(record)
        back = chance.choice([timedelta(0), timedelta(seconds=chance.uniform(0, 60)), _HOUR])
        then = datetime.fromisoformat(now["timestamp"]) - back
        return [{**now, "timestamp": then.isoformat().replace("+00:00", "Z")}]

    await _start(world)
    async with world.under_load(_RATE / 2, shape):
        await asyncio.sleep(world.scale.seconds(120, at_least=5))


async def poisoned(world: World) -> None:
    """Every kind of poison among good snapshots, again and again, with a kill in between."""
    drift = await _start(world)
    expected: set[Letter] = set()
    async with world.under_load(_RATE, Changing(20, length=5)) as sending:
        await world.flows()
        for number in range(world.scale.times(60, at_least=2)):
            expected |= await _poison(world, sending)
            if number % 5 == 1:
                await world.kill(drift)
                await world.start(drift)
            await asyncio.sleep(1.0)
    await world.caught_up(60)
    world.checks.append(refused(await letters(world.database), expected))


async def _poison(world: World, sending: AIOKafkaProducer) -> set[Letter]:
    sent: set[Letter] = set()
    for kind in snapshot_poisons(world.load.next_record("host-0")):
        record = world.load.next_record("host-0")
        value, reason = snapshot_poisons(record)[kind]
        sent.add(await _send_bad(world, sending, record, value, reason))
    return sent


async def _send_bad(
    world: World, sending: AIOKafkaProducer, record: Mapping[str, Any], value: bytes | None, reason: str
) -> Letter:
    world.load.attempted.add(record["id"])
    host = record["host_id"]
    headers = [signature(host_key(host), value, world.topics.snapshots)] if value else []
    where = await sending.send_and_wait(world.topics.snapshots, value, key=host.encode(), headers=headers)
    return where.topic, where.partition, where.offset, reason


_MEGABYTE = 27_000  # packages, as JSON
_TEN_MEGABYTES = 270_000
_STEADY_ROUNDS = 4
_MOST_MEMORY = 300.0  # MB


async def oversized(world: World) -> None:
    """Snapshots of 1 MB are kept; 10 MB are refused by the broker and, where it takes them, by drift, as are 50,000
    variables. Memory stays as it is.
    """
    await _start(world)
    large = {host: debian_packages(_MEGABYTE, seed=number) for number, host in enumerate(world.load.host_ids)}
    rounds = world.scale.times(30, at_least=3)
    async with producer(world.topics) as sending:
        await _send_large(world, sending, large, _STEADY_ROUNDS, seed=1)
        await world.caught_up(120)
        begin = time.monotonic()
        expected = await _send_huge(world, sending)
        await _send_large(world, sending, large, rounds, seed=100)
        await world.caught_up(300)
    world.checks.append(refused(await letters(world.database), expected))
    during = [one for one in world.vitals if one.at >= begin]
    world.checks.append(verdicts.bounded_memory(during, 0.0))
    top = max(one.rss for one in world.vitals) / 2**20
    world.checks.append(at_most("M peak", "MB", top, _MOST_MEMORY))


async def _send_large(
    world: World, sending: AIOKafkaProducer, large: Mapping[str, Mapping[str, str]], rounds: int, seed: int
) -> None:
    """Snapshots of a megabyte, of which one in two differs from the one before in a hundredth of its packages."""
    for number in range(rounds):
        for host, packages in large.items():
            now = upgraded(packages, _MEGABYTE // 100, seed + number // 2)
            record = world.load.next_record(host) | {"packages": {"dpkg": now}}
            world.load.attempted.add(record["id"])
            await (await send(sending, world.topics, record))
            world.load.note(record)


async def _send_huge(world: World, sending: AIOKafkaProducer) -> set[Letter]:
    record = world.load.next_record("host-0") | {"packages": {"dpkg": debian_packages(_TEN_MEGABYTES)}}
    value = body(record)
    async with producer(world.topics) as another:  # one that was refused something counts wrong from then on
        try:
            await _send_bad(world, another, record, value, "")
            by_broker = "taken"
        except MessageSizeTooLargeError:
            by_broker = "refused"
    world.checks.append(Check("broker", by_broker == "refused", f"{len(value):,} bytes {by_broker}", "refused"))
    await aside(partial(_let_broker_take, world, 2 * len(value)))
    many = world.load.next_record("host-1") | {"env_vars": {f"V{number}": "x" for number in range(50_000)}}
    return {
        await _send_bad(world, sending, record, value, "too_large"),
        await _send_bad(world, sending, many, body(many), "too_large"),
    }


def _let_broker_take(world: World, most: int) -> None:
    admin = AdminClient({"bootstrap.servers": world.topics.bootstrap_servers})
    entry = ConfigEntry("max.message.bytes", str(most), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, world.topics.snapshots, incremental_configs=[entry])
    for done in admin.incremental_alter_configs([resource]).values():
        done.result(10)


async def versions(world: World) -> None:
    """Agents of three versions: with more fields, as it is, without what is optional; drift is upgraded rolling."""
    chance = random.Random(22)
    changing = Changing(22, length=5)

    def shape(record: dict[str, Any]) -> Sequence[dict[str, Any]]:
        (now,) = changing(record)
        newer = {
            **now,
            "schema": 2,
            "services": [{"name": "sshd", "ports": [22, None]}],
            "host": {**now["host"], "region": {"name": "north"}},
            "agent": {**now["agent"], "version": "2.0.0"},
        }
        older = {**now, "host": {"name": now["host"]["name"]}}
        return [chance.choice([newer, now, older])]

    replicas = [await _start(world), await _start(world)]
    async with world.under_load(_RATE, shape):
        for _ in range(world.scale.times(10, at_least=1)):
            for replica in replicas:
                await world.flows()
                await world.stop(replica)
                await world.start(replica)
    found = len(await letters(world.database))
    world.checks.append(at_most("ignored", "snapshots with other fields refused", found, 0))


async def rewritten(world: World) -> None:
    """The same is said with keys in another order, white space and escapes, while one package goes back and forth.

    That package alone is drift, each time once, and all that it did is one story.
    """
    flapping = _Flapping(seed=25)
    world.load.form = _Untidy(25)
    await _start(world)
    async with world.under_load(_RATE, flapping):
        await asyncio.sleep(world.scale.seconds(60, at_least=5))
    await world.caught_up(60)
    found = await kept(world.database)
    world.checks.append(at_most("false", "changes of anything else", sum(one.name != _FLAPS for one in found), 0))
    world.checks.append(Check("each once", len(found) == flapping.turns, f"{len(found)} changes", f"{flapping.turns}"))
    told = {host: stories([_dated(one) for one in found if one.host_id == host], _HOUR) for host in world.load.host_ids}
    most = max(len(each) for each in told.values())
    returns = sum(len(each[0].values) == 2 for each in told.values() if each)
    world.checks.append(at_most("stories", "stories of a host", most, 1))
    world.checks.append(at_least("returns", "hosts whose story is of two versions", returns, len(told) / 2))


_FLAPS = "flapping"


class _Flapping:
    """One package of each host has one of two versions, by chance; ``turns`` counts how often that changed."""

    def __init__(self, seed: int) -> None:
        self.turns = 0
        self._chance = random.Random(seed)
        self._newer: dict[str, bool] = {}

    def __call__(self, record: dict[str, Any]) -> Sequence[dict[str, Any]]:
        host = record["host_id"]
        before = self._newer.get(host)
        now = before is True if self._chance.random() < 0.8 else not before
        self.turns += before is not None and now != before
        self._newer[host] = now
        packages = {**record["packages"]["dpkg"], _FLAPS: "1.10-1" if now else "1.9-1"}
        return [{**record, "packages": {"dpkg": packages}}]


class _Untidy:
    """Writes the same record in another way each time."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def __call__(self, record: dict[str, Any]) -> bytes:
        indent = self._chance.choice([None, None, 1, "\t"])
        separators = self._chance.choice([(",", ":"), (" ,  ", " : "), (",\r\n", ":\t")])
        text = json.dumps(self._shuffled(record), indent=indent, separators=separators)
        # A letter may be written as its number.
        return text.replace("a", "\\u0061").encode() if self._chance.random() < 0.3 else text.encode()

    def _shuffled(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        names = self._chance.sample(list(value), len(value))
        return {name: self._shuffled(value[name]) for name in names}


def _dated(one: Any) -> Dated:
    change = Change(
        Category(one.category), one.source, one.name, Action(one.action), one.before, one.after, one.direction
    )
    return Dated(one.at, change)
