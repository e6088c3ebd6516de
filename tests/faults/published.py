"""What services have told others: everything that is on a topic of events, once nothing more is to come."""

import json
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from stack import Database, Topics


async def everything_on(topics: Topics, topic: str) -> list[dict[str, Any]]:
    """The events, those of each host in order."""
    found: list[dict[str, Any]] = []
    consumer = AIOKafkaConsumer(bootstrap_servers=topics.bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        reached = await ends(consumer, topics.bootstrap_servers, topic)
        consumer.assign(list(reached))
        await consumer.seek_to_beginning()
        while any([await consumer.position(partition) < end for partition, end in reached.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [json.loads(record.value or b"{}") for record in records]
    finally:
        await consumer.stop()
    return found


async def ends(consumer: AIOKafkaConsumer, bootstrap_servers: str, topic: str) -> dict[TopicPartition, int]:
    """The end of each partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        (described,) = await admin.describe_topics([topic])
    finally:
        await admin.close()
    partitions = [TopicPartition(topic, one["partition"]) for one in described["partitions"]]
    assert partitions, f"there is no topic {topic}"
    return dict(await consumer.end_offsets(partitions))


async def outbox_is_empty(database: Database) -> bool:
    """Whether nothing is left to be published."""
    async with database.admin() as connection:
        return not await connection.fetchval("SELECT count(*) FROM outbox")
