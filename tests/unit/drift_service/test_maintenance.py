"""The job that deletes old sightings, with the store and the clock in the test's hands."""

from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry

from infrawatch_common.schedule import Outcome
from infrawatch_drift.maintenance import Maintenance
from infrawatch_drift.metrics import MaintenanceMetrics
from infrawatch_drift.settings import Settings
from infrawatch_drift.store_sightings import Sightings

NOW = datetime(2026, 11, 28, 3, tzinfo=UTC)
SETTINGS = Settings.model_validate(
    {
        "database_url": "postgresql://role@localhost/infrawatch",
        "database_password": "not used",
        "host_key_secret": "not used, but long enough to be one",
        "sighting_retention_days": 40,
        "retention_batch": 3,
    }
)


class Left(Sightings):
    """As many old sightings as this."""

    def __init__(self, left: int) -> None:
        self.left = left

    async def prune(self, before: datetime, most: int) -> int:
        assert before == NOW - timedelta(days=40)
        deleted = min(most, self.left)
        self.left -= deleted
        return deleted


async def test_old_sightings_are_deleted_in_parts_until_none_is_left() -> None:
    registry = CollectorRegistry()
    (job,) = Maintenance(Left(7), SETTINGS, MaintenanceMetrics(registry), lambda: NOW).jobs()
    assert [await job.run() for _ in range(4)] == [Outcome.MORE, Outcome.MORE, Outcome.MORE, Outcome.DONE]
    assert registry.get_sample_value("infrawatch_drift_pruned_sightings_total") == 7
