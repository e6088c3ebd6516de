"""Every metric of drift; what all consumers have is in ``infrawatch_common.metrics``."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from infrawatch_common.drift.changes import Category
from infrawatch_common.drift.severity import Outcome
from infrawatch_common.events import Reason
from infrawatch_common.metrics import ConsumerMetrics, JobMetrics

STORED = "stored"  # the host was not like that before: a new row
CONFIRMED = "confirmed"  # the host is as it was
PLACED = "placed"  # came late, and was put where it belongs
DUPLICATE = "duplicate"


class DriftMetrics(ConsumerMetrics):
    """What drift does with snapshots."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__("drift", registry)
        self.changes = Counter(
            "infrawatch_drift_changes",
            "Changes that were found, hidden ones too; each is counted by the replica that stored it.",
            ["severity", "category"],
            registry=registry,
        )
        self.hidden = Counter(
            "infrawatch_drift_changes_hidden",
            "Changes that were found and nobody is told of: of severity ignored, or covered by an ignore rule.",
            registry=registry,
        )
        self.events = Counter(
            "infrawatch_drift_events",
            "Events for other systems by kind: changed, or revised and withdrawn because of late snapshots.",
            ["kind"],
            registry=registry,
        )
        self.notices = Counter(
            "infrawatch_drift_notices",
            "Snapshots whose changes people are told of, by the worst severity.",
            ["severity"],
            registry=registry,
        )
        self.facts = Counter(
            "infrawatch_drift_facts", "Things that no snapshot said before; they are kept once.", registry=registry
        )
        self.split_batches = Counter(
            "infrawatch_drift_split_batches",
            "Times that a batch was halved to find a record that the database refuses.",
            registry=registry,
        )
        self.outbox = Gauge(
            "infrawatch_drift_outbox_records", "Events that are yet to be published.", registry=registry
        )
        for outcome in (STORED, CONFIRMED, PLACED, DUPLICATE, *Reason):
            self.records.labels(str(outcome))
        for severity in Outcome:
            for category in Category:
                self.changes.labels(severity.value, category.value)
        for severity in (Outcome.INFO, Outcome.WARNING, Outcome.CRITICAL):
            self.notices.labels(severity.value)


class MaintenanceMetrics(JobMetrics):
    """What the job does."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__("drift", registry)
        self.pruned_sightings = Counter(
            "infrawatch_drift_pruned_sightings", "Sightings that were kept no longer.", registry=registry
        )
