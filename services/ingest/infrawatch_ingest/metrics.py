"""Every metric of ingest; what all consumers have is in ``infrawatch_common.metrics``."""

from prometheus_client import CollectorRegistry, Counter

from infrawatch_common.events import Reason
from infrawatch_common.metrics import ConsumerMetrics

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
