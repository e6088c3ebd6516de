"""A replica that is at work while the group's partitions are shared out anew."""

from collections.abc import Callable
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from ledger import Load, producer
from stack import Database, Service, Topics, eventually, ingest_environment


class Group:
    """A consumer group, as the broker sees it."""

    def __init__(self, admin: AIOKafkaAdminClient, name: str) -> None:
        self._admin = admin
        self._name = name

    async def members(self, number: int) -> set[str]:
        """The ids of its members, once there are so many and they share the partitions."""
        ids: set[str] = set()

        async def settled() -> bool:
            try:
                answers: Any = await self._admin.describe_consumer_groups([self._name])
            except KafkaError:  # no group has been on this broker before
                return False
            [(_, _, state, _, _, members, *_)] = answers[0].groups
            ids.clear()
            ids.update(member[0] for member in members)
            return state == "Stable" and len(ids) == number

        await eventually(settled)
        return ids

    async def commits(self, records: int) -> None:
        """Wait until so many are committed."""

        async def are_committed() -> bool:
            offsets: Any = await self._admin.list_consumer_group_offsets(self._name)
            return bool(sum(each.offset for each in offsets.values()) == records)

        await eventually(are_committed)


async def test_a_batch_that_is_written_during_a_rebalance_is_committed_after_it_by_the_same_member(
    database: Database, topics: Topics, service: Callable[..., Service], known_hosts: Callable[[list[str]], None]
) -> None:
    load, name = Load(topics), f"{topics.metrics}-group"
    known_hosts(load.host_ids)
    environment = ingest_environment(database, topics, kafka_group=name)
    stays, dies = service("ingest", environment), service("ingest", environment)
    admin = AIOKafkaAdminClient(bootstrap_servers=topics.bootstrap_servers)
    group = Group(admin, name)
    await admin.start()
    try:
        stays.start()
        [its_id] = await group.members(1)
        dies.start()
        await group.members(2)
        async with database.admin() as connection, producer(topics) as sending:
            await load.send(sending, rounds=10)
            await group.commits(len(load.acknowledged))
            async with connection.transaction():
                await connection.execute("LOCK TABLE metrics IN ACCESS EXCLUSIVE MODE")
                await load.send(sending, rounds=10)

                async def both_wait_for_the_lock() -> bool:
                    waiting = await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted")
                    return bool(waiting >= 2)

                await eventually(both_wait_for_the_lock)
                joined = stays.log.read_text().count("(Re-)joining")
                # Until its session is over the group waits for the dead one; meanwhile the batch is written.
                dies.kill()
                dies.launch()

                async def joins_again() -> bool:
                    return stays.log.read_text().count("(Re-)joining") > joined

                await eventually(joins_again)

            await group.commits(len(load.acknowledged))
        assert (await load.verdict(database)).kept
        assert its_id in await group.members(2)
        assert "offsets not committed" not in stays.log.read_text()
    finally:
        await admin.close()
