"""A TCP proxy that makes faults: latency, loss as the pauses that TCP makes of it, silence, and cut connections."""

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Callable
from typing import Self

_CHUNK = 65_536
_CHUNKS_UNDER_WAY = 64
# What a sender's TCP waits before it repeats a lost segment, on Linux at least 200 ms.
_RETRANSMISSION = (0.2, 0.4)
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST


class FaultProxy:
    """Forwards ``host:port`` to a port of this machine, in a thread of its own, so that a test may block.

    ``delay`` (seconds, each way) and ``loss`` (share of chunks that come late, order kept) apply to whatever is read
    from then on. All other faults are methods.
    """

    def __init__(self, target_port: int, host: str = "127.0.0.1", port: int = 0, seed: int = 0) -> None:
        self.delay = 0.0
        self.loss = 0.0
        self._target = target_port
        self._listener = socket.create_server((host, port))
        self.host, self.port = self._listener.getsockname()[:2]
        self._random = random.Random(seed)
        self._connections: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._serve()], daemon=True)
        self._closed = asyncio.Event()

    @property
    def address(self) -> str:
        """Where clients connect: ``HOST:PORT``."""
        return f"{self.host}:{self.port}"

    def freeze(self) -> None:
        """Let nothing through and close nothing, as a network that swallows every packet."""
        self._call(self._flowing.clear)

    def thaw(self) -> None:
        """Let everything through again, that which waited included."""
        self._call(self._flowing.set)

    def strand(self) -> None:
        """Half-open: connections that exist never carry anything again and are not closed; new ones work."""
        self._call(lambda: self._each(_Connection.strand))

    def cut(self) -> None:
        """Reset every connection that exists; new ones work."""
        self._call(lambda: self._each(_Connection.reset))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._closed.set)
        self._thread.join()
        self._loop.close()

    def lateness(self) -> float:
        """Seconds by which the next chunk comes late."""
        lost = self.loss and self._random.random() < self.loss
        return self.delay + (self._random.uniform(*_RETRANSMISSION) if lost else 0.0)

    async def passage(self) -> None:
        """Wait until the network lets something through."""
        await self._flowing.wait()

    def _each(self, action: "Callable[[_Connection], None]") -> None:
        for connection in list(self._connections):
            action(connection)

    def _call(self, action: Callable[[], object]) -> None:
        done = threading.Event()

        def act() -> None:
            action()
            done.set()

        self._loop.call_soon_threadsafe(act)
        done.wait()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, sock=self._listener, limit=_CHUNK)
        await self._closed.wait()
        server.close()
        for connection in list(self._connections):
            connection.reset()
        while self._connections:  # noqa: ASYNC110 - a few turns of the loop, at the end
            await asyncio.sleep(0)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, writer)
        self._connections.add(connection)
        try:
            await connection.run(reader, self._target)
        finally:
            self._connections.discard(connection)


class _Connection:
    """One client's connection and the one to the target behind it."""

    def __init__(self, proxy: FaultProxy, client: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._writers = [client]
        self._stranded = False
        self._end = asyncio.Event()

    def strand(self) -> None:
        self._stranded = True

    def reset(self) -> None:
        self._end.set()

    async def run(self, reader: asyncio.StreamReader, port: int) -> None:
        pumps: list[asyncio.Task[None]] = []
        try:
            from_target, target = await asyncio.open_connection("127.0.0.1", port, limit=_CHUNK)
            self._writers.append(target)
            pumps = [
                asyncio.create_task(self._carry(reader, target)),
                asyncio.create_task(self._carry(from_target, self._writers[0])),
            ]
            await self._end.wait()
        except OSError:
            pass  # the target is away: the client sees a reset
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for writer in self._writers:
                _reset(writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction, in order; how late a chunk comes is decided when it is read."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_UNDER_WAY)
        delivery = asyncio.create_task(self._deliver(under_way, writer))
        try:
            while chunk := await reader.read(_CHUNK):
                await under_way.put((asyncio.get_running_loop().time() + self._proxy.lateness(), chunk))
            await under_way.put((0.0, b""))
            await delivery
        except OSError:
            await self._hang_if_stranded()
            self._end.set()
        finally:
            delivery.cancel()
            await asyncio.gather(delivery, return_exceptions=True)

    async def _deliver(self, under_way: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        while True:
            due, chunk = await under_way.get()
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            await self._proxy.passage()
            await self._hang_if_stranded()
            if not chunk:
                self._end.set()
                return
            writer.write(chunk)
            await writer.drain()

    async def _hang_if_stranded(self) -> None:
        if self._stranded:
            await self._end.wait()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
