"""Rollup, retention and chunks: what the jobs leave in the database, wherever they are stopped."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from infrawatch_common.database import Pool
from infrawatch_common.events import decode_sample
from infrawatch_common.events.batch import Batch, sort_out
from infrawatch_common.events.judgement import Rules
from infrawatch_common.jobs import TakenError
from infrawatch_ingest.domain.hours import MARK_HOLDS
from infrawatch_ingest.metrics import IngestMetrics
from infrawatch_ingest.store import Store
from infrawatch_ingest.store_jobs import JobStore
from infrawatch_ingest.store_marks import HourMarks
from infrawatch_ingest.store_streams import Streams
from records import host_key, sample, signed
from stack import Database, eventually

HOUR, DAY, NO_DELAY = timedelta(hours=1), timedelta(days=1), timedelta(0)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
YESTERDAY = TODAY - DAY
HOSTS = [f"host-{number}" for number in range(40)]
KEYS = {key.id: key for key in map(host_key, HOSTS)}
RULES = Rules(accept_unsigned=False, clock_tolerance=300.0, retention=3650 * 86_400.0)

# What metrics_hourly must hold, computed from the raw samples by themselves.
FROM_RAW = """
SELECT host_id, date_trunc('hour', timestamp, 'UTC') AS hour, count(*), min(cpu), avg(cpu), max(cpu), min(memory),
       avg(memory), max(memory), min(disk), avg(disk), max(disk), (array_agg(uptime ORDER BY timestamp DESC))[1]
FROM metrics GROUP BY 1, 2 ORDER BY 1, 2
"""
HOURLY = "SELECT * FROM metrics_hourly ORDER BY host_id, hour"
WAITS_FOR_LONG = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
               AND clock_timestamp() - query_start > interval '0.5 s')
"""


class World:
    """One replica's stores, and a look into the database."""

    def __init__(self, pool: Pool, admin: Any) -> None:
        self.now = 0.0
        marks = HourMarks(lambda: self.now)
        self.streams = Streams(pool, 100, 50, timedelta(seconds=30))
        self.store = Store(pool, IngestMetrics(CollectorRegistry()), self.streams, marks)
        self.jobs = JobStore(pool, 60)
        self.pool = pool
        self.admin = admin

    async def write(self, *records: dict[str, Any]) -> None:
        messages = [
            signed(record, offset=number, appended_at=datetime.now(UTC)) for number, record in enumerate(records)
        ]
        batch: Batch[Any, Any] = sort_out(messages, KEYS, RULES, decode_sample)
        assert not batch.refused
        await self.store.write(batch)

    async def roll_up_all(self, most: int = 500) -> int:
        """As it happens after the delay, when no writer relies on a mark of an hour that is over."""
        self.now += MARK_HOLDS
        total = 0
        while done := (await self.jobs.roll_up(NO_DELAY, most)).done:
            total += done
        return total

    async def hourly_is_recomputation(self) -> bool:
        hourly = [tuple(row) for row in await self.admin.fetch(HOURLY)]
        raw = [tuple(row) for row in await self.admin.fetch(FROM_RAW)]
        return len(hourly) == len(raw) and all(
            mine[:3] == theirs[:3] and mine[3:] == pytest.approx(theirs[3:])
            for mine, theirs in zip(hourly, raw, strict=True)
        )

    async def pending(self) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.admin.fetch("SELECT host_id, hour FROM rollup_pending ORDER BY 2, 1")]

    async def chunks(self) -> int:
        return int(await self.admin.fetchval("SELECT count(*) FROM show_chunks('metrics')"))


@pytest.fixture
async def world(database: Database, make_pool: Callable[..., Pool]) -> Any:
    async with database.admin() as admin:
        yield World(await make_pool(), admin)


