"""A service whose part dies or hangs ends, so that its supervisor can start it anew."""

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from prometheus_client import CollectorRegistry

from infrawatch_common import consuming
from infrawatch_common.consuming import BatchConsumer, StalledError
from infrawatch_common.metrics import ConsumerMetrics
from infrawatch_common.service import _first_failure

PARTITION = TopicPartition("t", 0)


class StuckConsumer:
    """A consumer with ten records ahead, which it never reads; or one that cannot even ask."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def assignment(self) -> set[TopicPartition]:
        return {PARTITION}

    async def end_offsets(self, _partitions: Any) -> dict[TopicPartition, int]:
        if self.error is not None:
            raise self.error
        return {PARTITION: 10}

    async def position(self, _partition: TopicPartition) -> int:
        return 0


class Subscriber:
    def __init__(self, consumer: StuckConsumer) -> None:
        self.consumer: Any = consumer


async def nothing(_batch: Any) -> None: ...


def watched_consumer(consumer: StuckConsumer, patience: float = 0.05) -> BatchConsumer[Any]:
    metrics = ConsumerMetrics("test", CollectorRegistry())
    made: BatchConsumer[Any] = BatchConsumer(nothing, nothing, metrics, patience)
    made.attach(Subscriber(consumer))
    return made


async def watched(consumer: StuckConsumer, *, broker_answers: bool) -> None:
    async def ping() -> bool:
        return broker_answers

    under_test = watched_consumer(consumer)
    async with asyncio.timeout(1):
        await under_test.watch(ping)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consuming, "_WATCH_INTERVAL", 0.005)


async def test_lag_without_progress_ends_the_consumer() -> None:
    with pytest.raises(StalledError, match="lag of 10"):
        await watched(StuckConsumer(), broker_answers=True)


async def test_lag_without_progress_is_no_readiness_even_before_it_is_a_stall() -> None:
    async def ping() -> bool:
        return True

    under_test = watched_consumer(StuckConsumer(), patience=0.5)
    assert await under_test.check() is None
    watching = asyncio.create_task(under_test.watch(ping))
    async with asyncio.timeout(5):
        while await under_test.check() is None:  # noqa: ASYNC110 - it is asked, as by a supervisor
            await asyncio.sleep(0.001)
    assert not watching.done()
    with pytest.raises(StalledError):
        await watching


async def test_a_consumer_that_cannot_ask_a_broker_which_answers_is_ended() -> None:
    with pytest.raises(StalledError):
        await watched(StuckConsumer(KafkaConnectionError()), broker_answers=True)


async def test_a_consumer_without_a_broker_is_left_to_wait() -> None:
    with pytest.raises(TimeoutError):
        await watched(StuckConsumer(KafkaConnectionError()), broker_answers=False)


async def test_a_part_that_dies_is_the_end_of_the_service() -> None:
    async def die() -> None:
        raise RuntimeError("broken")

    tasks = [asyncio.create_task(die()), asyncio.create_task(asyncio.sleep(60))]
    error = await _first_failure(tasks, asyncio.Event())
    assert str(error) == "broken"
    tasks[1].cancel()


async def test_a_part_that_ends_by_itself_is_a_failure_too() -> None:
    task = asyncio.create_task(nothing(None))
    assert await _first_failure([task], asyncio.Event()) is not None


async def test_a_signal_is_no_failure() -> None:
    stop = asyncio.Event()
    stop.set()
    task: asyncio.Task[None] = asyncio.create_task(asyncio.sleep(60))
    assert await _first_failure([task], stop) is None
    task.cancel()
