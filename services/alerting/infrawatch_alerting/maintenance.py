"""The job of alerting: old messages."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from infrawatch_alerting.metrics import MaintenanceMetrics
from infrawatch_alerting.settings import Settings
from infrawatch_alerting.store_messages import MessageStore
from infrawatch_common.jobs import Job
from infrawatch_common.schedule import Outcome


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Maintenance:
    """What the job does in one part of its work."""

    def __init__(
        self,
        messages: MessageStore,
        settings: Settings,
        metrics: MaintenanceMetrics,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._messages = messages
        self._settings = settings
        self._metrics = metrics
        self._now = now

    def jobs(self) -> Sequence[Job]:
        """All of them."""
        return (Job("delivery retention", self._settings.retention_interval, self.delete_messages),)

    async def delete_messages(self) -> Outcome:
        """Delete some of the messages that are kept no longer, with their attempts."""
        settings = self._settings
        before = self._now() - timedelta(days=settings.delivery_retention_days)
        deleted = await self._messages.clean(before, settings.retention_batch, settings.job_timeout)
        self._metrics.deleted_messages.inc(deleted)
        return Outcome.MORE if deleted == settings.retention_batch else Outcome.DONE
