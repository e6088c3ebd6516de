"""From records as they come to what is said about their host: ingest writes it, the API reads it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from infrawatch_api.domain.host_status import Facts, GapKind, ProblemKind, Rules, State, Status, assess
from infrawatch_api.store import streams as seen_by_api
from infrawatch_common.events import Sample, Stamp
from infrawatch_ingest.domain.hours import extent_of
from infrawatch_ingest.store_streams import Streams
from records import FakeMessage
from stack import Database

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
NOW = datetime.now(UTC).replace(microsecond=0)
RULES = Rules(silent_after=2 * MINUTE, clock_tolerance=30 * SECOND, gap_settles_after=timedelta(hours=1))
ONE, OTHER = UUID(int=1), UUID(int=2)


class Host:
    """A host that reports every 10 s until now, and what is said about it."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def reports(
        self, ago: Sequence[int], *, late: timedelta = SECOND, instance: UUID = ONE, size: int = 1000
    ) -> None:
        """Records so many intervals ago, by the broker's clock, written in batches of ``size``; number 1000 is now."""
        async with asyncpg.create_pool(
            self.database.url("ingest"), password=self.database.password, min_size=1, max_size=1
        ) as pool:
            await pool.execute("INSERT INTO hosts (id, name) VALUES ('host-a', 'a') ON CONFLICT DO NOTHING")
            streams = Streams(pool, ranges_max=100, gaps_max=50, last_seen_interval=timedelta(seconds=30))
            for begin in range(0, len(ago), size):
                streams.add(extent_of([self._arrival(n, late, instance) for n in ago[begin : begin + size]]).streams)
                await streams.flush()

    def _arrival(self, ago: int, late: timedelta, instance: UUID) -> Any:
        appended = NOW - ago * 10 * SECOND
        stamp = Stamp(instance, 1000 - ago)
        return Sample(uuid4(), "host-a", appended - late, 0, 0, 0, 0, stamp), FakeMessage(b"", appended_at=appended)

    async def status(self) -> Status:
        async with self.database.connect("api") as connection:
            runs = await seen_by_api.of_host(connection, "host-a")
            pipeline = await seen_by_api.pipeline(connection, NOW - MINUTE)
        return assess(Facts(None, None, runs, (), pipeline), RULES, NOW)


@pytest.fixture
def host(database: Database) -> Host:
    return Host(database)


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_host_whose_records_all_came_has_no_problems(host: Host, size: int) -> None:
    await host.reports(range(60, -1, -1), size=size)
    status = await host.status()
    assert (status.state, status.received, status.missing) == (State.UP, 61, 0)
    assert (list(status.problems), list(status.gaps), status.clock_skew) == ([], [], -1.0)


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_lost_records_are_told_from_back_filled_ones(host: Host, size: int) -> None:
    away, lost = range(500, 490, -1), range(480, 470, -1)
    await host.reports([n for n in range(600, -1, -1) if n not in (*away, *lost)], size=size)
    await host.reports(list(away), size=size)
    status = await host.status()
    assert (status.received, status.missing) == (591, 10)
    assert [(gap.kind, gap.missing) for gap in status.gaps] == [(GapKind.LOST, 10), (GapKind.BACK_FILLED, 0)]
    assert status.gaps[0].end - status.gaps[0].start == 110 * SECOND
    assert [problem.kind for problem in status.problems] == [ProblemKind.RECORDS_MISSING]


async def test_a_cloned_host_is_noticed_and_a_restarted_agent_is_not(host: Host) -> None:
    await host.reports(range(600, 300, -1))
    await host.reports(range(250, -1, -1), instance=OTHER)
    status = await host.status()
    assert list(status.problems) == []
    assert [gap.kind for gap in status.gaps] == [GapKind.AGENT_NOT_RUNNING]
    await host.reports(range(200, 100, -1))
    assert ProblemKind.CLONE in [problem.kind for problem in (await host.status()).problems]


@pytest.mark.parametrize(
    ("late", "kind"), [(timedelta(hours=2), ProblemKind.CLOCK_BEHIND), (-4 * MINUTE, ProblemKind.CLOCK_AHEAD)]
)
async def test_a_wrong_clock_is_noticed(host: Host, late: timedelta, kind: ProblemKind) -> None:
    await host.reports(range(200, -1, -1), late=late, size=20)
    status = await host.status()
    assert [problem.kind for problem in status.problems] == [kind]
    assert status.clock_skew == -late.total_seconds()
    assert status.state is State.UP