def scattered(count: int, *, start: datetime = YESTERDAY, hours: int = 24, seed: int = 1) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        sample(
            rng.choice(HOSTS),
            number,
            start + HOUR * hours * rng.random(),
            cpu=round(rng.uniform(0, 100), 3),
            memory=round(rng.uniform(0, 100), 3),
            disk=round(rng.uniform(0, 100), 3),
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("most", [7, 500])
async def test_every_hour_that_is_over_is_what_its_raw_samples_say(world: World, most: int) -> None:
    await world.write(*scattered(3000, start=YESTERDAY - 2 * DAY, hours=72))
    await world.roll_up_all(most)
    assert await world.hourly_is_recomputation()
    assert await world.pending() == []


async def test_late_samples_repair_the_hours_that_were_rolled_up_without_them(world: World) -> None:
    for seed in range(3):
        await world.write(*scattered(500, seed=seed))
        await world.roll_up_all()
        assert await world.hourly_is_recomputation()


async def test_a_batch_that_is_read_again_leaves_the_rollup_as_it_was(world: World) -> None:
    records = scattered(500)
    await world.write(*records)
    await world.roll_up_all()
    before = await world.admin.fetch(HOURLY)
    await world.write(*records)
    await world.roll_up_all()
    assert await world.admin.fetch(HOURLY) == before


async def test_an_hour_waits_until_it_is_over_and_its_mark_is_old_enough(world: World) -> None:
    now = datetime.now(UTC)
    await world.write(sample("host-1", 1, now), sample("host-1", 2, YESTERDAY))
    assert (await world.jobs.roll_up(timedelta(minutes=5), 500)).done == 0
    assert (await world.jobs.roll_up(NO_DELAY, 500)).done == 1
    assert [hour for _, hour in await world.pending()] == [now.replace(minute=0, second=0, microsecond=0)]


Part = Callable[[JobStore], Coroutine[Any, Any, object]]
# What a part does, and a table without which it cannot.
WAITING_PARTS = [
    pytest.param(lambda jobs: jobs.roll_up(NO_DELAY, 500), "rollup_pending", id="what is due"),
    pytest.param(lambda jobs: jobs.roll_up(NO_DELAY, 500), "metrics_hourly", id="rollup"),
    pytest.param(lambda jobs: jobs.delete_dead_letters(DAY, 500), "dead_letters", id="dead letters"),
    pytest.param(lambda jobs: jobs.delete_streams(DAY, 2, 500), "host_streams", id="streams"),
]


@pytest.mark.parametrize(("part", "table"), WAITING_PARTS)
async def test_a_job_may_take_longer_than_a_batch(
    world: World, make_pool: Callable[..., Pool], part: Part, table: str
) -> None:
    await world.write(sample("host-1", 1, YESTERDAY))
    jobs = JobStore(await make_pool(database_timeout=0.2), timeout=60)
    async with world.admin.transaction():
        await world.admin.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        job = asyncio.create_task(part(jobs))

        async def waits_for_long() -> bool:
            return job.done() or bool(await world.pool.fetchval(WAITS_FOR_LONG))

        await eventually(waits_for_long)
        assert not job.done()
    await job


@pytest.mark.parametrize(("part", "table"), WAITING_PARTS)
async def test_a_job_that_takes_too_long_is_given_up(
    world: World, make_pool: Callable[..., Pool], part: Part, table: str
) -> None:
    await world.write(sample("host-1", 1, YESTERDAY))
    jobs = JobStore(await make_pool(), timeout=0.2)
    async with world.admin.transaction():
        await world.admin.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TimeoutError):
            await part(jobs)


async def test_an_hour_waits_for_writers_that_began_before_its_mark(
    world: World, make_pool: Callable[..., Pool]
) -> None:
    other = await make_pool()
    async with other.acquire() as connection, connection.transaction():
        await connection.execute("SELECT 1")
        await world.write(sample("host-1", 1, YESTERDAY))
        assert (await world.jobs.roll_up(NO_DELAY, 500)).done == 0
    assert (await world.jobs.roll_up(NO_DELAY, 500)).done == 1


async def test_one_replica_at_a_time_rolls_up(world: World) -> None:
    await world.write(*scattered(100))
    async with world.admin.transaction():
        await world.admin.execute("SELECT pg_advisory_xact_lock(hashtextextended('infrawatch ingest: rollup', 0))")
        with pytest.raises(TakenError):
            await world.jobs.roll_up(NO_DELAY, 500)
    assert await world.roll_up_all()


