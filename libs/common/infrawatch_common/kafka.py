"""Kafka through FastStream, with the defaults that lose data replaced.

FastStream commits before the handler has run unless it is told otherwise, and its other policies commit or repeat
whole batches on errors. Here the policy is manual: ``BatchConsumer`` commits, after the database transaction.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import AIOKafkaProducer, ConsumerRebalanceListener, ConsumerRecord
from aiokafka.errors import KafkaError
from aiokafka.helpers import create_ssl_context
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.message import FAKE_CONSUMER
from faststream.kafka.subscriber.usecase import BatchSubscriber
from faststream.security import BaseSecurity, SASLScram512
from pydantic import BaseModel

from infrawatch_common.header_names import survive_header_names
from infrawatch_common.logs import get_logger
from infrawatch_common.lost_connections import survive_lost_connections
from infrawatch_common.settings import ConsumerSettings, KafkaClientSettings, refuse, variable

Record = ConsumerRecord[bytes, bytes]
Records = tuple[Record, ...]

# Checked by the client alone. A handler may wait for the database as long as it takes without leaving the group;
# the watchdog, not this limit, ends a consumer that hangs.
_MAX_POLL_INTERVAL_MS = 24 * 3600 * 1000
# FastStream sleeps this long once more after an empty poll, so it adds to the delay of a lone record.
_EMPTY_POLL_MS = 20
# What a request may take longer than a session: the one that joins a group takes as long as a lost member's session.
_REQUEST_MARGIN_S = 3.0
_FETCH_MAX_WAIT_MS = 100
# A member learns from its next heartbeat that another one has come or gone; until then the partitions do not move.
_HEARTBEATS_A_SESSION = 12
# A topic or partition that is made after the service has started is found within this time.
_METADATA_MAX_AGE_MS = 30_000

_log = get_logger(__name__)


def create_broker(settings: ConsumerSettings) -> KafkaBroker:
    """A broker that creates no topics, validates nothing by itself, and stops in order."""
    survive_lost_connections()
    survive_header_names()
    logger = logging.getLogger("infrawatch.kafka")
    logger.setLevel(logging.WARNING)  # FastStream logs two lines a batch at INFO
    return KafkaBroker(
        settings.kafka_bootstrap_servers.split(","),
        security=_security(settings),
        allow_auto_create_topics=False,
        apply_types=False,
        graceful_timeout=settings.stop_timeout,
        metadata_max_age_ms=_METADATA_MAX_AGE_MS,
        request_timeout_ms=int((settings.kafka_session_timeout + _REQUEST_MARGIN_S) * 1000),
        logger=logger,
    )


def subscribe(
    broker: KafkaBroker,
    topic: str,
    settings: ConsumerSettings,
    *,
    group: str,
    model: type[BaseModel],
    handler: Callable[[Records], Awaitable[None]],
    listener: ConsumerRebalanceListener | None = None,
) -> BatchSubscriber:
    """Hand whole batches of raw records to ``handler``; ``model`` is what each of them should be, for AsyncAPI.

    ``listener`` is told which partitions come and go.

    The handler must commit by itself, and must not raise: the next commit would pass over what it raised for.
    """
    subscriber = broker.subscriber(
        topic,
        batch=True,
        group_id=settings.kafka_group or group,
        ack_policy=AckPolicy.MANUAL,
        auto_offset_reset="earliest",
        max_records=settings.batch_max_records,
        batch_timeout_ms=_EMPTY_POLL_MS,
        fetch_max_wait_ms=_FETCH_MAX_WAIT_MS,
        fetch_max_bytes=settings.kafka_fetch_max_bytes,
        max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
        session_timeout_ms=int(settings.kafka_session_timeout * 1000),
        heartbeat_interval_ms=int(settings.kafka_session_timeout * 1000 / _HEARTBEATS_A_SESSION),
        parser=_parse,
        decoder=_raw,
        title=topic,
        description=model.__doc__,
        listener=listener,
    )

    async def consume(records: Any) -> None:
        await handler(records)

    # Read for AsyncAPI alone, since types are not applied: what one message holds.
    consume.__annotations__["records"] = model
    subscriber(consume)
    return subscriber


async def _parse(records: Records) -> KafkaMessage:
    """The batch as one message; FastStream's own parser decodes the headers of every record, which nobody reads."""
    return KafkaMessage(body=None, raw_message=records, consumer=FAKE_CONSUMER)


async def _raw(message: Any) -> Records:
    records: Records = message.raw_message
    return records


def create_producer(settings: KafkaClientSettings) -> AIOKafkaProducer:
    """A producer whose repetitions of its own make no duplicates."""
    return AIOKafkaProducer(enable_idempotence=True, **producer_options(settings))


def producer_options(settings: KafkaClientSettings) -> dict[str, Any]:
    """What aiokafka's producer is told of the broker."""
    protocol = settings.kafka_security_protocol
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers.split(","),
        "security_protocol": protocol,
    }
    if protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(settings)
    if protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": _password(settings),
        }
    return options


async def start_when_reachable(broker: KafkaBroker) -> None:
    """Start consuming; as long as no broker answers, try again every few seconds."""
    delay = 1.0
    while True:
        try:
            await broker.start()
        except (KafkaError, OSError, TimeoutError) as error:
            _log.warning("kafka is unreachable, trying again", error=str(error), seconds=delay)
            await broker.stop()
            await asyncio.sleep(delay)
            delay = min(delay * 2, 10.0)
        else:
            return


def _security(settings: KafkaClientSettings) -> BaseSecurity | None:
    protocol = settings.kafka_security_protocol
    if protocol == "PLAINTEXT":
        return None
    context = _ssl_context(settings) if protocol.endswith("SSL") else None
    if protocol == "SSL":
        return BaseSecurity(ssl_context=context, use_ssl=True)
    return SASLScram512(
        username=settings.kafka_username or "",
        password=_password(settings),
        ssl_context=context,
        use_ssl=context is not None,
    )


def _ssl_context(settings: KafkaClientSettings) -> ssl.SSLContext:
    try:
        return create_ssl_context(cafile=str(settings.kafka_ca_file) if settings.kafka_ca_file else None)
    except OSError as error:
        refuse(f"{variable('kafka_ca_file')} names {settings.kafka_ca_file}, which cannot be used: {error}")


def _password(settings: KafkaClientSettings) -> str:
    return settings.kafka_password.get_secret_value() if settings.kafka_password else ""
