"""Faults of the database and the broker, and of the network in between."""

import asyncio
import time
from functools import partial

from faults.network import island
from faults.verdicts import Span, at_most, progresses, stands_still
from faults.world import SESSION_TIMEOUT, World, aside
from stack import Service

RECONNECTED = SESSION_TIMEOUT + 10.0
_ROUND_TRIP = 0.5
_LONGEST_BACK_OFF = 3.0
# Offsets are committed ten seconds after the last time, once the batch in hand is written, which takes up to eight
# round trips, and then five more; the group is looked at twice a second.
_SLOW_PACE = 10.0 + 13 * _ROUND_TRIP + 1.0
# Half-open costs as long as a statement may take, for the answer that never comes; judged with the usual session.
_USUAL_SESSION = 10.0
STATEMENT_GIVEN_UP = _USUAL_SESSION + 10.0
# A connection that was cut off sends again at growing intervals.
_REPEATED = RECONNECTED


async def database_restarted(world: World) -> None:
    """``pg_ctl restart -m immediate``, again and again: connections break, and the server recovers from its log."""
    await world.ingest()
    async with world.under_load():
        for _ in range(world.scale.times(10, at_least=3)):
            await world.flows()
            async with world.broken("database", world.stack.database.restart_immediately):
                pass
        await world.recovers(15)


async def database_down(world: World) -> None:
    """No database: offsets stand still, the member stays, and readiness says so."""
    await world.ingest()
    async with world.under_load():
        await world.flows()
        before = world.stack.rebalances(world.group)
        async with world.broken("database", world.stack.database.start):
            await aside(world.stack.database.stop)
            await asyncio.sleep(world.scale.seconds(120, at_least=12))
        await world.recovers(60)
    down = world.faults[-1]
    world.checks.append(stands_still(world.readings, down))
    world.checks.append(at_most("G", "rebalances", world.stack.rebalances(world.group) - before, 0))


async def database_slow(world: World) -> None:
    """Half a second more for each answer of the database: slow, and steady."""
    database = world.proxy(world.database_port())
    await world.ingest(world.environment(database=database))
    async with world.under_load(rate=500):
        await world.flows()
        before = world.stack.rebalances(world.group)
        begin = time.monotonic()
        database.delay = _ROUND_TRIP / 2
        await asyncio.sleep(world.scale.seconds(120, at_least=14))
        end = time.monotonic()
        database.delay = 0.0
        world.healed()
        await world.recovers(RECONNECTED)
    world.checks.append(progresses(world.readings, begin, end, every=_SLOW_PACE))
    world.checks.append(at_most("G", "rebalances", world.stack.rebalances(world.group) - before, 0))


async def table_locked(world: World) -> None:
    """Table metrics locked for longer than a statement may take, and longer than the watchdog's patience."""
    locked = world.scale.seconds(60, at_least=15)
    statement = locked / 5
    await world.ingest(world.environment(database_timeout=statement, job_timeout=statement, stall_timeout=locked / 2))
    async with world.under_load():
        await world.flows()
        before = world.stack.rebalances(world.group)
        async with world.database.admin() as connection, connection.transaction():
            await connection.execute("LOCK TABLE metrics IN ACCESS EXCLUSIVE MODE")
            begin = time.monotonic()
            await asyncio.sleep(locked)
        # a statement is given up before its lock is granted, and the next one comes after a pause
        world.healed()
        mended = world.healed_at + statement + _LONGEST_BACK_OFF
        world.faults.append(Span("consumer", begin + statement, world.healed_at, mended))
        # it may say so before: no record is done
        world.faults.append(Span("consumer", begin, begin, begin + statement))
        await world.recovers(RECONNECTED)
    world.checks.append(at_most("G", "rebalances", world.stack.rebalances(world.group) - before, 0))


