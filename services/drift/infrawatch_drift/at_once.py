"""Two pieces of work at once, neither of which outlives the other."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

FirstT = TypeVar("FirstT")
SecondT = TypeVar("SecondT")


async def at_once(first: Coroutine[Any, Any, FirstT], second: Coroutine[Any, Any, SecondT]) -> tuple[FirstT, SecondT]:
    """The results of both. If one fails, the other ends before the error is raised: it may use the same connection."""
    beside = asyncio.create_task(second)
    try:
        result = await first
    except BaseException:
        beside.cancel()
        await asyncio.gather(beside, return_exceptions=True)
        raise
    return result, await beside
