"""The topics, and who may use them: declared here, and put in place by ``python -m infrawatch_common.topics``.

Key of every record is the host id, so that the records of a host stay in order.
"""

import asyncio
import sys
from dataclasses import dataclass
from typing import Self

from confluent_kafka.admin import NewTopic
from pydantic import Field, SecretStr, model_validator

from infrawatch_common.kafka_admin import KafkaAdmin, KafkaAdminError, Kind, Operation, Rule
from infrawatch_common.logs import configure_logging, get_logger
from infrawatch_common.settings import KafkaAdminSettings, KafkaSettings, ServiceSettings, load, variable

_AGENT = "agent"
_EVERY_USER = "*"
# The services that can have a user of their own.
SERVICES = ("ingest", "alerting", "drift", "api")

_log = get_logger(__name__)


def _password(service: str) -> SecretStr | None:
    password: SecretStr | None = Field(
        None,
        min_length=16,
        description=f"Password of the user infrawatch-{service}; where it is set, the user and its rules are made.",
    )
    return password


class TopicSettings(ServiceSettings, KafkaSettings, KafkaAdminSettings):
    """How topics are created. Existing topics are left as they are."""

    topic_partitions: int = Field(
        12, ge=1, le=10_000, description="Partitions of a new topic; the most replicas that share its work."
    )
    topic_replication: int = Field(1, ge=1, le=10, description="Copies of a new topic; 3 in a cluster.")
    sample_max_bytes: int = Field(64 * 1024, ge=1024, description="Largest record that the broker takes as a sample.")
    snapshot_max_bytes: int = Field(
        2 * 1024 * 1024, ge=1024, description="Largest record that the broker takes as a snapshot."
    )
    event_max_bytes: int = Field(1024 * 1024, ge=1024, description="Largest event that the broker takes.")
    topic_retention_hours: int = Field(168, ge=1, description="Hours that records stay on a topic.")
    kafka_access: bool = Field(
        False,
        description="Also write the access rules: every user may write the agents' topics, and services may do their"
        " work. The broker needs an authorizer.",
    )
    ingest_kafka_password: SecretStr | None = _password("ingest")
    alerting_kafka_password: SecretStr | None = _password("alerting")
    drift_kafka_password: SecretStr | None = _password("drift")
    api_kafka_password: SecretStr | None = _password("api")

    @model_validator(mode="after")
    def _users_need_rules(self) -> Self:
        given = [name for name in SERVICES if getattr(self, f"{name}_kafka_password")]
        if given and not self.kafka_access:
            msg = f"{variable(f'{given[0]}_kafka_password')} is set, but {variable('kafka_access')} is not"
            raise ValueError(msg)
        return self


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic with who writes and who reads it. ``max_message_bytes`` is what the broker accepts as one record."""

    name: str
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    max_message_bytes: int


def declared_topics(settings: TopicSettings) -> tuple[Topic, ...]:
    """Every topic of the product."""
    return (
        Topic(settings.metrics_topic, (_AGENT,), ("ingest", "alerting"), settings.sample_max_bytes),
        Topic(settings.snapshots_topic, (_AGENT,), ("drift",), settings.snapshot_max_bytes),
        Topic("infrawatch.alert-events.v1", ("alerting",), (), settings.event_max_bytes),
        Topic("infrawatch.drift-events.v1", ("drift",), (), settings.event_max_bytes),
    )


def service_user(service: str) -> str:
    """The name of a service's user."""
    return f"infrawatch-{service}"


def declared_rules(settings: TopicSettings) -> list[Rule]:
    """What agents may, and the services that have a user: a service reads in its own group alone."""
    users = _passwords(settings)
    rules = []
    for topic in declared_topics(settings):
        if _AGENT in topic.producers:
            rules.append(Rule(_EVERY_USER, Operation.WRITE, Kind.TOPIC, topic.name))
        for service in SERVICES:
            user = service_user(service)
            if user in users and service in topic.producers:
                rules.append(Rule(user, Operation.WRITE, Kind.TOPIC, topic.name))
            if user in users and service in topic.consumers:
                rules.append(Rule(user, Operation.READ, Kind.TOPIC, topic.name))
                rules.append(Rule(user, Operation.READ, Kind.GROUP, settings.kafka_group or user))
    if service_user("api") in users:
        # Kafka knows no narrower right to make users; it goes with the right to change every rule.
        rules.append(Rule(service_user("api"), Operation.ALTER, Kind.CLUSTER, ""))
    return list(dict.fromkeys(rules))


async def create_topics(settings: TopicSettings) -> list[str]:
    """Create what is missing; the names of the new topics. Raises ``KafkaAdminError``."""
    admin = KafkaAdmin(settings)
    return await admin.create_topics(_definition(topic, settings) for topic in declared_topics(settings))


async def give_access(settings: TopicSettings) -> None:
    """Write the rules, and create the services' users with the passwords given. Raises ``KafkaAdminError``."""
    admin = KafkaAdmin(settings)
    await admin.allow(declared_rules(settings))
    await admin.put_users(_passwords(settings))


def _passwords(settings: TopicSettings) -> dict[str, str]:
    given = {service_user(name): getattr(settings, f"{name}_kafka_password") for name in SERVICES}
    return {user: password.get_secret_value() for user, password in given.items() if password is not None}


def _definition(topic: Topic, settings: TopicSettings) -> NewTopic:
    # Agents are not trusted: a record that is small as it comes and huge when it is read, or compressed in a way that
    # consumers do not know, would stop its partition. The broker unpacks, and measures what comes out.
    untrusted = {"compression.type": "uncompressed"} if _AGENT in topic.producers else {}
    return NewTopic(
        topic.name,
        settings.topic_partitions,
        settings.topic_replication,
        config={
            **untrusted,
            # The broker's time shows delay and skew; the record's own is in its body.
            "message.timestamp.type": "LogAppendTime",
            "retention.ms": str(settings.topic_retention_hours * 3600 * 1000),
            "max.message.bytes": str(topic.max_message_bytes),
        },
    )


async def _put_in_place(settings: TopicSettings) -> list[str]:
    created = await create_topics(settings)
    if settings.kafka_access:
        await give_access(settings)
    return created


def main() -> int:
    """Create topics, rules and users; exit code 1 with one sentence when the broker does not let us."""
    settings = load(TopicSettings)
    configure_logging("topics", settings.log_level)
    try:
        created = asyncio.run(_put_in_place(settings))
    except KafkaAdminError as error:
        _log.error("topics and access could not be put in place", error=str(error))
        return 1
    _log.info("topics are in place", created=created, access=settings.kafka_access)
    return 0


if __name__ == "__main__":
    sys.exit(main())
