"""Every metric of ingest; what all consumers have is in ``infrawatch_common.metrics``."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from infrawatch_common.events import Reason
from infrawatch_common.metrics import ConsumerMetrics, JobMetrics

STORED = "stored"
DUPLICATE = "duplicate"


class IngestMetrics(ConsumerMetrics):
    """What ingest does with samples."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__("ingest", registry)
        self.merged_batches = Counter(
            "infrawatch_ingest_merged_batches",
            "Batches that held records stored before, so that they took the slower way.",
            registry=registry,
        )
        self.split_batches = Counter(
            "infrawatch_ingest_split_batches",
            "Times that a batch was halved to find a row that the database refuses.",
            registry=registry,
        )
        for outcome in (STORED, DUPLICATE, *Reason):
            self.records.labels(str(outcome))


class MaintenanceMetrics(JobMetrics):
    """What the jobs do. Only the replica that runs a job at the moment knows the gauges of it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__("ingest", registry)
        self.rolled_up = Counter(
            "infrawatch_ingest_rollup_hours", "Hours of hosts computed for the rollup.", registry=registry
        )
        self.rollup_waiting = Gauge(
            "infrawatch_ingest_rollup_waiting_hours",
            "Hours of hosts that are over and not yet in the rollup.",
            registry=registry,
        )
        self.chunks = Gauge("infrawatch_ingest_metrics_chunks", "Chunks of the samples.", registry=registry)
        self.dropped_chunks = Counter(
            "infrawatch_ingest_dropped_chunks", "Chunks dropped by retention.", ["table"], registry=registry
        )
        self.deleted_dead_letters = Counter(
            "infrawatch_ingest_deleted_dead_letters", "Dead letters deleted by retention.", registry=registry
        )
        for table in ("metrics", "metrics_hourly"):
            self.dropped_chunks.labels(table)
