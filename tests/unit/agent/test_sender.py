"""What is sent when, and what happens after every kind of failure; the producer is a fake, the outbox is real."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    TopicAuthorizationFailedError,
    UnknownProducerId,
)

from infrawatch_agent import sender as module
from infrawatch_agent.domain.drops import Drop
from infrawatch_agent.identity import CurrentIdentity
from infrawatch_agent.metrics import Metrics
from infrawatch_agent.outbox import Outbox
from infrawatch_agent.sender import Outgoing, Sender
from infrawatch_agent.settings import parse

Judge = Callable[[str, bytes], Exception | None]


class Broker:
    """What every fake producer of a test writes to. ``judge`` says why a record is refused."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, int]] = []
        self.producers = 0
        self.stopped = 0
        self.reachable = True
        self.judge: Judge = lambda _topic, _body: None
        self.forbidden: set[str] = set()
        self.too_large: set[bytes] = set()
        self.unknown: set[str] = set()
        self.silent = False

    def producer(self, **_: Any) -> "Producer":
        self.producers += 1
        return Producer(self)

    def numbers(self, topic: str = "samples") -> list[int]:
        return [number for name, number in self.taken if name == topic]


class Producer:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._dead: Exception | None = None
        self._batch: list[tuple[str, bytes, asyncio.Future[None]]] = []

    async def start(self) -> None:
        if not self._broker.reachable:
            raise KafkaConnectionError("nobody there")

    async def partitions_for(self, topic: str) -> set[int]:
        if topic in self._broker.forbidden:
            raise TopicAuthorizationFailedError(topic)
        if topic in self._broker.unknown or self._broker.silent:
            await asyncio.Event().wait()  # aiokafka asks again and again
        return {0}

    @property
    def client(self) -> "Producer":
        return self

    async def force_metadata_update(self) -> bool:
        return not self._broker.silent

    async def send(self, topic: str, body: bytes, **_: Any) -> "asyncio.Future[None]":
        if not self._batch:
            asyncio.get_running_loop().call_soon(self._deliver)
        self._batch.append((topic, body, asyncio.get_running_loop().create_future()))
        return self._batch[-1][2]

    def _deliver(self) -> None:
        """As a broker does: a batch with one record that is too large is refused as a whole."""
        batch, self._batch = self._batch, []
        too_large = any(body in self._broker.too_large for _, body, _ in batch)
        for topic, body, future in batch:
            error = self._dead or (MessageSizeTooLargeError() if too_large else self._broker.judge(topic, body))
            if error is None:
                self._broker.taken.append((topic, int(body)))
                future.set_result(None)
            else:
                # An idempotent producer that lost its sequence never recovers.
                self._dead = None if too_large else error
                future.set_exception(error)

    async def stop(self) -> None:
        self._broker.stopped += 1


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(module, "_LONGEST_PAUSE", 0.001)
    monkeypatch.setattr(module, "_TOPIC_PAUSE", 0.02)
    monkeypatch.setattr(module, "_METADATA_TIMEOUT", 0.02)


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def outbox(tmp_path: Path) -> Any:
    made = Outbox(tmp_path / "spool.sqlite", 8_000_000, 100_000)
    yield made
    made.close()


async def no_explanation(_options: dict[str, Any]) -> str:
    """No socket is opened."""
    return ""


@asynccontextmanager
async def sending(outbox: Outbox, broker: Broker, **settings: Any) -> AsyncIterator[Sender]:
    settings.setdefault("state_directory", "/nowhere")
    parsed = parse({f"INFRAWATCH_{name.upper()}": str(value) for name, value in settings.items()})
    outgoing = Outgoing("host", CurrentIdentity(parsed, None))
    sender = Sender(parsed, outbox, outgoing, Metrics(), broker.producer, explain=no_explanation)
    task = asyncio.create_task(sender.run())
    yield sender
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the sender tells nobody what it has done
            await asyncio.sleep(0.001)


def put(outbox: Outbox, *numbers: int, topic: str = "samples") -> None:
    for number in numbers:
        outbox.put(topic, b"%d" % number)


async def test_after_an_outage_new_records_overtake_the_backlog_which_comes_in_order(
    outbox: Outbox, broker: Broker
) -> None:
    put(outbox, *range(100))
    started = time.monotonic()
    async with sending(outbox, broker, backfill_rate=20) as sender:
        await until(lambda: len(broker.taken) >= 20)
        assert broker.numbers()[0] == 99
        assert len(broker.taken) <= 3 + 20 * (time.monotonic() - started), "faster than the rate"
        put(outbox, 100)
        sender.wake()
        await asyncio.wait_for(sender.up_to_date(), 1)
        overtaken = broker.numbers()
        assert 100 in overtaken
        assert outbox.records > 30, "the backlog is still there when the new record has gone"
    backlog = [number for number in overtaken if number < 99]
    assert backlog == list(range(len(backlog)))


