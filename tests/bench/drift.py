"""How fast drift works off snapshots that say the same, or something new, and in how much memory."""

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
import psycopg

from bench import snapshot_backlog
from bench.backlog import host_keys
from bench.figures import after_warm_up, slope
from bench.one_consumer import Watched, decode_rate, watch
from bench.reference import copy, enrol, settle
from bench.results import Goal, Of, Reference, Result, Sense
from bench.setting import Setting
from bench.snapshot_backlog import CHANGED, COLUMNS, PACKAGES, Installed, SnapshotBacklog, preload_snapshots
from infrawatch_agent.records import SnapshotRecord
from stack import Database, Service, drift_environment, fresh_database

_LEAST_UNCHANGED, _LEAST_CHANGED = 1500.0, 300.0
_MOST_MEMORY = 350.0
_MOST_GROWTH = 5.0  # MB a thousand snapshots
_FETCHED = 500
_DONE = "SELECT count(*) FROM snapshot_sightings"
_KEPT = (
    "SELECT (SELECT count(*) FROM snapshot_sightings), (SELECT count(*) FROM snapshots),"
    " (SELECT count(*) FROM drift_changes), (SELECT count(*) FROM dead_letters)"
)

Rate = Callable[[Database, SnapshotBacklog], Awaitable[float]]


@dataclass(frozen=True)
class Compared:
    """A drain, and what its reference did just before and just after it, in snapshots a second."""

    drained: Watched
    reference: float


async def measure_drift(setting: Setting) -> list[Result]:
    """Snapshots of 1,500 packages with one process: unchanged ones, and ones with a hundredth of them upgraded."""
    same = await _compare(setting, setting.sizes.drift_unchanged, snapshot_backlog.unchanged, 0, _decoded)
    other = await _compare(setting, setting.sizes.drift_changed, snapshot_backlog.changed, CHANGED, copy_rate)
    name = f"drift, {PACKAGES:,} packages"
    return [
        Result(
            f"{name}, unchanged",
            same.drained.rate,
            "snapshots/s",
            Reference("consume and decode", same.reference),
            Goal(Of.VALUE, Sense.AT_LEAST, _LEAST_UNCHANGED),
            {"cpu_ms_a_snapshot": round(1000 * same.drained.cpu, 3)},
        ),
        Result(
            f"{name}, {CHANGED} changed",
            other.drained.rate,
            "snapshots/s",
            Reference("psql \\copy", other.reference),
            Goal(Of.VALUE, Sense.AT_LEAST, _LEAST_CHANGED),
            {"cpu_ms_a_snapshot": round(1000 * other.drained.cpu, 3)},
        ),
    ]


async def measure_drift_memory(setting: Setting) -> list[Result]:
    """A backlog in which every second snapshot says something new and every tenth host has a megabyte to say."""
    backlog = await _backlog(setting, setting.sizes.drift_memory, snapshot_backlog.mixed)
    with fresh_database(setting.stack) as database:
        found = _drain(setting, database, backlog, changes=None)
    settled = after_warm_up(found.memory)
    growth = slope([(done / 1000, megabytes) for done, megabytes in settled])
    detail = {"rate": round(found.rate), "samples": len(settled)}
    peak = max(megabytes for _, megabytes in found.memory)
    return [
        Result("memory of drift, peak", peak, "MB", goal=_at_most(_MOST_MEMORY), detail=detail),
        Result("memory of drift, growth", growth, "MB/1k snapshots", goal=_at_most(_MOST_GROWTH), detail=detail),
    ]


def _at_most(bound: float) -> Goal:
    return Goal(Of.VALUE, Sense.AT_MOST, bound)


async def _compare(setting: Setting, records: int, installed: Installed, changes: int, reference: Rate) -> Compared:
    """The round of the median rate; ``changes`` is how many each snapshot must show."""
    backlog = await _backlog(setting, records, installed)
    rounds = [await _compare_once(setting, backlog, changes, reference) for _ in range(setting.sizes.rounds)]
    return sorted(rounds, key=lambda each: each.drained.rate)[(len(rounds) - 1) // 2]


async def _compare_once(setting: Setting, backlog: SnapshotBacklog, changes: int, reference: Rate) -> Compared:
    with fresh_database(setting.stack) as database:
        before = await reference(database, backlog)
        drained = _drain(setting, database, backlog, changes)
        settle(database)
        return Compared(drained, statistics.mean([before, await reference(database, backlog)]))


async def _backlog(setting: Setting, records: int, installed: Installed) -> SnapshotBacklog:
    hosts = setting.sizes.drift_hosts
    return await preload_snapshots(setting.stack, hosts, max(1, records // hosts), installed, setting.directory)


def _drain(setting: Setting, database: Database, backlog: SnapshotBacklog, changes: int | None) -> Watched:
    """Work a backlog off. Raises ``AssertionError`` when not all of it is kept as it must be."""
    enrol(database, [(key.id, key.host_id) for key in host_keys(backlog.hosts)])
    settle(database)
    drained = _run(setting, database, backlog)
    _check(database, backlog, changes)
    return drained


def _check(database: Database, backlog: SnapshotBacklog, changes: int | None) -> None:
    with psycopg.connect(database.admin_url) as connection:
        found = connection.execute(_KEPT).fetchone()
    assert found is not None
    assert (found[0], found[3]) == (backlog.records, 0), f"{found} of {backlog.records}"
    if changes is not None:
        rows = backlog.records if changes else backlog.hosts
        assert found[1:3] == (rows, changes * backlog.measured), f"{found} of {backlog.records}"


def _run(setting: Setting, database: Database, backlog: SnapshotBacklog) -> Watched:
    group = f"{backlog.topics.metrics}-{time.monotonic_ns()}"
    # What it publishes is kept apart, on a topic that nobody reads.
    environment = drift_environment(
        database, backlog.topics, kafka_group=group, drift_events_topic=backlog.topics.metrics
    )
    drift = Service("drift", setting.directory, environment)
    drift.launch()
    try:
        # From when each host's first snapshot is kept.
        return watch(drift, database, _DONE, backlog.records, after=backlog.hosts)
    finally:
        drift.stop()


async def copy_rate(database: Database, backlog: SnapshotBacklog) -> float:
    """Rows a second of ``psql`` into a table like ``snapshots``, newly made and dropped afterwards."""
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE reference (LIKE snapshots INCLUDING ALL)")
        for column in ("digest", "confirmed_at"):
            connection.execute(f"ALTER TABLE reference ALTER {column} DROP NOT NULL")
        began = time.monotonic()
        copy(database, backlog.rows, COLUMNS)
        seconds = time.monotonic() - began
        connection.execute("DROP TABLE reference")
    return backlog.measured / seconds


async def _decoded(_database: Database, backlog: SnapshotBacklog) -> float:
    topics, decode = backlog.topics, msgspec.json.Decoder(SnapshotRecord).decode
    return await decode_rate(topics.bootstrap_servers, topics.snapshots, decode, backlog.records, _FETCHED)
