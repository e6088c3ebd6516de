"""The topics: declared here, and created by ``python -m infrawatch_common.topics``, never by a producer.

Key of every record is the host id, so that the records of a host stay in order.
"""

import asyncio
import sys
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from pydantic import Field

from infrawatch_common.kafka import client_options
from infrawatch_common.logs import configure_logging, get_logger
from infrawatch_common.settings import KafkaSettings, ServiceSettings, load

_log = get_logger(__name__)


class TopicSettings(ServiceSettings, KafkaSettings):
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
        Topic(settings.metrics_topic, ("agent",), ("ingest", "alerting"), settings.sample_max_bytes),
        Topic(settings.snapshots_topic, ("agent",), ("drift",), settings.snapshot_max_bytes),
        Topic("infrawatch.alert-events.v1", ("alerting",), (), settings.event_max_bytes),
        Topic("infrawatch.drift-events.v1", ("drift",), (), settings.event_max_bytes),
    )


async def create_topics(settings: TopicSettings) -> list[str]:
    """Create what is missing; the names of the new topics. Raises ``KafkaError`` when a topic cannot be created."""
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    try:
        topics = [_definition(topic, settings) for topic in declared_topics(settings)]
        response: Any = await admin.create_topics(topics)
    finally:
        await admin.close()
    created = []
    for name, code, message in response.topic_errors:
        if code == 0:
            created.append(name)
        elif for_code(code) is not TopicAlreadyExistsError:
            raise for_code(code)(f"{name}: {message}")
    return created


def _definition(topic: Topic, settings: TopicSettings) -> NewTopic:
    return NewTopic(
        topic.name,
        settings.topic_partitions,
        settings.topic_replication,
        topic_configs={
            # The broker's time shows delay and skew; the record's own is in its body.
            "message.timestamp.type": "LogAppendTime",
            "retention.ms": str(settings.topic_retention_hours * 3600 * 1000),
            "max.message.bytes": str(topic.max_message_bytes),
        },
    )


def main() -> int:
    """Create the topics; exit code 1 with one sentence when the broker does not let us."""
    settings = load(TopicSettings)
    configure_logging("topics", settings.log_level)
    try:
        created = asyncio.run(create_topics(settings))
    except (KafkaError, OSError) as error:
        _log.error("topics could not be created", error=str(error), servers=settings.kafka_bootstrap_servers)
        return 1
    _log.info("topics are in place", created=created)
    return 0


if __name__ == "__main__":
    sys.exit(main())
