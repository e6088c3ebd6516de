"""Metrics that every consuming service has; a service's own are in its ``metrics.py``."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
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
