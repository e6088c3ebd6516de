"""Hosts whose clocks are wrong: what the agent sends is stored or refused by its stamp, and harms nothing."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agents import HOST, agent_environment
from infrawatch_agent.collector import Collector
from infrawatch_agent.identity import CurrentIdentity, load_identity
from infrawatch_agent.metrics import Metrics
from infrawatch_agent.outbox import Outbox
from infrawatch_agent.sender import Outgoing, Sender
from infrawatch_agent.settings import parse
from stack import Database, Service, Topics, eventually, ingest_environment


async def send_samples(environment: dict[str, str], times: list[datetime], directory: Path) -> None:
    """Have an agent take a sample at each time that its wall clock shows, and send them all."""
    settings = parse(environment)
    outbox = Outbox(directory / "spool.sqlite", settings.spool_max_bytes, settings.memory_max_bytes)
    metrics, clock = Metrics(), iter(times)
    sender = Sender(settings, outbox, Outgoing(HOST, CurrentIdentity(settings, load_identity(settings))), metrics)
    collector = Collector(settings, HOST, outbox, metrics, sender.wake, lambda: next(clock))
    sending = asyncio.create_task(sender.run())

    async def connected() -> bool:
        return sender.problem is None

    async def sent() -> bool:
        return outbox.records == 0

    await eventually(connected)
    for _ in times:
        await collector._sample()
    await eventually(sent)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    outbox.close()


async def test_a_clock_that_jumps_leaves_every_sample_stored_or_refused_by_its_stamp(
    database: Database,
    topics: Topics,
    service: Callable[..., Service],
    known_hosts: Callable[[list[str]], None],
    tmp_path: Path,
) -> None:
    known_hosts([HOST])
    service("ingest", ingest_environment(database, topics)).start()
    now = datetime.now(UTC)
    stored = [now, now - timedelta(days=1), now + timedelta(seconds=1)]
    refused = [now + timedelta(days=1), datetime(2100, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)]

    async def query(text: str) -> Any:
        async with database.admin() as connection:
            return [row[0] for row in await connection.fetch(text)]

    mixed = [moment for pair in zip(stored, refused, strict=True) for moment in pair]
    await send_samples(agent_environment(topics, tmp_path), mixed, tmp_path)

    async def all_judged() -> bool:
        return len(await query("SELECT 1 FROM metrics UNION ALL SELECT 1 FROM dead_letters")) == len(mixed)

    await eventually(all_judged)
    assert await query("SELECT timestamp FROM metrics ORDER BY timestamp") == sorted(stored)
    assert await query("SELECT reason FROM dead_letters ORDER BY reason") == ["in_future", "in_future", "too_old"]
    chunks = "FROM timescaledb_information.chunks WHERE hypertable_name = 'metrics'"
    assert min(await query(f"SELECT range_start {chunks}")) > now - timedelta(days=60)
    assert max(await query(f"SELECT range_end {chunks}")) < now + timedelta(days=60)
