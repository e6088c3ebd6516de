"""Collects on schedule: reads, makes records, puts them into the spool."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from infrawatch_agent.domain.fitting import fitting_name, fitting_table, fitting_text
from infrawatch_agent.domain.ids import uuid7
from infrawatch_agent.domain.schedule import next_tick
from infrawatch_agent.domain.secrets import told_variables
from infrawatch_agent.identity import digest_key, host_name, host_tags
from infrawatch_agent.logs import fields
from infrawatch_agent.metrics import Metrics
from infrawatch_agent.outbox import Outbox
from infrawatch_agent.records import AgentStamp, HostDescription, MetricRecord, SnapshotRecord, encode
from infrawatch_agent.settings import Settings, variable
from infrawatch_agent.sources import configuration
from infrawatch_agent.sources.containers import container_control_group
from infrawatch_agent.sources.packages import Lister, SourceError
from infrawatch_agent.sources.telemetry import Telemetry

# The first sample's cpu is an average over this many seconds.
_FIRST_WINDOW = 1.0

_log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """What the wall clock says."""
    return datetime.now(UTC)


class Collector:
    """Makes the records of one run of the agent; ``instance`` is new at every start.

    ``clock`` stamps records; intervals go by the monotonic clock.
    """

    def __init__(
        self,
        settings: Settings,
        host_id: str,
        outbox: Outbox,
        metrics: Metrics,
        on_record: Callable[[], None],
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._settings = settings
        self._host_id = host_id
        self._outbox = outbox
        self._metrics = metrics
        self._on_record = on_record
        self._instance = uuid4()
        self._host = HostDescription(fitting_name(host_name(settings)), fitting_table(host_tags(settings)))
        self._clock = clock
        self._telemetry = Telemetry(container_control_group(settings.container_limits))
        self._packages = Lister(
            settings.python_interpreters, settings.command_timeout, most_bytes=2 * settings.snapshot_max_bytes
        )
        self._samples = 0
        self._snapshots = 0
        self._sampled_at = time.monotonic()
        self.snapshot_problem: str | None = None

    def sample_problem(self) -> str | None:
        """Why no samples come, in words."""
        silence = time.monotonic() - self._sampled_at
        return None if silence <= 3 * self._settings.interval else "no sample for three intervals"

    async def run_samples(self) -> None:
        """Take a sample every interval, for ever."""
        self._telemetry.start_cpu_window()
        await asyncio.sleep(min(_FIRST_WINDOW, self._settings.interval))
        await _repeat(self._sample, self._settings.interval)

    async def run_snapshots(self) -> None:
        """Take a snapshot every interval, for ever."""
        await _repeat(self._snapshot, self._settings.snapshot_interval)

    async def _sample(self) -> None:
        try:
            reading = self._telemetry.read()
        except (OSError, RuntimeError) as error:
            self._note_failure("sample", error)
            return
        now = self._clock()
        record = MetricRecord(
            id=_new_id(now),
            host_id=self._host_id,
            timestamp=now,
            cpu=reading.cpu,
            memory=reading.memory,
            disk=reading.disk,
            uptime=reading.uptime,
            agent=AgentStamp(self._instance, self._samples),
        )
        self._samples += 1
        self._metrics.samples_total += 1
        self._sampled_at = time.monotonic()
        self._metrics.last_sample_timestamp_seconds = time.time()
        self._keep(self._settings.metrics_topic, encode(record))

    async def _snapshot(self) -> None:
        try:
            packages = await self._packages.everything()
            variables = told_variables(os.environ, self._settings.env_whitelist, digest_key(self._settings))
        except (OSError, SourceError) as error:
            self._note_failure("snapshot", error)
            self.snapshot_problem = f"no snapshot could be taken: {error}"
            return
        now = self._clock()
        record = SnapshotRecord(
            id=_new_id(now),
            host_id=self._host_id,
            timestamp=now,
            os_info=fitting_text(configuration.os_info()),
            kernel=fitting_text(configuration.kernel()),
            packages={fitting_name(source): fitting_table(found) for source, found in packages.items()},
            env_vars=fitting_table(variables),
            host=self._host,
            agent=AgentStamp(self._instance, self._snapshots),
        )
        body = encode(record)
        self.snapshot_problem = self._refuses(record, len(body))
        if self.snapshot_problem is None:
            self._snapshots += 1
            self._metrics.snapshots_total += 1
            self._keep(self._settings.snapshots_topic, body)
        else:
            self._metrics.snapshots_refused_total += 1
            _log.error("snapshot refused", extra=fields(problem=self.snapshot_problem))

    def _refuses(self, record: SnapshotRecord, size: int) -> str | None:
        """Why a snapshot is not sent, in words."""
        variables, most = len(record.env_vars), self._settings.env_variables_max
        if variables > most:
            return (
                f"the snapshot has {variables} environment variables; at most {most} are sent:"
                f" narrow {variable('env_whitelist')} or raise {variable('env_variables_max')}"
            )
        largest = self._settings.snapshot_max_bytes
        if size > largest:
            return (
                f"the snapshot has {size} bytes; at most {largest} are sent: narrow {variable('env_whitelist')} or"
                f" {variable('python_interpreters')}, or raise {variable('snapshot_max_bytes')} and the topic's limit"
            )
        return None

    def _keep(self, topic: str, body: bytes) -> None:
        self._outbox.put(topic, body)
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


def _new_id(now: datetime) -> UUID:
    return uuid7(int(now.timestamp() * 1000), os.urandom(10))
