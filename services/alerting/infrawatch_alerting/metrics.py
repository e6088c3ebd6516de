"""Every metric of alerting; what all consumers have is in ``infrawatch_common.metrics``."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from infrawatch_common.events import Reason
from infrawatch_common.metrics import ConsumerMetrics, JobMetrics

JUDGED = "judged"
BACK_FILLED = "back_filled"  # came after newer ones, and filled a gap
LATE = "late"  # came after newer ones, and changed nothing
REPEATED = "repeated"


class AlertingMetrics(ConsumerMetrics):
    """What alerting does with samples."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__("alerting", registry)
        self.transitions = Counter(
            "infrawatch_alerting_transitions",
            "What began to fire and what ended, by severity; each is counted by the replica that stored it.",
            ["kind", "severity"],
            registry=registry,
        )
        self.rules = Gauge("infrawatch_alerting_rules", "Rules that judge.", registry=registry)
        self.hosts = Gauge("infrawatch_alerting_hosts", "Hosts that this replica judges.", registry=registry)
        self.reloads = Counter(
            "infrawatch_alerting_reloads",
            "Times that states were read from the database: after an assignment, or when another replica was faster.",
            registry=registry,
        )
        self.heartbeats_held = Gauge(
            "infrawatch_alerting_heartbeats_held",
            "1 while silent hosts are not told, since the end of the topic is not in sight.",
            registry=registry,
        )
        self.outbox = Gauge(
            "infrawatch_alerting_outbox_records", "Events that are yet to be published.", registry=registry
        )
        self.messages_waiting = Gauge(
            "infrawatch_alerting_messages_waiting",
            "Messages that are yet to be delivered to channels that are enabled.",
            registry=registry,
        )
        self.deliveries = Counter(
            "infrawatch_alerting_deliveries",
            "Attempts to deliver a message, by kind of channel and outcome.",
            ["kind", "outcome"],
            registry=registry,
        )
        self.given_up = Counter(
            "infrawatch_alerting_messages_given_up", "Messages that could not be delivered in time.", registry=registry
        )
        self.delivery_seconds = Histogram(
            "infrawatch_alerting_delivery_seconds",
            "Seconds from the making of a message to its receiver's answer.",
            buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200, 86_400),
            registry=registry,
        )
        self.dead_man_called = Gauge(
            "infrawatch_alerting_dead_man_last_success_timestamp_seconds",
            "When INFRAWATCH_DEAD_MAN_URL was last called and answered well; 0 before.",
            registry=registry,
        )
        for kind in ("apprise", "webhook"):
            for outcome in ("delivered", "failed"):
                self.deliveries.labels(kind, outcome)
        for outcome in (JUDGED, BACK_FILLED, LATE, REPEATED, *Reason):
            self.records.labels(str(outcome))
        for kind in ("fired", "resolved"):
            for severity in ("info", "warning", "critical"):
                self.transitions.labels(kind, severity)


class MaintenanceMetrics(JobMetrics):
    """What the job does."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__("alerting", registry)
        self.deleted_messages = Counter(
            "infrawatch_alerting_deleted_messages", "Messages that were kept no longer.", registry=registry
        )
