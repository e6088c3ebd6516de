"""A connection that is lost while aiokafka writes to it, on uvloop.

uvloop raises ``RuntimeError`` for a write to a transport that a reset has closed a moment before; asyncio's own loop
does not. aiokafka expects ``OSError`` alone: its fetcher would end, and the consumer would never read again.
"""

from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError

_send: Any = AIOKafkaConnection.send


def survive_lost_connections() -> None:
    """Make aiokafka treat such a connection as broken, for this process; calling it again changes nothing."""
    AIOKafkaConnection.send = _send_or_close  # type: ignore[method-assign]


def _send_or_close(connection: AIOKafkaConnection, request: Any, expect_response: bool = True) -> Any:
    try:
        return _send(connection, request, expect_response)
    except KafkaError:
        raise  # a RuntimeError too
    except RuntimeError as error:
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
        msg = f"Connection at {connection.host}:{connection.port} broken: {error}"
        raise KafkaConnectionError(msg) from error
