"""The next thing is made while one is in use, and nothing goes on once nobody wants it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from infrawatch_drift.ahead import ahead


class Source:
    """Makes numbers from 0; ``made`` is how many it has begun to make."""

    def __init__(self, most: int, error: BaseException | None = None) -> None:
        self.made = 0
        self.closed = False
        self._most = most
        self._error = error

    async def numbers(self) -> AsyncGenerator[int, None]:
        try:
            for number in range(self._most):
                self.made += 1
                await asyncio.sleep(0)
                yield number
            if self._error is not None:
                raise self._error
        finally:
            await asyncio.sleep(0)
            self.closed = True


async def use(source: AsyncGenerator[int, None], seen: list[int], error: Exception | None = None) -> None:
    """Use two stages of it; the first number with an error, if there is one."""
    async with aclosing(ahead(ahead(source))) as made:
        async for number in made:
            await other_tasks_run()
            seen.append(number)
            if error is not None:
                raise error


async def other_tasks_run() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_all_that_the_source_makes_comes_in_its_order() -> None:
    source = Source(5)
    assert [number async for number in ahead(ahead(source.numbers()))] == [0, 1, 2, 3, 4]
    assert source.closed


@pytest.mark.parametrize("stages", [1, 2])
async def test_each_stage_makes_one_more_while_one_is_in_use(stages: int) -> None:
    source = Source(10)
    numbers = source.numbers()
    for _ in range(stages):
        numbers = ahead(numbers)
    async with aclosing(numbers) as made:
        async for number in made:
            await other_tasks_run()
            assert source.made == min(number + 1 + stages, 10)


async def test_an_error_of_the_source_comes_after_what_it_had_made() -> None:
    source, seen = Source(2, ValueError("broken")), list[int]()
    with pytest.raises(ValueError, match="broken"):
        await use(source.numbers(), seen)
    assert seen == [0, 1]
    assert source.closed


async def test_when_its_user_fails_the_source_has_ended_before_the_error_is_raised() -> None:
    source, seen = Source(10), list[int]()
    with pytest.raises(ValueError, match="unusable"):
        await use(source.numbers(), seen, ValueError("unusable"))
    assert source.closed
    made_until_then = source.made
    await other_tasks_run()
    assert source.made == made_until_then


async def test_when_its_user_fails_it_does_not_wait_for_what_never_comes() -> None:
    async def one_number() -> AsyncGenerator[int, None]:
        yield 0
        await asyncio.Event().wait()

    with pytest.raises(ValueError, match="unusable"):
        async with asyncio.timeout(5):
            await use(one_number(), [], ValueError("unusable"))


async def test_whoever_is_cancelled_while_waiting_ends_what_is_under_way() -> None:
    ended = asyncio.Event()

    async def endless() -> AsyncGenerator[int, None]:
        try:
            await asyncio.Event().wait()
            yield 0
        finally:
            ended.set()

    task = asyncio.create_task(use(endless(), []))
    await other_tasks_run()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