async def test_two_replicas_that_roll_up_at_once_compute_every_hour(
    world: World, make_pool: Callable[..., Pool]
) -> None:
    await world.write(*scattered(2000))

    async def keep_on(pool: Pool) -> None:
        while await pool.fetchval("SELECT count(*) FROM rollup_pending"):
            with suppress(TakenError):
                await JobStore(pool, 60).roll_up(NO_DELAY, 20)

    await asyncio.gather(keep_on(world.pool), keep_on(await make_pool()))
    assert await world.hourly_is_recomputation()


async def test_the_rollup_waits_for_a_purge_and_then_has_nothing_to_do_for_that_host(
    world: World, database: Database
) -> None:
    await world.write(sample("host-1", 1, YESTERDAY), sample("host-2", 1, YESTERDAY))
    async with database.connect("api") as api:
        async with api.transaction():
            await api.execute("LOCK TABLE hosts IN EXCLUSIVE MODE")
            await api.execute("DELETE FROM metrics WHERE host_id = 'host-1'")
            rolling_up = asyncio.create_task(world.roll_up_all())
            await eventually(lambda: waits_for_a_lock(world))
            await api.execute("DELETE FROM hosts WHERE id = 'host-1'")
        await rolling_up
    assert await world.pending() == []
    assert [row["host_id"] for row in await world.admin.fetch(HOURLY)] == ["host-2"]


async def waits_for_a_lock(world: World) -> bool:
    query = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return bool(await world.admin.fetchval(query))


async def test_samples_are_dropped_by_the_day_once_they_are_old_and_rolled_up(world: World) -> None:
    days = [TODAY - DAY * number for number in range(1, 6)]
    await world.write(*[sample("host-1", number, day) for number, day in enumerate(days)])
    kept_for = timedelta(days=3)
    assert await world.jobs.drop_metrics(kept_for) is None, "what is not rolled up stays"
    await world.roll_up_all()
    dropped = []
    while (until := await world.jobs.drop_metrics(kept_for)) is not None:
        dropped.append(until)
    assert dropped == [TODAY - DAY * 4, TODAY - DAY * 3]
    assert await world.admin.fetchval("SELECT count(*) FROM metrics") == 3
    assert await world.admin.fetchval("SELECT count(*) FROM metrics_hourly") == 5
    assert await world.admin.fetchval("SELECT reached FROM maintenance WHERE task = 'metrics dropped'") == dropped[-1]


async def test_an_hour_whose_samples_were_dropped_is_not_computed_from_what_comes_later(world: World) -> None:
    day = TODAY - DAY * 5
    await world.write(*[sample("host-1", number, day + timedelta(minutes=number)) for number in range(30)])
    await world.roll_up_all()
    assert await world.jobs.drop_metrics(timedelta(days=2)) == day + DAY
    await world.write(sample("host-1", 99, day + timedelta(minutes=59)))
    await world.roll_up_all()
    assert await world.admin.fetchval("SELECT count FROM metrics_hourly") == 30
    assert await world.pending() == []
    assert await world.jobs.drop_metrics(timedelta(days=2)) == day + DAY, "it goes with the next retention"


async def test_a_chunk_that_a_writer_still_writes_to_is_not_dropped_under_it(world: World, database: Database) -> None:
    day = TODAY - DAY * 5
    await world.write(sample("host-1", 1, day))
    await world.roll_up_all()
    async with database.connect("ingest") as writer, writer.transaction():
        await writer.execute("SELECT FROM hosts FOR KEY SHARE")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await world.jobs.drop_metrics(timedelta(days=2))
    assert await world.jobs.drop_metrics(timedelta(days=2)) == day + DAY


