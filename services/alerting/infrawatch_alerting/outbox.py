"""Events that are to be published: in their order, by one replica at a time, each until the broker has it."""

from aiokafka import AIOKafkaProducer

from infrawatch_common.database import Pool

_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('infrawatch alerting: outbox', 0))"
_NEXT = "SELECT id, topic, key, value FROM outbox ORDER BY id LIMIT $1"
_DONE = "DELETE FROM outbox WHERE id = ANY ($1)"
_COUNT = "SELECT count(*) FROM outbox"
_AT_A_TIME = 500


class Outbox:
    """Table ``outbox``."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def count(self) -> int:
        """How many wait."""
        return int(await self._pool.fetchval(_COUNT))

    async def publish(self, producer: AIOKafkaProducer) -> int:
        """Send the oldest, and delete them once they are acknowledged; how many. A crash sends them again."""
        async with self._pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(_TRY_LOCK):
                return 0
            rows = await connection.fetch(_NEXT, _AT_A_TIME)
            sent = [await producer.send(row["topic"], row["value"].encode(), key=row["key"].encode()) for row in rows]
            for acknowledged in sent:
                await acknowledged
            if rows:
                await connection.execute(_DONE, [row["id"] for row in rows])
            return len(rows)
