"""What batches leave behind outside their transactions is written before their offsets are committed."""

import asyncio
import time
from typing import Any

import pytest

from batch_worlds import PARTITION, World
from infrawatch_common.consuming import _Span
from infrawatch_common.pace import Pace
from stack import eventually


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