async def test_hourly_figures_and_dead_letters_are_dropped_when_they_are_old(world: World) -> None:
    await world.admin.execute(
        "INSERT INTO metrics_hourly SELECT 'host-1', now() - make_interval(days => ago), 1, 1,1,1, 1,1,1, 1,1,1, 1"
        " FROM unnest(ARRAY[0, 399, 500, 600]) AS ago"
    )
    assert await world.jobs.drop_hourly(timedelta(days=400)) == 2
    assert await world.admin.fetchval("SELECT count(*) FROM metrics_hourly") == 2
    await world.admin.execute(
        'INSERT INTO dead_letters (service, topic, partition, "offset", appended_at, reason, detail, created_at)'
        " SELECT 'ingest', 't', 0, n, now(), 'invalid', '', now() - make_interval(days => n)"
        " FROM generate_series(88, 95) AS n"
    )
    assert await world.jobs.delete_dead_letters(timedelta(days=90), 3) == 3
    assert await world.jobs.delete_dead_letters(timedelta(days=90), 500) == 3
    assert [row[0] for row in await world.admin.fetch('SELECT "offset" FROM dead_letters ORDER BY 1')] == [88, 89]


async def test_nothing_younger_than_a_day_can_be_dropped(world: World) -> None:
    for drop in (world.jobs.drop_metrics, world.jobs.drop_hourly):
        with pytest.raises(asyncpg.InvalidParameterValueError):
            await drop(timedelta(hours=23))
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await world.jobs.delete_dead_letters(timedelta(hours=23), 1)


async def test_chunks_are_made_ahead_once_and_empty(world: World) -> None:
    days = [TODAY + DAY * number for number in range(4)]
    assert await world.jobs.create_chunks(days) == 4
    assert await world.jobs.create_chunks(days) == 4
    assert await world.admin.fetchval("SELECT count(*) FROM metrics") == 0


async def test_writers_of_new_hosts_and_new_days_do_not_deadlock(
    world: World, database: Database, make_pool: Callable[..., Pool]
) -> None:
    async with database.admin() as admin:
        worlds = [World(await make_pool(), admin) for _ in range(4)]
        for number in range(10):
            day = TODAY - DAY * (20 + number)
            await asyncio.gather(*[writer.write(*[sample(host, number, day) for host in HOSTS]) for writer in worlds])
    assert await world.chunks() == 10
    assert await world.admin.fetchval("SELECT count(*) FROM metrics") == 4 * 10 * len(HOSTS)


async def test_a_batch_never_makes_a_chunk_in_its_own_transaction_and_waits_for_none_that_is_there(
    world: World, database: Database
) -> None:
    await world.write(sample("host-1", 1, TODAY))
    async with database.admin() as other, other.transaction():
        await other.execute("UPDATE hosts SET name = 'x' WHERE id = 'host-9'")  # the lock that a chunk must wait for
        async with asyncio.timeout(20):
            await world.write(sample("host-1", 2, TODAY + timedelta(seconds=1)))
            with pytest.raises(asyncpg.LockNotAvailableError):
                await world.write(sample("host-1", 3, YESTERDAY))
    await world.write(sample("host-1", 3, YESTERDAY))
    assert await world.chunks() == 2


async def test_a_batch_makes_the_chunks_of_its_own_days_and_no_others(world: World) -> None:
    await world.write(sample("host-1", 1, TODAY - DAY * 20), sample("host-2", 1, TODAY))
    assert await world.chunks() == 2


async def test_wrong_clocks_make_no_chunks_and_do_not_move_last_seen(world: World) -> None:
    now = datetime.now(UTC)
    stamps = [now, now - DAY, now + DAY, now.replace(year=2100), now.replace(year=1970), now - HOUR]
    rules = Rules(accept_unsigned=False, clock_tolerance=300.0, retention=30 * 86_400.0)
    messages = [signed(sample("host-1", n, at), offset=n, appended_at=now) for n, at in enumerate(stamps)]
    batch: Batch[Any, Any] = sort_out(messages, KEYS, rules, decode_sample)
    await world.store.write(batch)
    await world.streams.flush()
    assert await world.chunks() == 2, "one for today and one for yesterday"
    assert await world.admin.fetchval("SELECT last_seen FROM hosts") == now
    reasons = await world.admin.fetch('SELECT reason FROM dead_letters ORDER BY "offset"')
    assert [row[0] for row in reasons] == ["in_future", "in_future", "too_old"]
    assert len(await world.pending()) == len({now.replace(minute=0, second=0, microsecond=0), now - DAY, now - HOUR})