async def test_the_backlog_is_sent_to_its_end(outbox: Outbox, broker: Broker) -> None:
    put(outbox, *range(300))
    async with sending(outbox, broker, backfill_rate=10_000):
        await until(lambda: outbox.records == 0)
    assert broker.numbers() == [299, *range(299)]


async def test_up_to_date_means_that_no_new_record_waits(outbox: Outbox, broker: Broker) -> None:
    put(outbox, *range(50))
    async with sending(outbox, broker, backfill_rate=0.001) as sender:
        await asyncio.wait_for(sender.up_to_date(), 5)
        assert broker.numbers()[0] == 49
        assert outbox.records >= 48


@pytest.mark.parametrize("error", [OutOfOrderSequenceNumber, UnknownProducerId, ProducerFenced, KafkaError, OSError])
async def test_after_an_error_a_new_producer_sends_what_was_not_acknowledged(
    outbox: Outbox, broker: Broker, error: type[Exception]
) -> None:
    failures = itertools.count()
    broker.judge = lambda _topic, body: error() if body == b"3" and next(failures) == 0 else None
    async with sending(outbox, broker) as sender:
        await until(lambda: broker.producers == 1 and sender.problem is None)
        put(outbox, *range(6))
        sender.wake()
        await until(lambda: outbox.records == 0)
    assert sorted(broker.numbers()) == list(range(6))
    assert broker.producers == 2
    assert broker.stopped == 2


async def test_what_was_acknowledged_before_an_error_is_not_sent_again(outbox: Outbox, broker: Broker) -> None:
    failures = itertools.count()
    broker.judge = lambda _topic, body: OutOfOrderSequenceNumber() if body == b"3" and next(failures) < 5 else None
    put(outbox, *range(6))
    async with sending(outbox, broker, backfill_rate=10_000):
        await until(lambda: outbox.records == 0)
    assert len(broker.numbers()) == 6


async def test_a_record_that_is_too_large_for_the_broker_costs_none_of_its_neighbours(
    outbox: Outbox, broker: Broker
) -> None:
    broker.too_large = {b"3"}
    async with sending(outbox, broker) as sender:
        await until(lambda: sender.problem is None)
        put(outbox, *range(6))
        sender.wake()
        await until(lambda: outbox.records == 0)
    assert sorted(broker.numbers()) == [0, 1, 2, 4, 5]
    assert outbox.drops[Drop.REFUSED_BY_BROKER] == 1


async def test_a_topic_that_is_forbidden_does_not_stop_the_other_one(outbox: Outbox, broker: Broker) -> None:
    broker.forbidden = {"snapshots"}
    put(outbox, 0, topic="snapshots")
    put(outbox, 1, 2)
    async with sending(outbox, broker, backfill_rate=10_000) as sender:
        await until(lambda: broker.numbers() == [2, 1])
        assert "topic snapshots takes nothing: this agent may not write it" in str(sender.topic_problem)
        broker.forbidden = set()
        await until(lambda: outbox.records == 0 and sender.topic_problem is None)
    assert broker.numbers("snapshots") == [0]


async def test_while_no_broker_answers_the_problem_is_told_and_goes_away(outbox: Outbox, broker: Broker) -> None:
    broker.reachable = False
    put(outbox, 0)
    async with sending(outbox, broker) as sender:
        await until(lambda: broker.producers > 3)
        assert "nobody there" in str(sender.problem)
        broker.reachable = True
        await until(lambda: outbox.records == 0 and sender.problem is None)
    assert broker.stopped == broker.producers


async def test_a_topic_that_is_missing_does_not_stop_the_other_one(outbox: Outbox, broker: Broker) -> None:
    broker.unknown = {"snapshots"}
    put(outbox, 0, topic="snapshots")
    put(outbox, 1, 2)
    async with sending(outbox, broker, backfill_rate=10_000) as sender:
        await until(lambda: broker.numbers() == [2, 1])
        assert "topic snapshots takes nothing: there is no such" in str(sender.topic_problem)
    assert broker.producers == 1


async def test_a_broker_that_falls_silent_is_not_taken_for_a_missing_topic(outbox: Outbox, broker: Broker) -> None:
    broker.silent = True
    put(outbox, 0)
    async with sending(outbox, broker) as sender:
        await until(lambda: broker.producers > 2 and "no broker is connected" in str(sender.problem))
        assert sender.topic_problem is None
        broker.silent = False
        await until(lambda: outbox.records == 0)


async def test_a_closed_topic_whose_records_are_gone_costs_no_work(
    outbox: Outbox, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.forbidden = {"snapshots"}
    put(outbox, 0, topic="snapshots")
    looks = itertools.count()
    live = outbox.live
    monkeypatch.setattr(outbox, "live", lambda *arguments: (next(looks), live(*arguments))[1])
    async with sending(outbox, broker) as sender:
        await until(lambda: sender.topic_problem is not None)
        outbox.refused(outbox.live(10))
        await asyncio.sleep(0.3)
    assert next(looks) < 20
