"""The agent as a process: what it reads is what arrives."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from aiokafka import TopicPartition

from agents import HOST, agent_environment, reading
from infrawatch_common.events import MetricRecord, SnapshotRecord, check_signature, decode
from records import host_key
from stack import CLEAN, Database, Service, Topics, eventually, ingest_environment

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


# Names that look secret with any value, and values that look secret under any name.
SECRET_NAMES = [
    *("DB_PASSWORD", "PGPASSWORD", "MYSQL_PWD", "API_KEY", "APIKEY_KEY", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"),
    *("SLACK_WEBHOOK", "SENTRY_DSN", "SESSION_COOKIE", "OAUTH_CLIENT", "PRIVATE_THING", "PASSPHRASE", "SALT"),
    *("AZURE_CREDENTIALS", "SIGNATURE", "STORAGE_CONNECTION_STRING", "SSH_PRIVATE_KEY", "X_AUTH", "my_secret"),
]
SECRET_VALUES = [
    "postgres://me:{}@db/x",
    "https://user:{}@proxy:3128",
    "amqp://:{}@queue",
    "-----BEGIN RSA PRIVATE KEY-----{}",
    "-----BEGIN PRIVATE KEY-----{}",
    "Bearer {}",
    "Basic {}=",
    "ghp_{}0123456789abcdef",
    "github_pat_{}",
    "glpat-{}",
    "xoxb-{}",
    "sk-{}0123456789abcdef",
    "sk_live_{}",
    "eyJhbGciOiJIUzI1NiJ9.{}.x",
    "f3b1c2d4e5a60718293a4b5c6d7e8f90{}",
]


async def test_fifty_planted_secrets_are_in_no_topic_no_spool_and_no_log(
    topics: Topics, service: MakeService, tmp_path: Path
) -> None:
    canaries = [f"canary{number:02}canary" for number in range(50)]
    planted = {f"CANARY_{name}": canary for name, canary in zip(SECRET_NAMES, canaries, strict=False)}
    for number, canary in enumerate(canaries[len(SECRET_NAMES) :]):
        planted[f"CANARY_N{number}"] = SECRET_VALUES[number % len(SECRET_VALUES)].format(canary)
    assert len(planted) == 50
    environment = agent_environment(topics, tmp_path, env_whitelist="CANARY_*", log_level="debug")
    agent = service("agent", environment | planted | {"CANARY_PLAIN": "plainvalue"}, "run").start()
    async with reading(topics.snapshots, topics) as consumer:
        sent = (await consumer.getone()).value or b""
    agent.kill()
    variables = json.loads(sent)["env_vars"]
    assert variables.pop("CANARY_PLAIN") == "plainvalue"
    assert len(variables) == 50
    assert all(value.startswith("hmac:") for value in variables.values())
    places = {"topic": sent, "log": agent.log.read_bytes()}
    places |= {path.name: path.read_bytes() for path in (tmp_path / "agent").iterdir()}
    assert b"plainvalue" in places["spool.sqlite"] + places["spool.sqlite-wal"], "the search would find what is there"
    for place, content in places.items():
        assert not [canary for canary in canaries if canary.encode() in content], place


async def checked(environment: dict[str, str]) -> tuple[int | None, list[str]]:
    """Exit code and lines of ``infrawatch-agent check``."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "infrawatch_agent", "check"), env=CLEAN | environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode().splitlines()


async def test_the_check_asks_the_broker_about_each_topic_and_writes_nothing(topics: Topics, tmp_path: Path) -> None:
    environment = agent_environment(topics, tmp_path)
    code, lines = await checked(environment)
    assert code == 0, lines
    assert {f"ok    topic: {topic} can be written" for topic in (topics.metrics, topics.snapshots)} <= set(lines)
    async with reading(topics.metrics, topics) as consumer:
        numbers = consumer.partitions_for_topic(topics.metrics)
        ends = await consumer.end_offsets([TopicPartition(topics.metrics, number) for number in numbers])
    assert set(ends.values()) == {0}

    code, lines = await checked(environment | {"INFRAWATCH_METRICS_TOPIC": "no-such-topic"})
    assert code == 1
    remedy = "Create it, or let this host's user write it."
    assert [line for line in lines if line.startswith("BAD")] == [
        f"BAD   topic: no-such-topic: there is no such topic. {remedy}"
    ]


async def test_an_agent_without_identity_says_what_to_do(topics: Topics, service: MakeService, tmp_path: Path) -> None:
    environment = topics.environment() | {"INFRAWATCH_STATE_DIRECTORY": str(tmp_path / "new")}
    agent = service("agent", environment, "run")
    agent.launch()
    assert agent.wait(20) == 1
    assert "INFRAWATCH_ENROLMENT_TOKEN" in agent.log.read_text()