async def broker_restarted(world: World) -> None:
    """The broker killed and started again, then away for five minutes."""
    await world.ingest()
    async with world.under_load(rate=500):
        await world.flows()
        async with world.broken("kafka", world.stack.kafka.start):
            await aside(world.stack.kafka.kill)
        await world.recovers(RECONNECTED)
        async with world.broken("kafka", world.stack.kafka.start):
            await aside(world.stack.kafka.kill)
            await asyncio.sleep(world.scale.seconds(300, at_least=6))
        await world.recovers(RECONNECTED)


async def partitioned(world: World) -> None:
    """A network that swallows every packet between ingest and both servers, longer than the session lasts."""
    stack = world.stack
    cable = world.cleanup.enter_context(island(stack.island_network))
    database = world.proxy(world.database_port(), cable.outside)
    broker = world.proxy(stack.behind_island, cable.outside, stack.island)
    environment = world.environment(database=database, broker=broker.address, http_host=cable.health)
    world.make_service = partial(Service, within=cable.command(()))
    ingest = await world.ingest(environment)
    async with world.under_load(rate=500):
        await world.flows()
        begin = time.monotonic()
        cable.part()
        await asyncio.sleep(world.scale.seconds(60, at_least=SESSION_TIMEOUT + 6))
        world.healed()
        cable.join()
        world.faults += [
            Span(name, begin, world.healed_at, world.healed_at + _REPEATED) for name in ("kafka", "database")
        ]
        await world.recovers(RECONNECTED)
    assert ingest.running()


async def half_open_database(world: World) -> None:
    """The database's connections die and nobody is told; new ones would work. The times are those of the defaults."""
    database = world.proxy(world.database_port())
    await world.ingest(world.environment(database=database, kafka_session_timeout=_USUAL_SESSION))
    async with world.under_load():
        for _ in range(world.scale.times(5, at_least=1)):
            await world.flows()
            database.strand()
            world.healed()
            world.faults.append(
                Span("database", world.healed_at, world.healed_at, world.healed_at + STATEMENT_GIVEN_UP)
            )
            await world.recovers(STATEMENT_GIVEN_UP)


async def half_open_broker(world: World) -> None:
    """The broker's connections die and nobody is told; new ones would work."""
    broker = world.proxy(world.stack.behind_proxy, port=world.stack.proxied)
    await world.ingest(world.environment(broker=broker.address))
    async with world.under_load():
        for _ in range(world.scale.times(5, at_least=1)):
            await world.flows()
            broker.strand()
            world.healed()
            world.faults.append(Span("kafka", world.healed_at, world.healed_at, world.healed_at + RECONNECTED))
            await world.recovers(RECONNECTED)


async def lossy(world: World) -> None:
    """5 % loss and 300 ms latency towards both servers."""
    database = world.proxy(world.database_port())
    broker = world.proxy(world.stack.behind_proxy, port=world.stack.proxied)
    await world.ingest(world.environment(database=database, broker=broker.address))
    async with world.under_load(rate=500):
        await world.flows()
        before = world.stack.rebalances(world.group)
        begin = time.monotonic()
        for proxy in (database, broker):
            proxy.delay, proxy.loss = 0.15, 0.05
        await asyncio.sleep(world.scale.seconds(120, at_least=12))
        end = time.monotonic()
        for proxy in (database, broker):
            proxy.delay = proxy.loss = 0.0
        world.healed()
        await world.recovers(RECONNECTED)
    world.checks.append(progresses(world.readings, begin, end, every=_SLOW_PACE))
    world.checks.append(at_most("G", "rebalances", world.stack.rebalances(world.group) - before, 0))


async def cut(world: World) -> None:
    """Every connection to both servers reset, again and again."""
    database = world.proxy(world.database_port())
    broker = world.proxy(world.stack.behind_proxy, port=world.stack.proxied)
    await world.ingest(world.environment(database=database, broker=broker.address))
    async with world.under_load():
        for _ in range(world.scale.times(20, at_least=3)):
            await world.flows()
            database.cut()
            broker.cut()
            world.healed()
            world.faults.append(Span("kafka", world.healed_at, world.healed_at, world.healed_at))
        await world.recovers(RECONNECTED)
