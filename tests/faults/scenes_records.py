"""Faults of the records themselves: repeated, late, of another version, poisonous, or refused by the database."""

import asyncio
import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from aiokafka import AIOKafkaProducer

from faults.verdicts import Check, at_least, at_most
from faults.world import World
from poisons import poisons
from records import host_key, signature
from stack import eventually

_REFUSED_CPU = 66.25
_BATCH = 5000


async def repeated(world: World) -> None:
    """Every tenth record is sent twice; afterwards the whole topic is read again."""
    chance = random.Random(15)

    def shape(record: dict[str, Any]) -> Sequence[dict[str, Any]]:
        return [record, record] if chance.random() < 0.1 else [record]

    await world.ingest()
    async with world.under_load(shape=shape):
        await asyncio.sleep(world.scale.seconds(120, at_least=4))
    await world.caught_up(60)
    rows = await _rows(world)
    again = await world.ingest(world.environment(kafka_group=f"{world.group}-replay"))
    reading = await world.read_group()

    async def replayed() -> bool:
        done = again.metric('infrawatch_ingest_records_total{outcome="duplicate"}')
        return done >= sum(reading.ends.values())

    await eventually(replayed, 120)
    world.checks.append(at_most("rows", "rows more after the replay", await _rows(world) - rows, 0))
    sent = sum(reading.ends.values())
    world.checks.append(at_least("twice", "records sent twice", sent - len(world.load.acknowledged), 0.05 * sent))


async def late(world: World) -> None:
    """A third of the records comes an hour late, and all in wild order: stored, and ``last_seen`` never goes back."""
    chance = random.Random(16)

    def shape(record: dict[str, Any]) -> Sequence[dict[str, Any]]:
        stamp = datetime.now(UTC) - timedelta(seconds=chance.choice([0, chance.uniform(0, 60), 3600]))
        return [{**record, "timestamp": stamp.isoformat().replace("+00:00", "Z")}]

    await world.ingest(world.environment(last_seen_interval=0))
    seen: list[dict[str, datetime]] = []
    async with world.under_load(shape=shape), world.database.admin() as connection:
        for _ in range(world.scale.times(240, at_least=8)):
            await asyncio.sleep(0.5)
            rows = await connection.fetch("SELECT id, last_seen FROM hosts WHERE last_seen IS NOT NULL")
            seen.append({row["id"]: row["last_seen"] for row in rows})
    back = sum(1 for one, following in pairwise(seen) for host, when in one.items() if following[host] < when)
    world.checks.append(Check("last_seen", bool(seen[-1]) and back == 0, f"{back} went back", "0"))


async def versions(world: World) -> None:
    """Agents of this version and of one to come, whose records have more fields, while ingest is upgraded rolling."""
    chance = random.Random(22)

    def shape(record: dict[str, Any]) -> Sequence[dict[str, Any]]:
        newer = {
            **record,
            "schema": 2,
            "load": [0.5, 0.25, None],
            "gpu": {"0": {"used": 12.5}},
            "agent": {**record["agent"], "version": "2.0.0"},
        }
        return [newer if chance.random() < 0.5 else record]

    replicas = [await world.ingest(), await world.ingest()]
    async with world.under_load(shape=shape):
        for _ in range(world.scale.times(10, at_least=1)):
            for replica in replicas:
                await world.flows()
                await world.stop(replica)
                await world.start(replica)
    letters = await _count(world, "SELECT count(*) FROM dead_letters")
    world.checks.append(at_most("ignored", "records with unknown fields refused", letters, 0))


async def poisoned(world: World) -> None:
    """Every kind of poison among good records, again and again, with a kill in between."""
    ingest = await world.ingest()
    expected = set()
    async with world.under_load() as sending:
        await world.flows()
        for number in range(world.scale.times(60, at_least=2)):
            expected |= await _poison(world, sending)
            if number % 5 == 1:
                await world.kill(ingest)
                await world.start(ingest)
            await asyncio.sleep(1.0)
    await world.caught_up(60)
    async with world.database.admin() as connection:
        letters = await connection.fetch('SELECT topic, partition, "offset", reason FROM dead_letters')
    found = [tuple(letter) for letter in letters]
    missing = len(expected - set(found))
    more = len(found) - len(expected)
    world.checks.append(
        Check("letters", not missing and not more, f"{missing} missing, {more} too many of {len(expected)}", "0, 0")
    )


async def _poison(world: World, sending: AIOKafkaProducer) -> set[tuple[str, int, int, str]]:
    sent = set()
    for kind in poisons(world.load.next_record("host-0")):
        record = world.load.next_record("host-0")
        world.load.attempted.add(record["id"])
        value, reason = poisons(record)[kind]
        headers = [signature(host_key("host-0"), value, world.topics.metrics)] if value else []
        where = await sending.send_and_wait(world.topics.metrics, value, key=b"host-0", headers=headers)
        sent.add((where.topic, where.partition, where.offset, reason))
    return sent


async def refused_by_database(world: World) -> None:
    """One record of 5,000 that the database alone refuses: its neighbours are stored, in few attempts."""
    async with world.database.admin() as connection:
        await connection.execute(f"ALTER TABLE metrics ADD CONSTRAINT refused CHECK (cpu <> {_REFUSED_CPU})")
    bad = world.scale.times(50, at_least=1)

    def shape(record: dict[str, Any]) -> Sequence[dict[str, Any]]:
        sequence = record["agent"]["sequence"]
        refused = record["host_id"] == "host-0" and sequence % (_BATCH // world.load.hosts) == 100
        return [{**record, "cpu": _REFUSED_CPU}] if refused else [record]

    async with world.under_load(rate=20_000, shape=shape):
        while len(world.load.acknowledged) < bad * _BATCH:  # noqa: ASYNC110 - sent meanwhile
            await asyncio.sleep(0.02)
    ingest = await world.ingest()
    await world.caught_up(120)
    letters = await _count(world, "SELECT count(*) FROM dead_letters WHERE reason = 'refused_by_database'")
    sent = math.ceil((len(world.load.acknowledged) / world.load.hosts - 99) / (_BATCH / world.load.hosts))
    world.checks.append(Check("letters", letters == sent, f"{letters} dead letters", f"{sent}"))
    splits = ingest.metric("infrawatch_ingest_split_batches_total") / max(1, letters)
    world.checks.append(at_most("retries", "splits a bad record", splits, math.log2(_BATCH) + 2))


async def _rows(world: World) -> int:
    return await _count(world, "SELECT count(*) FROM metrics")


async def _count(world: World, query: str) -> int:
    async with world.database.admin() as connection:
        return int(await connection.fetchval(query))
