"""From the spool to the broker: oldest first, forgotten when acknowledged."""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from aiokafka.helpers import create_ssl_context

from infrawatch_agent.domain.signing import SIGNATURE_HEADER, sign
from infrawatch_agent.identity import Identity
from infrawatch_agent.logs import fields
from infrawatch_agent.metrics import Metrics
from infrawatch_agent.settings import Settings
from infrawatch_agent.spool import Entry, Spool

_LARGEST_REQUEST = 4 * 1024 * 1024
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0

# No later attempt can succeed: the broker takes no record of this size.
_UNSENDABLE = (MessageSizeTooLargeError, RecordListTooLargeError)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What every message carries: the host as key, and its proof."""

    host_id: str
    identity: Identity | None

    def headers(self, entry: Entry) -> list[tuple[str, bytes]]:
        """The signature under the present key, also for records that were spooled under an earlier one."""
        if self.identity is None:
            return []
        signature = sign(self.identity.key(), self.identity.key_id, entry.topic, self.host_id, entry.body)
        return [(SIGNATURE_HEADER, signature)]


class Sender:
    """Sends for ever; ``wake`` tells it that there is something new."""

    def __init__(self, settings: Settings, spool: Spool, outgoing: Outgoing, metrics: Metrics) -> None:
        self._settings = settings
        self._spool = spool
        self._outgoing = outgoing
        self._metrics = metrics
        self._new = asyncio.Event()
        self._empty = asyncio.Event()

    def wake(self) -> None:
        """Say that the spool has grown."""
        self._empty.clear()
        self._new.set()

    async def drained(self) -> None:
        """Wait until the spool is empty."""
        await self._empty.wait()

    async def run(self) -> None:
        """Send for ever. After any failure a new producer begins where the last one left off.

        An idempotent producer that has lost its sequence never recovers by itself (aiokafka issue 1017).
        """
        pause = _FIRST_PAUSE
        while True:
            before = self._metrics.sent_total
            try:
                await self._send_with_new_producer()
            except (KafkaError, OSError, TimeoutError) as error:
                self._metrics.send_failures_total += 1
                _log.warning("not sent, trying again", extra=fields(error=repr(error), seconds=pause))
            self._metrics.connected = 0
            await asyncio.sleep(pause)
            pause = _FIRST_PAUSE if self._metrics.sent_total > before else min(pause * 2, _LONGEST_PAUSE)

    async def _send_with_new_producer(self) -> None:
        producer = AIOKafkaProducer(**producer_options(self._settings))
        try:
            await producer.start()
            self._metrics.connected = 1
            while True:
                await self._send_waiting(producer)
        finally:
            await _stop(producer)

    async def _send_waiting(self, producer: Any) -> None:
        self._new.clear()
        entries = self._spool.oldest(self._settings.send_batch)
        if not entries:
            self._empty.set()
            await self._new.wait()
            return
        async with asyncio.timeout(self._settings.send_timeout):
            results = await self._send(producer, entries)
        self._settle(entries, results)

    async def _send(self, producer: Any, entries: list[Entry]) -> list[Any]:
        key = self._outgoing.host_id.encode()
        sends = []
        for entry in entries:
            try:
                sends.append(
                    await producer.send(entry.topic, entry.body, key=key, headers=self._outgoing.headers(entry))
                )
            except _UNSENDABLE as error:
                sends.append(_failed(error))
        return await asyncio.gather(*sends, return_exceptions=True)

    def _settle(self, entries: list[Entry], results: list[Any]) -> None:
        sent = [entry for entry, result in zip(entries, results, strict=True) if not isinstance(result, BaseException)]
        refused = [entry for entry, result in zip(entries, results, strict=True) if isinstance(result, _UNSENDABLE)]
        self._spool.remove(sent + refused)
        self._metrics.sent_total += len(sent)
        self._metrics.refused_total += len(refused)
        if sent:
            self._metrics.last_sent_timestamp_seconds = time.time()
        for entry in refused:
            _log.error(
                "record given up: too large for the broker", extra=fields(topic=entry.topic, bytes=len(entry.body))
            )
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, _UNSENDABLE):
                raise result


def producer_options(settings: Settings) -> dict[str, Any]:
    """Arguments of the producer: acknowledged by all replicas, in order, without duplicates of its own making."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
        "client_id": "infrawatch-agent",
        "acks": "all",
        "enable_idempotence": True,
        "max_request_size": _LARGEST_REQUEST,
    }
    if settings.kafka_security_protocol.endswith("SSL"):
        options["ssl_context"] = create_ssl_context(cafile=settings.kafka_ca_file)
    if settings.kafka_security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password,
        }
    return options


def _failed(error: Exception) -> "asyncio.Future[Any]":
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future


async def _stop(producer: Any) -> None:
    try:
        async with asyncio.timeout(2.0):
            await producer.stop()
    except (KafkaError, OSError, TimeoutError) as error:
        _log.debug("the producer did not stop in order", extra=fields(error=repr(error)))
