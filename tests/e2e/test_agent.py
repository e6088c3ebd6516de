"""The agent as a process: what it reads is what arrives."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from agents import HOST, agent_environment, reading
from infrawatch_common.events import MetricRecord, SnapshotRecord, check_signature, decode
from records import host_key
from stack import Database, Service, Topics, eventually, ingest_environment

MakeService = Callable[..., Service]


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


async def test_an_agent_without_identity_says_what_to_do(topics: Topics, service: MakeService, tmp_path: Path) -> None:
    environment = topics.environment() | {"INFRAWATCH_STATE_DIRECTORY": str(tmp_path / "new")}
    agent = service("agent", environment, "run")
    agent.launch()
    assert agent.wait(20) == 1
    assert "INFRAWATCH_ENROLMENT_TOKEN" in agent.log.read_text()
