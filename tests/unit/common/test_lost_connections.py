"""A connection that is lost in the middle of a write is one that aiokafka opens anew."""

import asyncio
import struct
from typing import Any

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.admin import ApiVersionRequest

from infrawatch_common.lost_connections import survive_lost_connections


async def write_to_a_closed_transport(send: Any) -> None:
    """``send`` on a connection whose transport has been closed under it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        connection = AIOKafkaConnection("127.0.0.1", port)
        _, connection._writer = await asyncio.open_connection("127.0.0.1", port)
        connection._writer.transport.abort()
        await asyncio.sleep(0)
        try:
            send(connection)
        finally:
            connection.close()


def write(connection: AIOKafkaConnection) -> None:
    assert connection._writer is not None
    connection._writer.write(struct.pack(">i", 0))


def send(connection: AIOKafkaConnection) -> None:
    connection.send(ApiVersionRequest())


def test_uvloop_still_needs_this() -> None:
    with pytest.raises(RuntimeError, match="handler is closed"):
        uvloop.run(write_to_a_closed_transport(write))


def test_a_write_to_a_closed_transport_is_a_broken_connection() -> None:
    survive_lost_connections()
    survive_lost_connections()
    with pytest.raises(KafkaConnectionError, match="handler is closed"):
        uvloop.run(write_to_a_closed_transport(send))
