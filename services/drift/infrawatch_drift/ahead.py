"""Work that is done before it is asked for."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final, TypeVar

ItemT = TypeVar("ItemT")


class _End:
    pass


_END: Final = _End()


async def ahead(source: AsyncGenerator[ItemT, None]) -> AsyncGenerator[ItemT, None]:
    """What ``source`` makes, the next one being made while one is in use.

    Close it: then whatever is under way ends first, and the source is closed.
    """
    following = asyncio.create_task(_next(source))
    try:
        while not isinstance(item := await following, _End):
            following = asyncio.create_task(_next(source))
            yield item
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await source.aclose()


async def _next(source: AsyncGenerator[ItemT, None]) -> ItemT | _End:
    return await anext(source, _END)
