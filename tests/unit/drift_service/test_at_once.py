"""Two pieces of work at once end together."""

import asyncio

import pytest

from infrawatch_drift.at_once import at_once


async def give(value: int) -> int:
    await asyncio.sleep(0)
    return value


async def fail(error: BaseException) -> int:
    await asyncio.sleep(0)
    raise error


class Endless:
    """Work that does not end by itself, and says when it was ended."""

    def __init__(self) -> None:
        self.ended = False

    async def work(self) -> int:
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True
        return 0


async def test_both_give_their_result() -> None:
    assert await at_once(give(1), give(2)) == (1, 2)


async def test_when_the_first_fails_the_other_ends_before_the_error_is_raised() -> None:
    endless = Endless()
    with pytest.raises(ValueError, match="first"):
        await at_once(fail(ValueError("first")), endless.work())
    assert endless.ended


async def test_when_the_second_fails_its_error_is_raised_once_the_first_is_done() -> None:
    with pytest.raises(ValueError, match="second"):
        await at_once(give(1), fail(ValueError("second")))


async def test_cancelling_ends_both() -> None:
    first, second = Endless(), Endless()
    task = asyncio.create_task(at_once(first.work(), second.work()))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (first.ended, second.ended) == (True, True)
