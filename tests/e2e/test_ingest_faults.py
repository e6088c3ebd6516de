"""Promises 1, 2 and 6 under faults: real processes, a real broker, a real database, and load all the while."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from infrawatch_local.stack import Stack
from ledger import Load, producer
from stack import Database, Service, Topics, eventually, ingest_environment

MakeService = Callable[..., Service]
GiveKeys = Callable[[list[str]], None]


@pytest.fixture
def load(topics: Topics, known_hosts: GiveKeys) -> Load:
    """Twenty hosts whose keys ingest knows."""
    made = Load(topics)
    known_hosts(made.host_ids)
    return made


@asynccontextmanager
async def under_load(load: Load) -> AsyncIterator[AIOKafkaProducer]:
    """Sends about 1,000 records a second until the block ends."""
    async with producer(load.topics) as sending:
        done = asyncio.Event()

        async def send() -> None:
            while not done.is_set():
                await load.send(sending, rounds=10)
                await asyncio.sleep(0.2)  # the rate of the load

        task = asyncio.create_task(send())
        yield sending
        done.set()
        await task


async def all_arrive(load: Load, database: Database, within: float = 60.0) -> None:
    """Every acknowledged record becomes a row or a dead letter, none twice."""

    async def kept() -> bool:
        return (await load.verdict(database)).kept

    try:
        await eventually(kept, within)
    except TimeoutError:
        verdict = await load.verdict(database)
        raise AssertionError(
            f"{len(verdict.lost)} lost, {len(verdict.doubled)} doubled, {len(verdict.unknown)} unknown"
            f" of {len(load.acknowledged)}"
        ) from None
    assert load.acknowledged, "the load sent nothing"


async def test_ingest_killed_five_times_under_load_loses_and_doubles_nothing(
    database: Database, topics: Topics, service: MakeService, load: Load
) -> None:
    ingest = service("ingest", ingest_environment(database, topics)).start()
    async with under_load(load):
        for _ in range(5):
            await eventually(lambda: _progress(database))
            ingest.kill()
            ingest.start()
    await all_arrive(load, database)
    assert ingest.stop() == 0


async def _progress(database: Database) -> bool:
    """Whether anything of the last second has been stored: the kill must hit a working service."""
    async with database.admin() as connection:
        return bool(
            await connection.fetchval("SELECT EXISTS (SELECT FROM metrics WHERE timestamp > now() - interval '1 s')")
        )


async def test_a_database_that_is_away_for_30_s_costs_no_record(
    stack: Stack, database: Database, topics: Topics, service: MakeService, load: Load
) -> None:
    ingest = service("ingest", ingest_environment(database, topics)).start()
    async with under_load(load):
        await eventually(lambda: _progress(database))
        stack.database.stop()
        await asyncio.sleep(15)
        assert "database" in [name for name, state in ingest.health()["checks"].items() if state != "ok"]
        await asyncio.sleep(15)
        stack.database.start()
        await eventually(lambda: _progress(database))
    await all_arrive(load, database)
    assert ingest.running(), "ingest must wait for the database, not end"


async def test_a_broker_that_is_away_for_30_s_costs_no_acknowledged_record(
    stack: Stack, database: Database, topics: Topics, service: MakeService, load: Load
) -> None:
    ingest = service("ingest", ingest_environment(database, topics)).start()
    async with producer(topics) as sending:
        await load.send(sending, rounds=50)
        stack.kafka.kill()
        interrupted = asyncio.create_task(load.send(sending, rounds=50))
        await asyncio.sleep(30)
        assert ingest.health()["checks"]["kafka"] != "ok"
        stack.kafka.start()
        await interrupted
        await load.send(sending, rounds=50)
    await all_arrive(load, database)
    assert ingest.running(), "ingest must wait for the broker, not end"

    async def ready() -> bool:
        return ingest.health().get("status") == "ready"

    await eventually(ready)


async def test_replaying_the_whole_topic_changes_no_row(
    database: Database, topics: Topics, service: MakeService, load: Load
) -> None:
    first = service("ingest", ingest_environment(database, topics)).start()
    async with producer(topics) as sending:
        await load.send(sending, rounds=100)
    await all_arrive(load, database)
    first.stop()

    again = service("ingest", ingest_environment(database, topics, kafka_group=f"{topics.metrics}-replay")).start()

    async def replayed() -> bool:
        return again.metric('infrawatch_ingest_records_total{outcome="duplicate"}') == len(load.acknowledged)

    await eventually(replayed)
    assert (await load.verdict(database)).kept


async def test_two_replicas_share_the_work_and_neither_doubles_it(
    database: Database, topics: Topics, service: MakeService, load: Load
) -> None:
    replicas = [service("ingest", ingest_environment(database, topics)).start() for _ in range(2)]

    async def both_work() -> bool:
        return all(r.metric('infrawatch_ingest_records_total{outcome="stored"}') > 0 for r in replicas)

    async with under_load(load):
        await eventually(both_work)
        replicas[0].kill()
        await eventually(lambda: _progress(database))
    await all_arrive(load, database)


async def test_a_stop_finishes_the_batch_in_hand_and_the_next_start_repeats_nothing(
    database: Database, topics: Topics, service: MakeService, load: Load
) -> None:
    ingest = service("ingest", ingest_environment(database, topics)).start()
    async with under_load(load):
        await eventually(lambda: _progress(database))
        assert ingest.stop() == 0
    ingest.start()
    await all_arrive(load, database)
    assert ingest.metric('infrawatch_ingest_records_total{outcome="duplicate"}') == 0


async def test_ingest_that_starts_before_broker_and_database_waits_for_both(
    stack: Stack, database: Database, topics: Topics, service: MakeService, load: Load
) -> None:
    stack.kafka.stop()
    stack.database.stop()
    ingest = service("ingest", ingest_environment(database, topics))
    ingest.launch()

    async def answers() -> bool:
        return bool(ingest.health())

    await eventually(answers)
    assert {name for name, state in ingest.health()["checks"].items() if state != "ok"} == {
        "database",
        "kafka",
        "consumer",
    }
    stack.kafka.start()
    stack.database.start()
    async with producer(topics) as sending:
        await load.send(sending, rounds=10)
    await all_arrive(load, database)


@pytest.mark.parametrize(("name", "arguments"), [("ingest", []), ("agent", ["run"])])
async def test_a_taken_port_is_said_in_one_sentence(
    database: Database, topics: Topics, service: MakeService, tmp_path: Path, name: str, arguments: list[str]
) -> None:
    environment = {
        **ingest_environment(database, topics),
        "INFRAWATCH_STATE_DIRECTORY": str(tmp_path),
        "INFRAWATCH_ALLOW_UNSIGNED": "true",
    }
    refused = service(name, environment, *arguments)
    with socket.create_server(("127.0.0.1", refused.port)):
        refused.launch()
        assert refused.wait(20) == 1
    assert "INFRAWATCH_HTTP_PORT" in refused.log.read_text()
    assert "Traceback" not in refused.log.read_text()
