"""One drain: how fast ingest takes a backlog into the database, and how much memory that takes."""

import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench.backlog import Backlog, host_keys
from bench.figures import Point
from bench.reference import copy_rate, count_rows, enrol, make_chunks, settle
from bench.setting import Setting
from stack import Database, Service, fresh_database, ingest_environment

MEGABYTE = 1_000_000
# Rarer would miss the ends of a drain, more often would load what is measured.
_POLL = 0.1
_PATIENCE = 300.0
# The others do not tell that a drain is over: what a rebalance repeats is counted once more, as duplicate.
_STORED = 'outcome="stored"'
_LONGER_THAN_ANY = 100  # days; so that ingest takes no chunk away that a benchmark made


@dataclass(frozen=True)
class Drain:
    """``rate`` and ``copied`` are in rows a second. ``memory`` is the largest process's resident set in MB, by how many
    rows were stored.
    """

    rate: float
    copied: float
    memory: Sequence[Point]

    @property
    def ratio(self) -> float:
        """Against the copies before and after."""
        return self.rate / self.copied

    @property
    def peak(self) -> float:
        """Most memory of a process, in MB."""
        return max(megabytes for _, megabytes in self.memory)


def drain(setting: Setting, backlog: Backlog, processes: int = 1, days: int = 1) -> Drain:
    """Drain a backlog into a new database that has chunks of so many days. Raises ``AssertionError`` when the rows
    are not exactly those that the topic holds.
    """
    with fresh_database(setting.stack) as database:
        enrol(database, [(key.id, key.host_id) for key in host_keys(backlog.kind.hosts)])
        there = make_chunks(database, days)
        before = _settled(database, backlog)
        settle(database)
        rate, memory = _run(database, backlog, setting.directory, processes)
        stored = count_rows(database) - there
        assert stored == backlog.kind.records, f"{stored} rows of {backlog.kind.records} records"
        return Drain(rate, statistics.mean([before, _settled(database, backlog)]), memory)


def median_of(rounds: int, measure: Callable[[], Drain]) -> tuple[Drain, Mapping[str, Any]]:
    """The round whose ratio is the median, and what to keep of all of them."""
    drains = sorted((measure() for _ in range(rounds)), key=lambda each: each.ratio)
    kept = {
        "ratios": [round(each.ratio, 3) for each in drains],
        "peak_rss_mb": round(max(each.peak for each in drains), 1),
    }
    return drains[(len(drains) - 1) // 2], kept


def _settled(database: Database, backlog: Backlog) -> float:
    settle(database)
    return copy_rate(database, backlog)


def _run(database: Database, backlog: Backlog, directory: Path, processes: int) -> tuple[float, list[Point]]:
    group = f"{backlog.topics.metrics}-{time.monotonic_ns()}"
    environment = ingest_environment(database, backlog.topics, kafka_group=group, raw_retention_days=_LONGER_THAN_ANY)
    services = [Service("ingest", directory, environment) for _ in range(processes)]
    for service in services:
        service.launch()
    try:
        return _watch(services, backlog.kind.records)
    finally:
        for service in services:
            service.stop()


def _watch(services: Sequence[Service], records: int) -> tuple[float, list[Point]]:
    """From when each process has written a batch up to the last one."""
    watched = [psutil.Process(service.pid) for service in services]
    memory: list[Point] = []
    first: tuple[float, float] | None = None
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        each, now = [outcomes(service)[_STORED] for service in services], time.monotonic()
        stored = sum(each)
        memory.append((stored, max(process.memory_info().rss for process in watched) / MEGABYTE))
        if all(each) and first is None:
            first = now, stored
        if stored >= records and first is not None:
            return (stored - first[1]) / (now - first[0]), memory
        time.sleep(_POLL)
    found = [dict(outcomes(service)) for service in services]
    msg = f"{records} records were not stored within {_PATIENCE:.0f} s but {found}"
    raise TimeoutError(msg)


def outcomes(service: Service) -> Counter[str]:
    """How many records of each outcome, by the label as it is exposed; none while ingest starts."""
    try:
        return Counter(service.series("infrawatch_ingest_records_total"))
    except OSError:
        return Counter()
