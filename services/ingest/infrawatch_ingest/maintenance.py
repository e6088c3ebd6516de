"""The jobs of ingest: chunks ahead, the rollup, retention."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from infrawatch_common.jobs import Job
from infrawatch_common.logs import get_logger
from infrawatch_common.schedule import Outcome
from infrawatch_ingest.domain.hours import days_ahead
from infrawatch_ingest.metrics import MaintenanceMetrics
from infrawatch_ingest.settings import Settings
from infrawatch_ingest.store_jobs import JobStore

_ROLLUP_INTERVAL = 60.0
_CHUNKS_INTERVAL = 3600.0

_log = get_logger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Maintenance:
    """What each job does in one part of its work."""

    def __init__(
        self, store: JobStore, settings: Settings, metrics: MaintenanceMetrics, now: Callable[[], datetime] = _utc_now
    ) -> None:
        self._store = store
        self._settings = settings
        self._metrics = metrics
        self._now = now

    def jobs(self) -> Sequence[Job]:
        """All of them."""
        seldom = self._settings.retention_interval
        return (
            Job("chunks", _CHUNKS_INTERVAL, self.create_chunks),
            Job("rollup", _ROLLUP_INTERVAL, self.roll_up),
            Job("metrics retention", seldom, self.drop_metrics),
            Job("rollup retention", seldom, self.drop_hourly),
            Job("dead letter retention", seldom, self.delete_dead_letters),
            Job("stream retention", seldom, self.delete_streams),
        )

    async def create_chunks(self) -> Outcome:
        """Make the chunks of today and the days ahead."""
        days = days_ahead(self._now(), self._settings.chunks_ahead_days)
        self._metrics.chunks.set(await self._store.create_chunks(days))
        return Outcome.DONE

    async def roll_up(self) -> Outcome:
        """Compute some of the hours that are over."""
        settings = self._settings
        part = await self._store.roll_up(timedelta(seconds=settings.rollup_delay), settings.rollup_batch)
        self._metrics.rolled_up.inc(part.done)
        self._metrics.rollup_waiting.set(part.waiting)
        return Outcome.MORE if part.done else Outcome.DONE

    async def drop_metrics(self) -> Outcome:
        """Drop one chunk of samples that are kept no longer."""
        dropped = await self._store.drop_metrics(timedelta(days=self._settings.raw_retention_days))
        if dropped is None:
            return Outcome.DONE
        self._metrics.dropped_chunks.labels("metrics").inc()
        _log.info("dropped a chunk of samples", until=dropped.isoformat())
        return Outcome.MORE

    async def drop_hourly(self) -> Outcome:
        """Drop the hourly figures that are kept no longer."""
        dropped = await self._store.drop_hourly(timedelta(days=self._settings.rollup_retention_days))
        self._metrics.dropped_chunks.labels("metrics_hourly").inc(dropped)
        return Outcome.DONE

    async def delete_dead_letters(self) -> Outcome:
        """Delete some dead letters that are kept no longer."""
        days = timedelta(days=self._settings.dead_letter_retention_days)
        deleted = await self._store.delete_dead_letters(days, self._settings.retention_batch)
        self._metrics.deleted_dead_letters.inc(deleted)
        return Outcome.MORE if deleted == self._settings.retention_batch else Outcome.DONE

    async def delete_streams(self) -> Outcome:
        """Delete some of the agents' runs that are kept no longer."""
        days = timedelta(days=self._settings.stream_retention_days)
        most = self._settings.retention_batch
        deleted = await self._store.delete_streams(days, self._settings.streams_per_host, most)
        return Outcome.MORE if deleted == most else Outcome.DONE
