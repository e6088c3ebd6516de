"""From the broker's acknowledgement until another connection sees the row."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer

from bench.figures import percentile
from bench.live import Agents, Sample, host_key_pairs
from bench.reference import enrol
from bench.results import Goal, Of, Reference, Result, Sense
from bench.setting import Setting
from stack import Database, Service, Topics, eventually, fresh_database, fresh_topics, ingest_environment

_HOSTS = 200  # each once a second
_POLL = 0.005
_WARM_UP = 3.0
_MOST_P99 = 300.0
_SEEN = """
SELECT metrics.id::text FROM unnest($1::text[], $2::timestamptz[], $3::uuid[]) AS sent (host_id, timestamp, id)
JOIN metrics USING (host_id, timestamp, id)
"""
# The records asked for are few: by index, whatever the statistics say of a table that grows all the time.
_BY_INDEX = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"


@dataclass
class _Times:
    """Moments by record id; ``waiting`` are those whose row was not seen yet."""

    waiting: dict[str, Sample] = field(default_factory=dict)
    acknowledged: dict[str, float] = field(default_factory=dict)
    delivered: dict[str, float] = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)
    polls: list[float] = field(default_factory=list)

    def send(self, record: Sample) -> None:
        self.waiting[record["id"]] = record

    def acknowledge(self, record: Sample) -> None:
        self.acknowledged[record["id"]] = time.monotonic()

    def see(self, ids: list[str]) -> None:
        now = time.monotonic()
        for name in ids:
            self.seen[name] = now
            del self.waiting[name]

    def delays(self, until: dict[str, float], since: float) -> list[float]:
        """Milliseconds from acknowledgement, of the records acknowledged after ``since``; 0 where it came later."""
        return [
            max(0.0, until[name] - acknowledged) * 1000
            for name, acknowledged in self.acknowledged.items()
            if acknowledged >= since
        ]


async def measure_latency(setting: Setting) -> list[Result]:
    """200 records a second from 200 hosts."""
    topics = await fresh_topics(setting.stack, partitions=12)
    times = _Times()
    with fresh_database(setting.stack) as database:
        enrol(database, host_key_pairs(_HOSTS))
        ingest = Service("ingest", setting.directory, ingest_environment(database, topics)).start()
        try:
            async with _in_background(_watch_rows(database, times)), _in_background(_watch_topic(topics, times)):
                begin = time.monotonic()
                agents = Agents(topics, _HOSTS, sent=times.send, acknowledged=times.acknowledge)
                await agents.run(1.0, setting.sizes.latency_seconds + _WARM_UP)
                await eventually(lambda: _all_seen(times))
        finally:
            ingest.stop()
    return _results(times, begin + _WARM_UP)


def _results(times: _Times, since: float) -> list[Result]:
    rows, topic = times.delays(times.seen, since), times.delays(times.delivered, since)
    gaps = [(later - earlier) * 1000 for earlier, later in zip(times.polls, times.polls[1:], strict=False)]
    detail = {
        "records": len(rows),
        "resolution_ms": {"p50": round(percentile(gaps, 50), 1), "p99": round(percentile(gaps, 99), 1)},
        "max_ms": round(max(rows), 1),
    }
    return [
        Result(
            f"broker to row at 200/s, p{percent}",
            percentile(rows, percent),
            "ms",
            Reference("a bare consumer", percentile(topic, percent)),
            Goal(Of.VALUE, Sense.AT_MOST, _MOST_P99) if percent == 99 else None,
            detail,
        )
        for percent in (50, 99)
    ]


async def _all_seen(times: _Times) -> bool:
    return not times.waiting and len(times.delivered) >= len(times.acknowledged)


async def _watch_rows(database: Database, times: _Times) -> None:
    async with database.admin() as connection:
        await connection.execute(_BY_INDEX)
        while True:
            asked = list(times.waiting.values())
            rows = await connection.fetch(
                _SEEN,
                [record["host_id"] for record in asked],
                [datetime.fromisoformat(record["timestamp"]) for record in asked],
                [record["id"] for record in asked],
            )
            times.see([row[0] for row in rows])
            times.polls.append(time.monotonic())
            await asyncio.sleep(_POLL)


async def _watch_topic(topics: Topics, times: _Times) -> None:
    consumer = AIOKafkaConsumer(
        topics.metrics, bootstrap_servers=topics.bootstrap_servers, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        while True:
            records: Any = await consumer.getmany(timeout_ms=1000)
            now = time.monotonic()
            for record in (each for some in records.values() for each in some):
                times.delivered[record.value[7:43].decode()] = now  # the id comes first in a body
    finally:
        await consumer.stop()


@asynccontextmanager
async def _in_background(work: Any) -> AsyncIterator[None]:
    """Run it beside the block, whose end ends it; its errors are the block's."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
