"""From the outbox to the broker: what is new at once, the backlog oldest first and at a bounded rate."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from infrawatch_agent.broker import connection_options
from infrawatch_agent.broker_check import broker_problem
from infrawatch_agent.domain.pacing import Pace
from infrawatch_agent.domain.signing import SIGNATURE_HEADER, sign
from infrawatch_agent.identity import CurrentIdentity, Identity, KafkaAccess
from infrawatch_agent.logs import fields
from infrawatch_agent.metrics import Metrics
from infrawatch_agent.outbox import Outbox
from infrawatch_agent.settings import Settings
from infrawatch_agent.spool import Entry

_LARGEST_REQUEST = 4 * 1024 * 1024
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
# A topic that the broker does not let us write waits so long; the other one goes on.
_TOPIC_PAUSE = 60.0
_METADATA_TIMEOUT = 5.0
_STOP_TIMEOUT = 2.0

# No later attempt can succeed: the broker takes no record of this size.
_UNSENDABLE = (MessageSizeTooLargeError, RecordListTooLargeError)
_TOPIC_ERRORS = (TopicAuthorizationFailedError, UnknownTopicOrPartitionError)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What every message carries: the host as key, and its proof."""

    host_id: str
    current: CurrentIdentity

    def access(self) -> KafkaAccess | None:
        """The host's present user of Kafka."""
        identity = self.current.get()
        return identity.kafka if identity else None

    def headers(self, entry: Entry) -> list[tuple[str, bytes]]:
        """The signature under the present key, also for records that were spooled under an earlier one."""
        identity = self.current.get()
        if identity is None:
            return []
        signature = sign(identity.key(), identity.key_id, entry.topic, self.host_id, entry.body)
        return [(SIGNATURE_HEADER, signature)]


