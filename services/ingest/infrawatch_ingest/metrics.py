"""Every metric of ingest; what all consumers have is in ``infrawatch_common.metrics``."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from infrawatch_common.events import Reason
from infrawatch_common.metrics import ConsumerMetrics
from infrawatch_ingest.domain.schedule import Outcome

STORED = "stored"
DUPLICATE = "duplicate"

_JOB_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


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


class JobMetrics:
    """What the jobs do. Only the replica that runs a job at the moment knows the gauges of it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "infrawatch_ingest_job_duration_seconds",
            "Time of one part of a job.",
            ["job"],
            buckets=_JOB_SECONDS,
            registry=registry,
        )
        self._runs = Counter(
            "infrawatch_ingest_job_runs",
            "Parts of jobs by outcome: done, more to do, taken by another replica, failed by an error of the moment.",
            ["job", "outcome"],
            registry=registry,
        )
        self._last_success = Gauge(
            "infrawatch_ingest_job_last_success_timestamp_seconds",
            "When this replica last did a part of a job; 0 before.",
            ["job"],
            registry=registry,
        )
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

    def expect(self, job: str) -> None:
        """Show a job before its first run."""
        self._last_success.labels(job).set(0)
        for outcome in Outcome:
            self._runs.labels(job, outcome)

    def observe(self, job: str, outcome: Outcome, seconds: float) -> None:
        """Note one part of a job."""
        self._seconds.labels(job).observe(seconds)
        self._runs.labels(job, outcome).inc()
        if outcome in (Outcome.DONE, Outcome.MORE):
            self._last_success.labels(job).set(time.time())
