"""Every metric of the API."""

from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from infrawatch_api.domain.access import Refusal

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class LoginOutcome(StrEnum):
    """What became of a login."""

    OPENED = "opened"
    FAILED = "failed"
    THROTTLED = "throttled"


class PreviewOutcome(StrEnum):
    """What became of a preview."""

    ANSWERED = "answered"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"
    FAILED = "failed"


class ApiMetrics:
    """What the API does."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "infrawatch_api_requests",
            "Answers by method, path template ('(none)' where no route fits path and method) and status.",
            ["method", "path_template", "status"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "infrawatch_api_request_duration_seconds",
            "From the request to the last byte of its answer.",
            ["method", "path_template"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge("infrawatch_api_requests_in_flight", "Requests being answered.", registry=registry)
        self.logins = Counter("infrawatch_api_logins", "Logins by outcome.", ["outcome"], registry=registry)
        self.refused_tokens = Counter(
            "infrawatch_api_refused_tokens", "Bearer tokens refused, by reason.", ["reason"], registry=registry
        )
        self.passwords_waiting = Gauge(
            "infrawatch_api_password_queue", "Passwords that are being hashed or wait for it.", registry=registry
        )
        self.database_errors = Counter(
            "infrawatch_api_database_errors",
            "Requests that got a 503 because the database was away or busy.",
            registry=registry,
        )
        self.agent_users_deleted = Counter(
            "infrawatch_api_agent_users_deleted",
            "Users of Kafka that were deleted because their key is not in use.",
            registry=registry,
        )
        self.agent_user_failures = Counter(
            "infrawatch_api_agent_user_failures",
            "Rounds in which left over users of Kafka could not be deleted.",
            registry=registry,
        )
        self.previews = Counter(
            "infrawatch_api_previews",
            "Previews of alert rules by outcome; refused because others were being worked out.",
            ["outcome"],
            registry=registry,
        )
        for preview_outcome in PreviewOutcome:
            self.previews.labels(preview_outcome)
        for outcome in LoginOutcome:
            self.logins.labels(outcome)
        for reason in Refusal:
            self.refused_tokens.labels(reason)