class Sender:
    """Sends for ever; ``wake`` tells it that there is something new. The last two arguments are for tests."""

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        outgoing: Outgoing,
        metrics: Metrics,
        make_producer: Callable[..., Any] = AIOKafkaProducer,
        explain: Callable[[dict[str, Any]], Awaitable[str]] = broker_problem,
    ) -> None:
        self._settings = settings
        self._outbox = outbox
        self._outgoing = outgoing
        self._metrics = metrics
        self._make_producer = make_producer
        self._explain = explain
        self._pace = Pace(settings.backfill_rate)
        self._new = asyncio.Event()
        self._up_to_date = asyncio.Event()
        self._alone: set[int] = set()  # refused for their size together with others
        self._stopping: set[asyncio.Future[None]] = set()
        self._closed_topics: dict[str, float] = {}  # until when, monotonic
        self.problem: str | None = "no broker was reached yet"
        self.topic_problem: str | None = None

    def wake(self) -> None:
        """Say that there is a new record."""
        self._up_to_date.clear()
        self._new.set()

    async def up_to_date(self) -> None:
        """Wait until no live record waits; the backlog may."""
        await self._up_to_date.wait()

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
                self.problem = f"no broker is connected ({await self._why(error)}); records wait"
                _log.warning("not sent, trying again", extra=fields(error=self.problem, seconds=pause))
            self._metrics.connected = 0
            await asyncio.sleep(pause)
            pause = _FIRST_PAUSE if self._metrics.sent_total > before else min(pause * 2, _LONGEST_PAUSE)

    async def _why(self, error: Exception) -> str:
        """What an operator can act on; of a connection that fails, aiokafka says only that it does."""
        if not isinstance(error, (KafkaConnectionError, TimeoutError)):
            return _words(error)
        options = connection_options(self._settings, self._outgoing.current.get())
        return await self._explain(options) or _words(error)

    async def _send_with_new_producer(self) -> None:
        access = self._outgoing.access()
        producer = self._make_producer(**producer_options(self._settings, self._outgoing.current.get()))
        try:
            await producer.start()
            self._metrics.connected = 1
            self.problem = None
            self._outbox.begin_live()
            while self._outgoing.access() == access:
                await self._send_next(producer)
        finally:
            await self._stop(producer)

    async def _stop(self, producer: Any) -> None:
        """Stop a producer; what takes longer, such as a request to a broker that is silent, ends in the background."""
        stopping = asyncio.ensure_future(_stop(producer))
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopping.discard)
        await asyncio.wait({stopping}, timeout=2 * _STOP_TIMEOUT)

    async def _send_next(self, producer: Any) -> None:
        self._new.clear()
        now = time.monotonic()
        closed = {topic for topic, until in self._closed_topics.items() if until > now}
        entries = self._outbox.live(self._settings.send_batch, closed)
        if not entries:
            self._up_to_date.set()
            entries = self._outbox.backlog(self._pace.allowance(now), closed)
            self._pace.take(len(entries))
        entries = self._those_together(entries)
        entries = [entry for entry in entries if await self._is_open(producer, entry.topic)]
        if entries:
            async with asyncio.timeout(self._settings.send_timeout):
                results = await self._send(producer, entries)
            self._settle(entries, results)
        elif not self._new.is_set():
            await self._wait_for_new(closed, now)

    async def _wait_for_new(self, closed: set[str], now: float) -> None:
        """Wait for a new record, or for the time when the next one of the backlog or of a closed topic may go."""
        waits = [max(self._pace.wait(), 0.01)] if self._outbox.backlog(1, closed) else []
        waits += [until - now for until in self._closed_topics.values() if until > now]
        try:
            async with asyncio.timeout(min(waits, default=None)):
                await self._new.wait()
        except TimeoutError:
            pass

    def _those_together(self, entries: list[Entry]) -> list[Entry]:
        """The batch without records that must go alone, or one of those."""
        for position, entry in enumerate(entries):
            if entry.number in self._alone:
                return entries[: max(position, 1)]
        return entries

    async def _is_open(self, producer: Any, topic: str) -> bool:
        if self._closed_topics.get(topic, 0.0) > time.monotonic():
            return False
        try:
            async with asyncio.timeout(_METADATA_TIMEOUT):
                await producer.partitions_for(topic)
        except (*_TOPIC_ERRORS, TimeoutError) as error:
            if isinstance(error, TimeoutError) and not await _answers(producer):
                raise
            self._close_topic(topic, error)
            return False
        if self._closed_topics.pop(topic, None) is not None and not self._closed_topics:
            self.topic_problem = None
        return True

    def _close_topic(self, topic: str, error: Exception) -> None:
        self._closed_topics[topic] = time.monotonic() + _TOPIC_PAUSE
        self._metrics.send_failures_total += 1
        why = "this agent may not write it" if isinstance(error, TopicAuthorizationFailedError) else "there is no such"
        self.topic_problem = f"topic {topic} takes nothing: {why}; its records wait"
        _log.error("a topic takes nothing, trying again", extra=fields(topic=topic, seconds=_TOPIC_PAUSE, why=why))

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
        outcomes = list(zip(entries, results, strict=True))
        sent = [entry for entry, result in outcomes if not isinstance(result, BaseException)]
        refused = [entry for entry, result in outcomes if isinstance(result, _UNSENDABLE)]
        failures = [result for _, result in outcomes if isinstance(result, BaseException)]
        self._outbox.done(sent)
        self._metrics.sent_total += len(sent)
        if sent:
            self._metrics.last_sent_timestamp_seconds = time.time()
        if len(entries) == 1:
            self._give_up(refused)
        else:  # the broker judges a whole batch; each alone shows which it is
            self._alone = {entry.number for entry in refused}
        for entry, result in outcomes:
            if isinstance(result, _TOPIC_ERRORS):
                self._close_topic(entry.topic, result)
        if failures:
            raise failures[0]

    def _give_up(self, refused: list[Entry]) -> None:
        self._outbox.refused(refused)
        for entry in refused:
            self._alone.discard(entry.number)
            _log.error(
                "record given up: too large for the broker", extra=fields(topic=entry.topic, bytes=len(entry.body))
            )


def producer_options(settings: Settings, identity: Identity | None) -> dict[str, Any]:
    """Arguments of the producer: acknowledged by all replicas, in order, without duplicates of its own making."""
    return {
        **connection_options(settings, identity),
        "acks": "all",
        "enable_idempotence": True,
        "request_timeout_ms": int(1000 * settings.send_timeout),
        "max_request_size": _LARGEST_REQUEST,
    }


async def _answers(producer: Any) -> bool:
    """Whether the broker answers at all, so that it is the topic that is missing."""
    try:
        async with asyncio.timeout(_METADATA_TIMEOUT):
            return bool(await producer.client.force_metadata_update())
    except TimeoutError:
        return False


def _failed(error: Exception) -> "asyncio.Future[Any]":
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


async def _stop(producer: Any) -> None:
    """Stop a producer, by force if need be: an idempotent one repeats what is in flight for ever."""
    try:
        try:
            async with asyncio.timeout(_STOP_TIMEOUT):
                await producer.stop()
        except TimeoutError:
            # There is no public way. Requests in flight wait for the client and give their batches back, so the sender
            # ends before the client, and the batches are given up last.
            await producer._sender.close()  # noqa: SLF001
            await producer.client.close()
            producer._message_accumulator.fail_all(TimeoutError())  # noqa: SLF001
    except (KafkaError, OSError) as error:
        _log.debug("the producer did not stop in order", extra=fields(error=repr(error)))
