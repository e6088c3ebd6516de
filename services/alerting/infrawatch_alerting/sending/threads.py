"""Blocking calls in threads, so that what hangs for one channel delays no other and no stop of the process."""

import asyncio
import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


class BusyError(TimeoutError):
    """Earlier calls with the same key took all the time; this one was not begun."""


class Threads:
    """Runs at most ``most`` calls at a time for each key. One that takes too long keeps its place until it ends.

    The threads are daemons, as those of an executor would be waited for at the end of the process.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._slots: dict[Hashable, asyncio.Semaphore] = {}

    async def run(self, key: Hashable, call: Callable[[], T], limit: float) -> T:
        """What the call returns. Raises what it raises, and ``TimeoutError`` after so many seconds, ``BusyError`` if it
        was not begun.
        """
        slot = self._slots.setdefault(key, asyncio.Semaphore(self._most))
        begun = False
        try:
            async with asyncio.timeout(limit):
                await slot.acquire()
                begun = True
                return await self._start(slot, call)
        except TimeoutError:
            if not begun:
                raise BusyError from None
            raise

    def _start(self, slot: asyncio.Semaphore, call: Callable[[], T]) -> "asyncio.Future[T]":
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[T] = loop.create_future()

        def end(result: T | None, error: BaseException | None) -> None:
            slot.release()
            if ended.done():
                return
            if error is not None:
                ended.set_exception(error)
            else:
                ended.set_result(result)  # type: ignore[arg-type]

        def work() -> None:
            result, error = None, None
            try:
                result = call()
            except BaseException as raised:  # noqa: BLE001 - whoever waits for it gets it
                error = raised
            with suppress(RuntimeError):  # the loop has ended, and nobody waits
                loop.call_soon_threadsafe(end, result, error)

        try:
            threading.Thread(target=work, name="sending", daemon=True).start()
        except RuntimeError:
            slot.release()
            raise
        return ended
