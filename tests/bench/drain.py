"""Drain: preloaded signed records through ingest into TimescaleDB, against ``psql \\copy`` of the same rows.

Both happen in the same minute on the same servers; the ratio is what counts, since machines are noisy.
"""

import asyncio
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg

from infrawatch_local import settings as local_settings
from infrawatch_local.stack import Stack
from infrawatch_local.tree import Runtime
from ledger import producer
from records import body, host_key, sample, signature
from stack import Database, Service, Topics, fresh_database, fresh_topics, ingest_environment

RECORDS = int(os.environ.get("BENCH_RECORDS", "500000"))
HOSTS = int(os.environ.get("BENCH_HOSTS", "500"))
PARTITIONS = 12
RESULTS = Path(__file__).parents[2] / ".local" / "bench.json"
_LOST_PATIENCE = 300.0


@dataclass(frozen=True)
class Result:
    """One line of the table; ``ratio`` is value ÷ reference_value."""

    name: str
    value: float
    unit: str
    reference: str
    reference_value: float
    ratio: float


def main() -> int:
    """Run, print the table, write the JSON."""
    with tempfile.TemporaryDirectory() as directory, Stack.isolated(Path(directory)) as stack:
        results = asyncio.run(measure(stack, Path(directory)))
    print(f"{'benchmark':<34}{'value':>12} {'unit':<8}{'reference':<12}{'value':>12}{'ratio':>8}")
    for result in results:
        print(
            f"{result.name:<34}{result.value:>12,.0f} {result.unit:<8}"
            f"{result.reference:<12}{result.reference_value:>12,.0f}{result.ratio:>8.2f}"
        )
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([asdict(result) for result in results], indent=2) + "\n")
    return 0


async def measure(stack: Stack, directory: Path) -> list[Result]:
    """The drain with one and with two processes, each beside a copy of its own."""
    topics = await fresh_topics(stack, PARTITIONS)
    rows = await preload(topics)
    results = []
    for processes in (1, 2):
        with fresh_database(stack) as database:
            enrol(database)
            reference = copy_rate(database, rows, directory)
            rate = drain_rate(database, topics, directory, processes)
            name = f"drain, {processes} process{'es' if processes > 1 else ''}"
            results.append(Result(name, rate, "rows/s", "psql \\copy", reference, rate / reference))
    return results


async def preload(topics: Topics) -> list[tuple[object, ...]]:
    """Put the records on the topic; the rows that they are to become."""
    keys = [host_key(f"host-{number}") for number in range(HOSTS)]
    start = datetime.now(UTC) - timedelta(hours=1)
    rows: list[tuple[object, ...]] = []
    async with producer(topics) as sending:
        last = None
        for number in range(RECORDS):
            key = keys[number % HOSTS]
            record = sample(key.host_id, number // HOSTS, start + timedelta(milliseconds=number * 7))
            value = body(record)
            last = await sending.send(
                topics.metrics, value, key=key.host_id.encode(), headers=[signature(key, value, topics.metrics)]
            )
            rows.append(
                tuple(record[name] for name in ("id", "host_id", "timestamp", "cpu", "memory", "disk", "uptime"))
            )
        await sending.flush()
        assert last is not None
        await last
    return rows


def enrol(database: Database) -> None:
    """Give every host its key."""
    with psycopg.connect(database.admin_url) as connection:
        connection.cursor().executemany(
            "INSERT INTO host_keys (id, host_id) VALUES (%s, %s)",
            [(host_key(f"host-{number}").id, f"host-{number}") for number in range(HOSTS)],
        )


def copy_rate(database: Database, rows: Sequence[tuple[object, ...]], directory: Path) -> float:
    """Rows per second of ``psql \\copy`` into an identical hypertable without foreign key."""
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE reference (LIKE metrics, PRIMARY KEY (host_id, timestamp, id))")
        connection.execute(
            "SELECT create_hypertable('reference', by_range('timestamp', INTERVAL '1 day'),"
            " create_default_indexes => FALSE)"
        )
    exchange = directory / "exchange"
    exchange.mkdir(exist_ok=True)
    with (exchange / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    runtime = Runtime.in_cache(local_settings.parse(os.environ, Path.home()).cache_dir)
    admin = urlsplit(database.admin_url)
    address = admin._replace(netloc=f"{admin.username}@{admin.hostname}:{admin.port}").geturl()
    command = runtime.sandbox.command(
        exchange, ("psql", "-Xq", "-d", address, "-c", "\\copy reference from rows.csv csv")
    )
    began = time.monotonic()
    subprocess.run(command, check=True, env={"PATH": "/usr/bin:/bin", "PGPASSWORD": unquote(admin.password or "")})
    return len(rows) / (time.monotonic() - began)


def drain_rate(database: Database, topics: Topics, directory: Path, processes: int) -> float:
    """Rows per second of so many ingest processes, from when all of them have stored a batch to the last one."""
    group = f"{topics.metrics}-{processes}"
    services = [
        Service("ingest", directory, ingest_environment(database, topics, kafka_group=group)) for _ in range(processes)
    ]
    for service in services:
        service.launch()
    try:
        return _watch(services)
    finally:
        for service in services:
            service.stop()


def _watch(services: Sequence[Service]) -> float:
    deadline = time.monotonic() + _LOST_PATIENCE
    first: tuple[float, float] | None = None
    while time.monotonic() < deadline:
        each, now = [_stored(service) for service in services], time.monotonic()
        stored = sum(each)
        if all(each) and first is None:
            first = now, stored
        if stored >= RECORDS and first is not None:
            return (stored - first[1]) / (now - first[0])
        time.sleep(0.1)
    raise TimeoutError("not all records were stored")


def _stored(service: Service) -> float:
    try:
        return service.metric('infrawatch_ingest_records_total{outcome="stored"}')
    except (OSError, AssertionError):
        return 0.0


if __name__ == "__main__":
    sys.exit(main())
