"""Faults of ingest's own processes: killed, stopped, suspended, joining and leaving."""

import asyncio
import random
import signal
import time
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer

from faults.verdicts import Span, at_least, at_most, p99_of_lag, progresses, recovered
from faults.world import SESSION_TIMEOUT, World
from stack import Service, eventually

_STORED = 'infrawatch_ingest_records_total{outcome="stored"}'
# A killed member holds its partitions until its session is over.
TAKEN_OVER = SESSION_TIMEOUT + 5.0
# One that is killed while it joins is counted in by the rebalance that it waited for, and only then has its session.
TAKEN_OVER_IN_A_ROW = 2 * SESSION_TIMEOUT + 5.0


async def killed(world: World) -> None:
    """SIGKILL of one of two replicas at random, again and again; it is started again at once."""
    chance = random.Random(4)
    replicas = [await world.ingest(), await world.ingest()]
    async with world.under_load():
        await kill_one_of(world, replicas, _STORED, chance, world.scale.times(50, at_least=4))


async def kill_one_of(world: World, replicas: Sequence[Service], done: str, chance: random.Random, times: int) -> None:
    """SIGKILL to any of them, so many times, every five seconds on the average; each is started again at once.

    The last one is killed when all are at work again, which ``done`` tells: the series that counts their records.
    """
    await eventually(lambda: _all_work(world, replicas, done))
    for _ in range(times - 1):
        await _kill(world, chance.choice(replicas))
        await asyncio.sleep(min(15.0, chance.expovariate(1 / world.scale.seconds(5, at_least=1.5))))
    await world.recovers(TAKEN_OVER_IN_A_ROW)
    world.checks.append(recovered(world.readings, world.healed_at, TAKEN_OVER_IN_A_ROW, world.baseline, rule="R row"))
    await eventually(lambda: _all_work(world, replicas, done))
    await _kill(world, chance.choice(replicas))
    await world.recovers(TAKEN_OVER)


async def _kill(world: World, victim: Service) -> None:
    await world.kill(victim)
    world.healed()
    world.launch(victim)


async def _all_work(world: World, replicas: Sequence[Service], done: str) -> bool:
    return all([await world.is_ready(replica) and replica.metric(done) > 0 for replica in replicas])


async def terminated(world: World) -> None:
    """SIGTERM under load, again and again: the batch in hand is finished, and nothing is done twice."""
    ingest = await world.ingest()
    replayed = []
    async with world.under_load(rate=3000):
        for _ in range(world.scale.times(20, at_least=3)):
            await world.flows()
            await world.stop(ingest)
            replayed.append(await _uncommitted(world))
            await world.start(ingest)
    world.checks.append(at_most("replay", "records written and not committed at a stop", max(replayed), 0))


async def _uncommitted(world: World) -> int:
    async with world.database.admin() as connection:
        written = await connection.fetchval(
            "SELECT (SELECT count(*) FROM metrics) + (SELECT count(*) FROM dead_letters)"
        )
    reading = await world.read_group()
    return int(written) - sum(reading.committed.values())


async def suspended(world: World) -> None:
    """SIGSTOP of one of two replicas for longer than its session; then it goes on as if it owned what it had."""
    always = world.environment(last_seen_interval=0)  # so that each transaction ends with an update of hosts
    zombie, heir = await world.ingest(always), await world.ingest(always)
    async with world.under_load():
        await world.flows()
        await _in_a_write(world, zombie)
        stopped = time.monotonic()
        await asyncio.sleep(world.scale.seconds(60, at_least=SESSION_TIMEOUT + 6))
        world.checks.append(recovered(world.readings, stopped, TAKEN_OVER, world.baseline))
        zombie.signal(signal.SIGCONT)
        world.healed()
        # it finds its transaction ended, and says so until the next one has succeeded
        world.faults.append(Span("consumer", stopped, stopped, world.healed_at + SESSION_TIMEOUT))
        await world.recovers(TAKEN_OVER)
        await asyncio.sleep(SESSION_TIMEOUT)
    assert heir.running()
    repeated = zombie.metric("infrawatch_ingest_database_retries_total")
    world.checks.append(at_least("fence", "transactions that it had to begin again", repeated, 1))


