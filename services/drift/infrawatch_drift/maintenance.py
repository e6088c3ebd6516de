"""The job of drift: old sightings."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from infrawatch_common.jobs import Job
from infrawatch_common.schedule import Outcome
from infrawatch_drift.metrics import MaintenanceMetrics
from infrawatch_drift.settings import Settings
from infrawatch_drift.store_sightings import Sightings


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Maintenance:
    """What the job does in one part of its work."""

    def __init__(
        self,
        sightings: Sightings,
        settings: Settings,
        metrics: MaintenanceMetrics,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._sightings = sightings
        self._settings = settings
        self._metrics = metrics
        self._now = now

    def jobs(self) -> Sequence[Job]:
        """All of them."""
        return (Job("sighting retention", self._settings.retention_interval, self.prune),)

    async def prune(self) -> Outcome:
        """Delete some of the sightings that are kept no longer."""
        before = self._now() - timedelta(days=self._settings.sighting_retention_days)
        deleted = await self._sightings.prune(before, self._settings.retention_batch)
        self._metrics.pruned_sightings.inc(deleted)
        return Outcome.MORE if deleted else Outcome.DONE
