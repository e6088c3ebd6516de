"""Events that are to be published: in their order, by one replica at a time, each until the broker has it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from prometheus_client import Gauge

from infrawatch_common.database import Connection, Pool, columns, is_transient
from infrawatch_common.logs import get_logger

_ADD = """
INSERT INTO outbox (service, topic, key, value)
SELECT $1, $2, key, value FROM unnest($3::text[], $4::jsonb[]) AS new (key, value)
"""
_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('infrawatch outbox: ' || $1, 0))"
_NEXT = "SELECT id, topic, key, value FROM outbox WHERE service = $1 ORDER BY id LIMIT $2"
_DONE = "DELETE FROM outbox WHERE id = ANY ($1)"
_COUNT = "SELECT count(*) FROM outbox WHERE service = $1"
_AT_A_TIME = 500
_PAUSE = 1.0

_json = msgspec.json.Encoder()
_log = get_logger(__name__)


class Encoded(NamedTuple):
    """An event as it is kept: its key, a host's id, and its value, a JSON text."""

    key: str
    value: str


def encoded(key: str, event: Mapping[str, Any]) -> Encoded:
    """An event with its key, a host's id."""
    return Encoded(key, _json.encode(event).decode())


async def add_events(connection: Connection, service: str, topic: str, events: Sequence[Encoded]) -> None:
    """Have events published once the transaction is kept, in this order."""
    if events:
        await connection.execute(_ADD, service, topic, *columns(events))


class Outbox:
    """Table ``outbox``, of one service."""

    def __init__(self, pool: Pool, service: str) -> None:
        self._pool = pool
        self._service = service

    async def count(self) -> int:
        """How many wait."""
        return int(await self._pool.fetchval(_COUNT, self._service))

    async def publish(self, producer: AIOKafkaProducer) -> int:
        """Send the oldest, and delete them once they are acknowledged; how many. A crash sends them again."""
        async with self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(_TRY_LOCK, self._service):
                return 0
            rows = await connection.fetch(_NEXT, self._service, _AT_A_TIME)
            sent = [await producer.send(row["topic"], row["value"].encode(), key=row["key"].encode()) for row in rows]
            for acknowledged in sent:
                await acknowledged
            if rows:
                await connection.execute(_DONE, [row["id"] for row in rows])
            return len(rows)


async def publish(outbox: Outbox, make_producer: Callable[[], AIOKafkaProducer], waiting: Gauge) -> None:
    """Send what is in the outbox, for ever. After a failure a new producer goes on where the last one was."""
    while True:
        producer = make_producer()
        try:
            await producer.start()
            while True:
                waiting.set(await outbox.count())
                if not await outbox.publish(producer):
                    await asyncio.sleep(_PAUSE)
        except Exception as error:
            if not isinstance(error, KafkaError) and not is_transient(error):
                raise
            _log.warning("events are not published, trying again", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(_PAUSE)
        finally:
            await producer.stop()
