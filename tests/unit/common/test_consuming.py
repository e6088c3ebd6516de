"""The order of preparing, writing and committing, without a broker: what is committed was written before."""

import asyncio
import gc
from typing import Any

import pytest

from batch_worlds import World


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
