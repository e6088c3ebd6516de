"""What is kept of each run of an agent, while ingest is killed under load."""

from collections.abc import Callable

from ledger import Load, producer
from stack import Database, Service, Topics, eventually, ingest_environment

WHOLE = """
SELECT host_id FROM host_streams
WHERE (SELECT count(*) = 1 AND sum(upper(part) - lower(part)) = $1 FROM unnest(received) AS part) AND gaps = '[]'
  AND settled_missing = 0
"""


async def test_no_number_is_missing_after_kills_and_none_that_came_is_a_gap(
    database: Database,
    topics: Topics,
    service: Callable[..., Service],
    known_hosts: Callable[[list[str]], None],
) -> None:
    load, rounds, kills = Load(topics), 100, 3
    known_hosts(load.host_ids)
    ingest = service("ingest", ingest_environment(database, topics, batch_max_records=50)).start()
    async with producer(topics) as sending, database.admin() as admin:
        for kill in range(kills):
            await load.send(sending, rounds=rounds)

            async def has_got_on(sent: int = kill) -> bool:
                stored = await admin.fetchval("SELECT count(*) FROM metrics")
                return bool(stored > sent * rounds * load.hosts)

            await eventually(has_got_on)
            ingest.kill()
            ingest.start()

        async def is_whole() -> bool:
            return len(await admin.fetch(WHOLE, kills * rounds)) == load.hosts

        await eventually(is_whole)
    assert ingest.stop() == 0
