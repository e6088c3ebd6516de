"""What is kept of the runs of agents, however their records come."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infrawatch_common.database import Pool
from infrawatch_common.events import Sample, Stamp
from infrawatch_ingest.domain.hours import extent_of
from infrawatch_ingest.store_jobs import JobStore
from infrawatch_ingest.store_streams import Streams
from records import NOW, FakeMessage
from stack import Database

INSTANCE = UUID("5f0c5d2e-8d5a-4c39-9a39-2f2f7b0f7a11")


def arrival(sequence: int, host: str = "host-a", instance: UUID = INSTANCE) -> Any:
    moment = NOW + timedelta(seconds=10 * sequence)
    sample = Sample(uuid4(), host, moment, 0, 0, 0, 0, Stamp(instance, sequence))
    return sample, FakeMessage(b"", appended_at=moment + timedelta(seconds=1))


class World:
    """Gathered streams, and what is kept of them."""

    def __init__(self, pool: Pool, admin: Any) -> None:
        self.pool = pool
        self.admin = admin
        self.streams = Streams(pool, ranges_max=20, gaps_max=3, last_seen_interval=timedelta(seconds=30))

    async def flush(self, *sequences: int, **stream: Any) -> None:
        self.streams.add(extent_of([arrival(number, **stream) for number in sequences]).streams)
        await self.streams.flush()

    async def last_seen(self) -> datetime | None:
        seen: datetime | None = await self.admin.fetchval("SELECT last_seen FROM hosts WHERE id = 'host-a'")
        return seen

    async def kept(self) -> Any:
        return await self.admin.fetchrow("SELECT * FROM host_streams")

    async def numbers(self) -> set[int]:
        return {n for part in (await self.kept())["received"] for n in range(part.lower, part.upper)}

    async def gaps(self) -> list[tuple[int, int]]:
        query = "SELECT g->'first', g->'last' FROM host_streams, jsonb_array_elements(gaps) AS g"
        return [(int(first), int(last)) for first, last in await self.admin.fetch(query)]


@pytest.fixture
async def world(database: Database, make_pool: Callable[..., Pool]) -> Any:
    async with database.admin() as admin:
        await admin.execute("INSERT INTO hosts (id, name) VALUES ('host-a', 'a'), ('host-b', 'b')")
        yield World(await make_pool(), admin)


async def test_numbers_that_come_again_change_nothing(world: World) -> None:
    await world.flush(0, 1, 2, 5, 6)
    before = await world.kept()
    await world.flush(0, 1, 2, 5, 6)
    await world.flush(1)
    assert await world.kept() == before
    assert await world.numbers() == {0, 1, 2, 5, 6}
    assert await world.gaps() == [(3, 4)]


async def test_a_gap_keeps_its_times_when_it_is_filled_later(world: World) -> None:
    await world.flush(0, 1)
    await world.flush(5)
    await world.flush(2, 3)
    assert await world.numbers() == {0, 1, 2, 3, 5}
    assert await world.gaps() == [(2, 4)]
    after, before = await world.admin.fetchrow(
        "SELECT (gaps->0->>'after')::timestamptz, (gaps->0->>'before')::timestamptz FROM host_streams"
    )
    assert (after, before) == (NOW + timedelta(seconds=10), NOW + timedelta(seconds=50))


batches = st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=10), min_size=1, max_size=6)


@given(batches)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_cut_order_and_repetition_keeps_the_same_numbers(world: World, batches: list[list[int]]) -> None:
    await world.admin.execute("DELETE FROM host_streams")
    for batch in [*batches, *batches[::2]]:
        await world.flush(*batch)
    assert await world.numbers() == {number for batch in batches for number in batch}
    kept = await world.kept()
    highest = max(number for batch in batches for number in batch)
    assert kept["newest_at"] == kept["last_at"] == NOW + timedelta(seconds=10 * highest)
    assert kept["newest_appended_at"] == kept["newest_at"] + timedelta(seconds=1)


async def test_ranges_and_gaps_are_bounded_and_what_is_joined_is_counted(world: World) -> None:
    for number in range(0, 200, 2):
        await world.flush(number)
    kept = await world.kept()
    assert len(kept["received"]) <= 21
    missing = 199 - sum(part.upper - part.lower for part in kept["received"])
    assert kept["settled_missing"] + missing == 99
    assert await world.gaps() == [(193, 193), (195, 195), (197, 197)]


async def test_a_flush_that_fails_keeps_what_was_added(
    world: World, database: Database, make_pool: Callable[..., Pool]
) -> None:
    world.streams = Streams(
        await make_pool(database_timeout=0.3), ranges_max=20, gaps_max=3, last_seen_interval=timedelta(seconds=30)
    )
    world.streams.add(extent_of([arrival(1)]).streams)
    async with database.admin() as blocker, blocker.transaction():
        await blocker.execute("LOCK TABLE host_streams IN EXCLUSIVE MODE")
        with pytest.raises(TimeoutError):
            await world.streams.flush()
    world.streams.add(extent_of([arrival(2)]).streams)
    await world.streams.flush()
    assert await world.numbers() == {1, 2}


async def test_the_streams_of_a_purged_host_go_with_it(world: World) -> None:
    world.streams.add(extent_of([arrival(1, "gone"), arrival(1)]).streams)
    await world.streams.flush()
    assert await world.admin.fetchval("SELECT array_agg(host_id) FROM host_streams") == ["host-a"]


async def test_old_streams_and_too_many_of_a_host_are_deleted(world: World) -> None:
    for number in range(5):
        await world.flush(number, host="host-a", instance=UUID(int=number))
    await world.flush(0, host="host-b")
    await world.admin.execute(
        "UPDATE host_streams SET last_appended_at = now() - make_interval(days => 40) WHERE host_id = 'host-b'"
    )
    await world.admin.execute(
        "UPDATE host_streams SET last_appended_at = now() - make_interval(hours => 1)"
        " * (9 - ('x' || right(instance::text, 1))::bit(4)::int) WHERE host_id = 'host-a'"
    )
    assert await JobStore(world.pool, 60).delete_streams(timedelta(days=30), 2, 100) == 4
    kept = await world.admin.fetch("SELECT instance FROM host_streams ORDER BY 1")
    assert [row[0].int for row in kept] == [3, 4]


@pytest.mark.parametrize(("sequence", "advanced"), [(2, False), (3, True), (-6, False)])
async def test_last_seen_advances_by_no_less_than_the_interval(world: World, sequence: int, advanced: bool) -> None:
    await world.flush(0)
    await world.flush(sequence)
    later = NOW + timedelta(seconds=10 * sequence)
    assert await world.last_seen() == (later if advanced else NOW)


async def test_last_seen_is_of_the_newest_stream_of_a_host(world: World) -> None:
    world.streams.add(
        extent_of([arrival(9), arrival(0, instance=UUID(int=1)), arrival(4, instance=UUID(int=2))]).streams
    )
    await world.streams.flush()
    assert await world.last_seen() == NOW + timedelta(seconds=90)


async def test_last_seen_of_another_replica_is_not_set_back(world: World) -> None:
    await world.flush(0)
    newer = NOW + timedelta(hours=1)
    await world.admin.execute("UPDATE hosts SET last_seen = $1", newer)
    await world.flush(6)
    assert await world.last_seen() == newer
