"""The order of writing and committing, without a broker: what is committed was written before."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError
from prometheus_client import CollectorRegistry

from infrawatch_common.consuming import BatchConsumer, _Span
from infrawatch_common.metrics import ConsumerMetrics
from infrawatch_common.pace import Pace
from records import FakeMessage
from stack import eventually

PARTITION = TopicPartition("infrawatch.metrics.v1", 0)


class FakeConsumer:
    """A consumer that owns one partition and notes what is committed."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log
        self.owned = {PARTITION}
        self.refuse: Exception | None = None
        self.last: int | None = None
        self.asked = 0
        self.generation = 1
        self._performed_join_prepare = False
        self._coordinator = self

    def assignment(self) -> set[TopicPartition]:
        return self.owned

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.last = offsets[PARTITION]
        self.log.append(("committed", self.last))

    async def committed(self, _partition: TopicPartition) -> int | None:
        self.asked += 1
        return self.last


class World:
    """A batch consumer whose batches are the messages themselves."""

    def __init__(
        self,
        write: Callable[[Any], Awaitable[None]] | None = None,
        flush: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.log: list[Any] = []
        self.consumer: Any = FakeConsumer(self.log)
        self.metrics = ConsumerMetrics("test", CollectorRegistry())
        self.under_test: BatchConsumer[Any] = BatchConsumer(
            self._prepare, write or self.write, self.metrics, 60, flush=flush
        )
        self.under_test.attach(self)

    async def _prepare(self, records: Any) -> Any:
        self.log.append(("prepared", records[-1].offset))
        return records

    async def write(self, records: Any) -> None:
        await asyncio.sleep(0)
        self.log.append(("written", records[-1].offset))

    async def handle(self, *offsets: int) -> None:
        records: Any = tuple(FakeMessage(b"", offset=offset) for offset in offsets)
        await self.under_test.handle(records)


async def test_offsets_are_committed_after_the_batch_is_written() -> None:
    world = World()
    await world.handle(0, 1, 2)
    await world.under_test.drain()
    assert world.log == [("prepared", 2), ("written", 2), ("committed", 3)]


async def test_the_next_batch_is_prepared_while_one_is_written_and_written_after_it() -> None:
    allowed = asyncio.Event()
    world = World()
    written = world.write

    async def slow(records: Any) -> None:
        await allowed.wait()
        await written(records)

    world.under_test._write = slow
    await world.handle(0)
    second = asyncio.create_task(world.handle(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert world.log == [("prepared", 0), ("prepared", 1)]
    allowed.set()
    await second
    await world.under_test.drain()
    assert world.log[2:] == [("written", 0), ("committed", 1), ("written", 1), ("committed", 2)]


async def test_batches_leave_nothing_behind_that_only_the_garbage_collector_finds() -> None:
    """It looks once in hundreds of batches, and memory would grow until then."""
    world = World()
    await world.handle(0)
    gc.collect()
    gc.disable()
    try:
        for offset in range(1, 101):
            await world.handle(offset)
        await world.under_test._settle()
        assert gc.collect() < 100
    finally:
        gc.enable()


async def test_a_batch_is_repeated_while_the_database_is_away() -> None:
    attempts = 0

    async def away_twice(_records: Any) -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise ConnectionRefusedError

    world = World(away_twice)
    await world.handle(0)
    await world.under_test._settle()
    assert attempts == 3
    assert world.log[-1] == ("committed", 1)
    assert await world.under_test.check() is None


async def test_while_the_database_is_away_the_consumer_says_so() -> None:
    repeated = asyncio.Event()

    async def away(_records: Any) -> None:
        if world.metrics.retries._value.get() > 0:
            repeated.set()
        raise ConnectionRefusedError

    world = World(away)
    await world.handle(0)
    await repeated.wait()
    assert "ConnectionRefusedError" in str(await world.under_test.check())
    await world.under_test.drain()
    assert ("committed", 1) not in world.log


async def test_an_error_that_no_repetition_mends_ends_the_service_with_nothing_committed() -> None:
    async def broken(_records: Any) -> None:
        raise KeyError("a mistake of ours")

    world = World(broken)
    await world.handle(0)
    with pytest.raises(KeyError, match="a mistake of ours"):
        await world.under_test.failure()
    await world.handle(1)
    await world.under_test.drain()
    assert not [entry for entry in world.log if entry[0] == "committed"]


async def test_a_batch_that_cannot_be_prepared_ends_the_service_too() -> None:
    world = World()

    async def broken(_records: Any) -> None:
        raise ZeroDivisionError

    world.under_test._prepare = broken
    await world.handle(0)
    with pytest.raises(ZeroDivisionError):
        await world.under_test.failure()


async def test_offsets_of_partitions_that_moved_away_are_not_committed() -> None:
    world = World()
    world.consumer.owned = set()
    await world.handle(0)
    await world.under_test.drain()
    assert world.log == [("prepared", 0), ("written", 0)]


async def test_a_commit_that_a_rebalance_refuses_is_counted_and_survived() -> None:
    world = World()
    world.consumer.refuse = CommitFailedError("rebalanced")
    await world.handle(0)
    await world.under_test._settle()
    world.consumer.refuse = None
    await world.handle(1)
    await world.under_test.drain()
    assert world.log[-1] == ("committed", 2)
    assert world.metrics.commit_failures._value.get() == 1


async def test_a_batch_that_is_read_again_after_a_rebalance_takes_no_offset_back() -> None:
    world = World()
    for batch in ([0, 1], [2, 3], [0, 1], [2], [3, 4]):  # the third is read again, from where a rebalance began
        await world.handle(*batch)
    await world.under_test.drain()
    assert [entry for entry in world.log if entry[0] == "committed"] == [
        ("committed", 2),
        ("committed", 4),
        ("committed", 5),
    ]


async def test_a_batch_in_hand_takes_no_offset_back_that_another_member_has_taken_forward() -> None:
    world = World()
    await world.handle(0)
    await world.under_test._settle()
    world.consumer.last = 100
    await world.handle(5)
    await world.under_test.drain()
    assert ("committed", 6) not in world.log


async def test_a_partition_that_was_away_and_came_back_is_asked_about_although_the_batch_follows_the_last_one() -> None:
    world = World()
    await world.handle(0)
    await world.under_test._settle()
    world.consumer.last = 100  # another member's, while this one was suspended
    world.consumer.generation = 2
    await world.handle(1)
    await world.under_test.drain()
    assert ("committed", 2) not in world.log


async def test_what_is_written_while_the_group_is_rebalanced_is_committed_afterwards() -> None:
    world = World()
    await world.handle(0)
    await world.under_test._settle()
    world.consumer._performed_join_prepare = True
    world.consumer.generation = 2
    await world.handle(1, 2)
    await world.under_test._settle()
    assert world.log[-1] == ("written", 2)
    world.consumer._performed_join_prepare = False
    await world.under_test._checkpoint_when_idle()
    assert world.log[-1] == ("committed", 3)


async def test_a_rebalance_that_begins_while_the_broker_is_asked_for_the_last_commit_is_waited_for_too() -> None:
    world = World()

    async def committed(_partition: TopicPartition) -> int | None:
        world.consumer._performed_join_prepare = True
        return None

    world.consumer.committed = committed
    await world.handle(0)
    await world.under_test._settle()
    assert world.log[-1] == ("written", 0)
    world.consumer._performed_join_prepare = False
    world.consumer.committed = FakeConsumer(world.log).committed
    await world.under_test._checkpoint_when_idle()
    assert world.log[-1] == ("committed", 1)


async def test_batches_that_follow_each_other_are_committed_without_a_question() -> None:
    world = World()
    for number in range(5):
        await world.handle(number)
    await world.under_test.drain()
    assert world.consumer.asked == 1


async def test_nothing_new_is_taken_while_stopping() -> None:
    world = World()
    await world.under_test.drain()
    await world.handle(0)
    assert world.log == []


async def test_a_batch_that_waits_for_the_one_before_when_a_stop_begins_is_left_to_the_next_start() -> None:
    allowed = asyncio.Event()
    world = World()
    written = world.write

    async def slow(records: Any) -> None:
        await allowed.wait()
        await written(records)

    world.under_test._write = slow
    await world.handle(0)
    second = asyncio.create_task(world.handle(1))
    await asyncio.sleep(0)
    stopping = asyncio.create_task(world.under_test.drain())
    await asyncio.sleep(0)
    allowed.set()
    await asyncio.gather(second, stopping)
    await world.under_test._settle()
    assert world.log == [("prepared", 0), ("prepared", 1), ("written", 0), ("committed", 1)]


class Flushes:
    """Notes flushes in the log of a world, and fails as often as it is told to."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.world = World(flush=self.flush)

    async def flush(self) -> None:
        await asyncio.sleep(0)
        if self.failures:
            self.world.log.append("failed")
            raise self.failures.pop(0)
        self.world.log.append("flushed")

    def events(self) -> list[Any]:
        return [entry for entry in self.world.log if entry[0] != "prepared"]


async def test_what_batches_leave_behind_is_flushed_once_for_several_and_before_their_offsets_are_committed() -> None:
    flushes = Flushes()
    for offset in range(4):
        await flushes.world.handle(offset)
    await flushes.world.under_test.drain()
    assert flushes.events() == [
        *(("written", 0), "flushed", ("committed", 1)),
        *(("written", 1), ("written", 2), ("written", 3), "flushed", ("committed", 4)),
    ]


async def test_a_flush_is_repeated_while_the_database_is_away() -> None:
    flushes = Flushes(ConnectionError("away"))
    await flushes.world.handle(0)
    await flushes.world.under_test._settle()
    assert flushes.events() == [("written", 0), "failed", "flushed", ("committed", 1)]


async def test_a_flush_that_fails_for_good_commits_nothing_and_ends_the_service() -> None:
    flushes = Flushes(ZeroDivisionError())
    await flushes.world.handle(0)
    with pytest.raises(ZeroDivisionError):
        await flushes.world.under_test.failure()
    assert flushes.events() == [("written", 0), "failed"]


async def test_a_stop_while_the_database_is_away_leaves_the_offsets_to_the_next_start() -> None:
    flushes = Flushes()
    await flushes.world.handle(0)
    await flushes.world.handle(1)
    await flushes.world.under_test._settle()
    flushes.failures = [ConnectionError("away")]
    await flushes.world.under_test.drain()
    assert flushes.events() == [("written", 0), "flushed", ("committed", 1), ("written", 1), "failed"]


async def test_offsets_are_committed_when_nothing_more_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infrawatch_common.consuming._WATCH_INTERVAL", 0.01)
    flushes = Flushes()
    await flushes.world.handle(0)
    await flushes.world.handle(1)
    await flushes.world.under_test._settle()
    flushes.world.under_test._pace = Pace()
    monkeypatch.setattr(flushes.world.under_test, "_measure_lag", _no_lag)
    watching = asyncio.create_task(flushes.world.under_test.watch(_answers))

    async def committed() -> bool:
        return bool(flushes.world.log[-1] == ("committed", 2))

    await eventually(committed, within=5)
    watching.cancel()


async def _no_lag() -> int:
    return 0


async def _answers() -> bool:
    return True


async def test_after_an_outage_the_next_commit_waits_for_no_more_than_a_flush_takes() -> None:
    world = World()
    attempts: list[float] = []
    begins: list[float] = []

    async def away_twice() -> None:
        attempts.append(time.monotonic())
        if len(attempts) < 3:
            raise ConnectionRefusedError

    def note(began: float, ended: float) -> None:
        assert ended >= began
        begins.append(began)

    world.under_test._flush = away_twice
    world.under_test._pace.done = note  # type: ignore[method-assign]
    await world.handle(0)
    await world.under_test._settle()
    assert world.log[-1] == ("committed", 1)
    assert attempts[1] < begins[0] <= attempts[2], "the time of the attempts that failed does not count"


async def test_a_flush_that_fails_while_nothing_comes_holds_nobody_up_and_is_tried_again() -> None:
    world = World()
    failures = [ConnectionRefusedError("away"), None]

    async def away_once() -> None:
        if (error := failures.pop(0)) is not None:
            raise error

    world.under_test._flush = away_once
    world.under_test._written = {PARTITION: _Span(0, 1)}
    await world.under_test._checkpoint_when_idle()
    assert ("committed", 1) not in world.log
    await world.under_test._checkpoint_when_idle()
    assert world.log == [("committed", 1)]


async def test_a_flush_that_no_repetition_mends_ends_the_service() -> None:
    async def broken() -> None:
        raise KeyError("a mistake of ours")

    world = World()
    world.under_test._flush = broken
    world.under_test._written = {PARTITION: _Span(0, 1)}
    with pytest.raises(KeyError, match="a mistake of ours"):
        await world.under_test._checkpoint_when_idle()


def test_of_a_span_the_rest_is_left_when_its_beginning_is_committed() -> None:
    assert _Span(0, 9).after(_Span(0, 4)) == _Span(4, 9)
    assert _Span(2, 9).after(_Span(0, 4)) == _Span(2, 9), "read again from elsewhere: the broker must be asked"
    assert _Span(0, 9).after(None) == _Span(0, 9)
