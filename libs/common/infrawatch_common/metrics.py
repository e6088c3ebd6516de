"""Metrics that every consuming service has; a service's own are in its ``metrics.py``."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from infrawatch_common.schedule import Outcome

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_JOB_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_RECORDS = (1, 5, 10, 50, 100, 500, 1000, 2500, 5000, 10_000, 50_000)


class ConsumerMetrics:
    """What a service does with its topic; names begin with ``infrawatch_SERVICE_``."""

    def __init__(self, service: str, registry: CollectorRegistry) -> None:
        prefix = f"infrawatch_{service}"
        self.records = Counter(
            f"{prefix}_records",
            "Records by outcome: stored, duplicate, or the reason of their dead letter.",
            ["outcome"],
            registry=registry,
        )
        self.batch_records = Histogram(
            f"{prefix}_batch_records", "Records in a batch.", buckets=_RECORDS, registry=registry
        )
        self.batch_seconds = Histogram(
            f"{prefix}_batch_duration_seconds",
            "Time to write a batch, retries included.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.delay_seconds = Histogram(
            f"{prefix}_delay_seconds",
            "From the broker's acknowledgement to the committed transaction, for the oldest record of a batch.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.lag_records = Gauge(
            f"{prefix}_lag_records",
            "Records on the topic that are not yet done.",
            ["partition"],
            registry=registry,
        )
        self.retries = Counter(
            f"{prefix}_database_retries",
            "Attempts that failed because the database was away or busy.",
            registry=registry,
        )
        self.commit_failures = Counter(
            f"{prefix}_commit_failures",
            "Offsets that could not be committed, mostly after a rebalance; their records are read again.",
            registry=registry,
        )


class JobMetrics:
    """What a service's jobs do; names begin with ``infrawatch_SERVICE_job_``."""

    def __init__(self, service: str, registry: CollectorRegistry) -> None:
        prefix = f"infrawatch_{service}"
        self._seconds = Histogram(
            f"{prefix}_job_duration_seconds",
            "Time of one part of a job.",
            ["job"],
            buckets=_JOB_SECONDS,
            registry=registry,
        )
        self._runs = Counter(
            f"{prefix}_job_runs",
            "Parts of jobs by outcome: done, more to do, taken by another replica, failed by an error of the moment.",
            ["job", "outcome"],
            registry=registry,
        )
        self._last_success = Gauge(
            f"{prefix}_job_last_success_timestamp_seconds",
            "When this replica last did a part of a job; 0 before.",
            ["job"],
            registry=registry,
        )

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
