"""The agent as a process: what it reads is what arrives."""

import base64
import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
from aiokafka import AIOKafkaConsumer

from infrawatch_common.events import MetricRecord, SnapshotRecord, check_signature, decode
from infrawatch_local.stack import Stack
from records import host_key
from stack import Database, Service, Topics, eventually, ingest_environment

HOST = "host-under-test"
MakeService = Callable[..., Service]


def agent_environment(topics: Topics, directory: Path, **settings: object) -> dict[str, str]:
    """An enrolled agent that samples every second."""
    key = host_key(HOST)
    state = directory / "agent"
    state.mkdir(exist_ok=True)
    identity = {"host_id": HOST, "key_id": key.id, "secret": base64.b64encode(key.secret).decode()}
    (state / "identity.json").write_text(json.dumps(identity))
    return {
        **topics.environment(),
        "INFRAWATCH_STATE_DIRECTORY": str(state),
        "INFRAWATCH_INTERVAL": "1",
        **{f"INFRAWATCH_{name.upper()}": str(value) for name, value in settings.items()},
    }


@asynccontextmanager
async def reading(topic: str, topics: Topics) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that sees a topic from its beginning."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=topics.bootstrap_servers, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def test_a_samples_numbers_in_the_database_are_those_that_the_agent_sent_and_the_host_has(
    database: Database,
    topics: Topics,
    service: MakeService,
    known_hosts: Callable[[list[str]], None],
    tmp_path: Path,
) -> None:
    known_hosts([HOST])
    service("ingest", ingest_environment(database, topics)).start()
    service("agent", agent_environment(topics, tmp_path), "run").start()

    async def rows() -> list[Any]:
        async with database.admin() as connection:
            return list(await connection.fetch("SELECT * FROM metrics ORDER BY timestamp"))

    async def three_rows() -> bool:
        return len(await rows()) >= 3

    await eventually(three_rows)
    stored = {row["id"]: row for row in await rows()}
    async with reading(topics.metrics, topics) as consumer:
        sent = [decode(MetricRecord, (await consumer.getone()).value) for _ in range(3)]
    for record in sent:
        assert isinstance(record, MetricRecord)
        row = stored[record.id]
        for field in ("host_id", "timestamp", "cpu", "memory", "disk", "uptime"):
            assert row[field] == getattr(record, field)
    last = (await rows())[-1]
    assert abs(last["uptime"] - time.clock_gettime(time.CLOCK_BOOTTIME)) < 10
    assert abs(last["memory"] - psutil.virtual_memory().percent) < 10
    assert last["disk"] >= psutil.disk_usage("/").percent - 1


async def test_a_snapshot_lists_exactly_the_packages_that_dpkg_lists(
    topics: Topics, service: MakeService, tmp_path: Path
) -> None:
    service("agent", agent_environment(topics, tmp_path), "run").start()
    async with reading(topics.snapshots, topics) as consumer:
        message = await consumer.getone()
    assert message.key == HOST.encode()
    header = dict(message.headers)["infrawatch-signature"]
    keys = {host_key(HOST).id: host_key(HOST)}
    assert check_signature(topics.snapshots, message.value or b"", header, message.timestamp, keys) == host_key(HOST)
    snapshot = decode(SnapshotRecord, message.value)
    assert isinstance(snapshot, SnapshotRecord)
    listed = output("dpkg-query", "-W", "-f", "${binary:Package} ${Version} ${Status}\n").splitlines()
    expected = dict(line.split(" ")[:2] for line in listed if line.endswith(" installed"))
    assert expected, "this test needs a machine with dpkg"
    assert snapshot.packages["dpkg"] == expected
    assert snapshot.kernel == output("uname", "-r").strip()


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


async def test_a_secret_variable_never_reaches_the_broker(topics: Topics, service: MakeService, tmp_path: Path) -> None:
    environment = agent_environment(topics, tmp_path, env_whitelist="CANARY_*") | {
        "CANARY_TOKEN": "canary-value-1",
        "CANARY_URL": "postgres://me:canary-value-2@db/x",
        "CANARY_PLAIN": "seen",
    }
    service("agent", environment, "run").start()
    async with reading(topics.snapshots, topics) as consumer:
        value = (await consumer.getone()).value or b""
    assert b"canary-value" not in value
    assert b'"CANARY_PLAIN":"seen"' in value
    assert json.loads(value)["env_vars"]["CANARY_TOKEN"].startswith("hmac:")


async def test_what_was_collected_while_the_broker_was_away_arrives_afterwards(
    stack: Stack, topics: Topics, service: MakeService, tmp_path: Path
) -> None:
    agent = service("agent", agent_environment(topics, tmp_path), "run").start()
    stack.kafka.kill()

    async def spooled() -> bool:
        return agent.metric("infrawatch_agent_spool_records") >= 5

    await eventually(spooled)
    agent.kill()
    agent.launch()
    stack.kafka.start()

    async def sent() -> bool:
        return agent.health().get("status") == "ready" and agent.metric("infrawatch_agent_spool_records") <= 1

    await eventually(sent)
    async with reading(topics.metrics, topics) as consumer:
        records = [json.loads((await consumer.getone()).value or b"") for _ in range(6)]
    by_instance: dict[str, list[int]] = {}
    for record in records:
        by_instance.setdefault(record["agent"]["instance"], []).append(record["agent"]["sequence"])
    first = next(iter(by_instance.values()))
    assert first == list(range(len(first))), "no sample of the first run is missing"
    assert len(first) >= 5


async def test_an_agent_without_identity_says_what_to_do(topics: Topics, service: MakeService, tmp_path: Path) -> None:
    environment = topics.environment() | {"INFRAWATCH_STATE_DIRECTORY": str(tmp_path / "new")}
    agent = service("agent", environment, "run")
    agent.launch()
    assert agent.wait(20) == 1
    assert "INFRAWATCH_ENROLMENT_TOKEN" in agent.log.read_text()