async def _in_a_write(world: World, victim: Service) -> None:
    """Suspend a replica near the end of a transaction: its rows are in the table, uncommitted and in the heir's way."""
    async with world.database.admin() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT FROM hosts ORDER BY id FOR NO KEY UPDATE")
        waiting = (
            "SELECT count(*) >= 2 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )

        async def both_wait() -> bool:
            return bool(await connection.fetchval(waiting))

        await eventually(both_wait)
        victim.signal(signal.SIGSTOP)
        await transaction.rollback()


async def storm(world: World) -> None:
    """A member joins and leaves every two seconds."""
    ingest = await world.ingest()
    before = world.stack.rebalances(world.group)
    async with world.under_load():
        await world.flows()
        begin = time.monotonic()
        while time.monotonic() < begin + world.scale.seconds(120, at_least=14):
            await _visit(world)
        end = time.monotonic()
        world.healed()
        await world.recovers(TAKEN_OVER)
    assert ingest.running()
    world.checks.append(progresses(world.readings, begin, end, every=10.0))
    rebalances = world.stack.rebalances(world.group) - before
    world.checks.append(at_least("storm", "rebalances", rebalances, (end - begin) / 8))


async def _visit(world: World) -> None:
    """Be a member for a second, and read nothing."""
    member = AIOKafkaConsumer(
        world.topics.metrics,
        bootstrap_servers=world.topics.bootstrap_servers,
        group_id=world.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=1024,
        session_timeout_ms=int(SESSION_TIMEOUT * 1000),
    )
    try:
        async with asyncio.timeout(SESSION_TIMEOUT + 4):
            await member.start()
        await asyncio.sleep(1.0)
    finally:
        await member.stop()
    await asyncio.sleep(1.0)


async def soak(world: World) -> None:
    """An even load for an hour: nothing grows."""
    await world.ingest()
    async with world.under_load(rate=500):
        await asyncio.sleep(world.scale.seconds(3600, at_least=20))


async def loaded(world: World) -> None:
    """80 % of what it drains, for ten minutes: the lag stays short."""
    ceiling = await drain_rate(world)
    rate = 0.8 * ceiling
    async with world.under_load(rate):
        await world.flows()
        begin = time.monotonic()
        await asyncio.sleep(world.scale.seconds(600, at_least=8))
    p99 = p99_of_lag(world.readings, world.vitals, begin + 3)
    world.checks.append(at_most("p99", f"s to the row, at {rate:,.0f} of {ceiling:,.0f} records/s", p99, 2.0))


async def overloaded(world: World) -> None:
    """150 % of what it drains, for five minutes: the lag grows, memory does not; then it drains as fast as before."""
    idle = await drain_rate(world)
    async with world.under_load(1.5 * idle):
        await world.flows()
        before = world.readings[-1]
        await asyncio.sleep(world.scale.seconds(300, at_least=15))
        top = world.readings[-1]
    world.checks.append(at_least("grows", "records of lag more than before", top.lag - before.lag, idle))
    after = await _rate_until_drained(world)
    world.checks.append(at_least("drain", f"of the idle rate ({idle:,.0f} records/s)", after / idle, 0.9))


async def drain_rate(world: World) -> float:
    """Start an ingest on the backlog of a warm-up, and measure.

    Its database is 10 ms away and its batches are small: the load of one machine can then be more than it drains.
    """
    database = world.proxy(world.database_port())
    database.delay = 0.005
    await world.ingest(world.environment(database=database, batch_max_records=500))
    return await _rate_until_drained(world)


async def _rate_until_drained(world: World) -> float:
    """Rows a second, from now on while there is a backlog worth the name.

    By the process's own count, since offsets are committed in steps of a second.
    """
    begin = time.monotonic()
    await world.caught_up(300)
    await asyncio.sleep(1.0)
    course = [(one.at, one.stored) for one in world.vitals if one.at >= begin and one.stored]
    all_stored = course[-1][1]
    full = [(at, stored) for at, stored in course if all_stored - stored > 500]
    (began, first), (ended, last) = full[0], full[-1]
    return (last - first) / (ended - began)
