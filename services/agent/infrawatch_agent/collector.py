"""Collects on schedule: reads, makes records, puts them into the spool."""

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec

from infrawatch_agent.domain.ids import uuid7
from infrawatch_agent.domain.schedule import next_tick
from infrawatch_agent.domain.secrets import told_variables
from infrawatch_agent.identity import digest_key, host_name, host_tags
from infrawatch_agent.logs import fields
from infrawatch_agent.metrics import Metrics
from infrawatch_agent.records import AgentStamp, HostDescription, MetricRecord, SnapshotRecord, encode
from infrawatch_agent.settings import Settings
from infrawatch_agent.sources import configuration, telemetry
from infrawatch_agent.spool import Spool

# The first sample's cpu is an average over this many seconds.
_FIRST_WINDOW = 1.0

_log = logging.getLogger(__name__)


class Collector:
    """Makes the records of one run of the agent; ``instance`` is new at every start."""

    def __init__(
        self, settings: Settings, host_id: str, spool: Spool, metrics: Metrics, on_record: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._host_id = host_id
        self._spool = spool
        self._metrics = metrics
        self._on_record = on_record
        self._instance = uuid4()
        self._host = HostDescription(host_name(settings), host_tags(settings))
        self._digest_key = digest_key(settings)
        self._samples = 0
        self._snapshots = 0

    async def run_samples(self) -> None:
        """Take a sample every interval, for ever."""
        telemetry.start_cpu_window()
        await asyncio.sleep(min(_FIRST_WINDOW, self._settings.interval))
        await _repeat(self._sample, self._settings.interval)

    async def run_snapshots(self) -> None:
        """Take a snapshot every interval, for ever."""
        await _repeat(self._snapshot, self._settings.snapshot_interval)

    async def _sample(self) -> None:
        try:
            reading = telemetry.read_telemetry()
        except (OSError, RuntimeError) as error:
            self._note_failure("sample", error)
            return
        record = MetricRecord(
            id=_new_id(),
            host_id=self._host_id,
            timestamp=_now(),
            cpu=reading.cpu,
            memory=reading.memory,
            disk=reading.disk,
            uptime=reading.uptime,
            agent=AgentStamp(self._instance, self._samples),
        )
        self._samples += 1
        self._metrics.samples_total += 1
        self._metrics.last_sample_timestamp_seconds = time.time()
        self._keep(self._settings.metrics_topic, record)

    async def _snapshot(self) -> None:
        try:
            packages = await configuration.packages(self._settings.python_interpreters, self._settings.command_timeout)
        except (OSError, ValueError, configuration.SourceError) as error:
            self._note_failure("snapshot", error)
            return
        record = SnapshotRecord(
            id=_new_id(),
            host_id=self._host_id,
            timestamp=_now(),
            os_info=configuration.os_info(),
            kernel=configuration.kernel(),
            packages=packages,
            env_vars=told_variables(os.environ, self._settings.env_whitelist, self._digest_key),
            host=self._host,
            agent=AgentStamp(self._instance, self._snapshots),
        )
        self._snapshots += 1
        self._metrics.snapshots_total += 1
        self._keep(self._settings.snapshots_topic, record)

    def _keep(self, topic: str, record: msgspec.Struct) -> None:
        try:
            self._spool.append(topic, encode(record))
        except sqlite3.Error as error:
            self._metrics.spool_failures_total += 1
            _log.error("record lost: the spool cannot be written", extra=fields(error=str(error)))
        self._on_record()

    def _note_failure(self, what: str, error: Exception) -> None:
        self._metrics.collection_failures_total += 1
        _log.error("not collected, trying again at the next interval", extra=fields(what=what, error=str(error)))


async def _repeat(work: Callable[[], Coroutine[Any, Any, None]], interval: float) -> None:
    start = time.monotonic()
    while True:
        await work()
        now = time.monotonic()
        await asyncio.sleep(next_tick(start, interval, now) - now)


def _new_id() -> UUID:
    return uuid7(time.time_ns() // 1_000_000, os.urandom(10))


def _now() -> datetime:
    return datetime.now(UTC)
