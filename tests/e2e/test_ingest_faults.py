"""How ingest starts where something is missing; faults under load are those of tests/faults."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(("name", "arguments"), [("ingest", []), ("drift", []), ("agent", ["run"])])
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
