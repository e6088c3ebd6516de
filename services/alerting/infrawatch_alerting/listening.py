"""Work that is done whenever the database says so, and from time to time in any case."""

import asyncio
from collections.abc import Awaitable, Callable

from infrawatch_common.database import Pool, is_transient
from infrawatch_common.logs import get_logger

_PAUSE = 1.0

_log = get_logger(__name__)


async def follow(
    pool: Pool, channel: str, what: str, work: Callable[[], Awaitable[float]], *, burst: float = 0.0
) -> None:
    """Do the work at once, whenever the channel is notified, and after the seconds that it answers, for ever.

    Errors of the moment are logged, with ``what`` it is, and it is done again. Notifications that come within
    ``burst`` seconds are one.
    """
    told = asyncio.Event()
    while True:
        try:
            async with pool.acquire() as connection:
                await connection.add_listener(channel, lambda *_: told.set())
                while True:
                    told.clear()
                    await wait(told, await work(), burst)
                    await connection.execute("SELECT 1")  # one that was lost tells of nothing
        except Exception as error:
            if not is_transient(error):
                raise
            _log.warning("not done, trying again", work=what, error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(_PAUSE)


async def wait(told: asyncio.Event, longest: float, burst: float = 0.0) -> None:
    """Wait until it is told, and then for ``burst`` seconds; ``longest`` seconds at most."""
    try:
        async with asyncio.timeout(longest):
            await told.wait()
    except TimeoutError:
        return
    if burst:
        await asyncio.sleep(burst)
