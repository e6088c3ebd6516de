"""Drift as a process: what snapshots say and how they differ, whatever is killed meanwhile, and others are told."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from agents import HOST, agent_environment, reading
from event_schemas import validator
from infrawatch_common.drift.changes import Action, Category, Change, shown
from infrawatch_common.drift.content import Content
from infrawatch_common.drift.diff import diff
from infrawatch_common.topics import TopicSettings
from records import body, host_key, signature
from snapshots import debian_packages, snapshot, upgraded
from stack import CLEAN, Database, Service, Topics, drift_environment, eventually

MakeService = Callable[..., Service]
GiveKeys = Callable[[list[str]], None]
HOSTS = [f"host-{number}" for number in range(8)]
STEP = timedelta(minutes=10)
SCHEMA = validator("drift-events.v1")

Row = tuple[object, ...]


def content_of(record: dict[str, Any]) -> Content:
    return Content(record["os_info"], record["kernel"], record["packages"], record["env_vars"])


def histories(length: int, chance: random.Random) -> dict[str, list[dict[str, Any]]]:
    """The snapshots of each host in the order of their times, up to now; one in three differs from the one before."""
    start = datetime.now(UTC).replace(microsecond=0) - length * STEP
    return {host: list(_history(host, start, length, chance)) for host in HOSTS}


def _history(host: str, start: datetime, length: int, chance: random.Random) -> Iterable[dict[str, Any]]:
    kernel, packages, variables = "6.12.1", debian_packages(100), {"LANG": "C.UTF-8"}
    for number in range(length):
        what = chance.randrange(12)
        if what == 0:
            kernel = f"6.12.{chance.randint(1, 3)}"
        elif what == 1:
            packages = upgraded(packages, 2, chance.randrange(1000))
        elif what == 2:
            variables = {**variables, "DB_PASSWORD": f"hmac:{chance.randrange(16):016x}"}
        elif what == 3:
            packages = {name: version for name, version in packages.items() if chance.random() > 0.02}
        yield snapshot(
            host, number, start + number * STEP, kernel=kernel, packages={"dpkg": packages}, env_vars=variables
        )


def expected_rows(history: Sequence[dict[str, Any]]) -> list[Row]:
    """Host, first and last time and content of each run, by a look at all snapshots at once."""
    rows: list[list[Any]] = []
    for record in history:
        if rows and rows[-1][-1] == content_of(record):
            rows[-1][3] = record["timestamp"]
        else:
            rows.append([record["id"], record["host_id"], record["timestamp"], record["timestamp"], content_of(record)])
    return [(*row[:2], datetime.fromisoformat(row[2]), datetime.fromisoformat(row[3]), row[4]) for row in rows]


def expected_changes(rows: Sequence[Row]) -> set[Row]:
    """Of each host's rows, how each differs from the one before."""
    found: set[Row] = set()
    for former, latter in pairwise(rows):
        for change in diff(former[4], latter[4]):  # type: ignore[arg-type]
            about = (change.category.value, change.source, change.name, change.action.value)
            found.add((latter[0], latter[1], former[3], latter[2], *about, change.before, change.after))
    return found


async def stored_rows(database: Database) -> list[Row]:
    async with database.admin() as connection:
        rows = await connection.fetch("SELECT * FROM snapshots ORDER BY host_id, timestamp, id")
    return [
        (
            str(row["id"]),
            row["host_id"],
            row["timestamp"],
            row["confirmed_at"],
            Content(row["os_info"], row["kernel"], json.loads(row["packages"]), json.loads(row["env_vars"])),
        )
        for row in rows
    ]


async def stored_changes(database: Database) -> dict[str, Row]:
    """By id."""
    async with database.admin() as connection:
        rows = await connection.fetch("SELECT * FROM drift_changes")
    fields = ("host_id", "not_before", "at", "category", "source", "name", "action")
    return {
        str(row["id"]): (
            str(row["snapshot_id"]),
            *(row[field] for field in fields),
            json.loads(row["before"]),
            json.loads(row["after"]),
        )
        for row in rows
    }


async def send(sending: AIOKafkaProducer, topics: Topics, value: bytes | None, host: str = HOSTS[0]) -> Any:
    """Send one body as its host would; the future of its acknowledgement."""
    headers = [signature(host_key(host), value, topics.snapshots)] if value else []
    return await sending.send(topics.snapshots, value, key=host.encode(), headers=headers)


async def all_done(database: Database, snapshots: int, letters: int) -> None:
    async def done() -> bool:
        async with database.admin() as connection:
            seen = await connection.fetchval("SELECT count(*) FROM snapshot_sightings")
            refused = await connection.fetchval("SELECT count(*) FROM dead_letters")
        return (seen, refused) == (snapshots, letters)

    await eventually(done)


def environment_of(database: Database, topics: Topics, **settings: object) -> dict[str, str]:
    """What drift must be told; its events go to a topic that is this test's own, and that nobody else uses."""
    return drift_environment(database, topics, drift_events_topic=topics.metrics, **settings)


async def standing_events(database: Database, topics: Topics) -> dict[str, dict[str, Any]]:
    """The last event about each change that was not withdrawn, by id, once nothing more is to be published."""

    async def all_published() -> bool:
        async with database.admin() as connection:
            return not await connection.fetchval("SELECT count(*) FROM outbox")

    await eventually(all_published)
    found: dict[str, dict[str, Any]] = {}
    async with reading(topics.metrics, topics) as consumer:
        partitions = [TopicPartition(topics.metrics, n) for n in consumer.partitions_for_topic(topics.metrics)]
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            message = await consumer.getone()
            event = json.loads(message.value or b"{}")
            assert message.key == event["host_id"].encode()
            SCHEMA.validate(event)
            if event["event"] == "withdrawn":
                found.pop(event["id"], None)
            else:
                found[event["id"]] = event
    return found


def unusable(host: str) -> list[tuple[bytes | None, str]]:
    """Bodies that cannot be used, and the reason that each one's dead letter must carry."""
    many = snapshot(host, env_vars={f"VARIABLE_{number}": "x" for number in range(50_000)})
    return [
        (body(snapshot(host))[:-1], "malformed"),
        (body(many), "too_large"),
        (body(snapshot(host, kernel=None)), "invalid"),
        (None, "empty"),
    ]


async def test_kills_and_disorder_change_nothing_of_what_is_stored_and_told(
    database: Database, topics: Topics, service: MakeService, known_hosts: GiveKeys
) -> None:
    known_hosts(HOSTS)
    chance = random.Random(6)
    told = histories(60, chance)
    sent = [record for history in told.values() for record in (*history, *chance.sample(history, 5))]
    chance.shuffle(sent)
    environment = environment_of(database, topics, batch_max_records=25)
    replicas = [service("drift", environment).start() for _ in range(2)]
    expected_letters = []
    async with large_producer(topics) as sending:
        for start in range(0, len(sent), 130):
            for waiting in [
                await send(sending, topics, body(record), record["host_id"]) for record in sent[start : start + 130]
            ]:
                await waiting
            victim = chance.choice(replicas)
            victim.kill()
            victim.start()
        for value, reason in unusable(HOSTS[0]):
            bad = await (await send(sending, topics, value))
            expected_letters.append((bad.topic, bad.partition, bad.offset, reason))
    await all_done(database, len(HOSTS) * 60, len(expected_letters))

    rows = {host: expected_rows(history) for host, history in told.items()}
    assert await stored_rows(database) == [row for host in sorted(rows) for row in rows[host]]
    changes = await stored_changes(database)
    wanted = [change for host in rows.values() for change in expected_changes(host)]
    assert sorted(map(repr, changes.values())) == sorted(map(repr, wanted)), "each once, and nothing else"
    assert len(changes) > len(HOSTS)
    async with database.admin() as connection:
        letters = await connection.fetch(
            'SELECT topic, partition, "offset", reason FROM dead_letters ORDER BY "offset"'
        )
    assert [tuple(letter) for letter in letters] == expected_letters

    events = await standing_events(database, topics)
    assert events.keys() == changes.keys()
    for event in events.values():
        assert_tells(event, changes[event["id"]])
    assert [replica.stop() for replica in replicas] == [0, 0]


def assert_tells(event: dict[str, Any], change: Row) -> None:
    """The event tells the change, but no secret."""
    snapshot_id, host_id, not_before, at, category, source, name, action, before, after = change
    assert (event["snapshot_id"], event["host_id"]) == (snapshot_id, host_id)
    assert (datetime.fromisoformat(event["not_before"]), datetime.fromisoformat(event["at"])) == (not_before, at)
    assert (event["category"], event["source"], event["name"], event["action"]) == (category, source, name, action)
    told = shown(Change(Category(str(category)), str(source), str(name), Action(str(action)), before, after))  # type: ignore[arg-type]
    assert (event["before"], event["after"]) == (told.before, told.after)
    assert "hmac:" not in json.dumps(event)


def large_producer(topics: Topics) -> AIOKafkaProducer:
    """One that sends whatever the topic takes."""
    return AIOKafkaProducer(
        bootstrap_servers=topics.bootstrap_servers,
        enable_idempotence=True,
        max_request_size=TopicSettings.model_fields["snapshot_max_bytes"].default,
    )


async def test_a_stop_in_the_middle_of_a_backlog_is_soon_done_and_loses_nothing(
    database: Database, topics: Topics, service: MakeService, known_hosts: GiveKeys
) -> None:
    known_hosts(HOSTS)
    told = histories(150, random.Random(15))
    async with large_producer(topics) as sending:
        for records in zip(*told.values(), strict=True):
            for waiting in [await send(sending, topics, body(record), record["host_id"]) for record in records]:
                await waiting
    drift = service("drift", environment_of(database, topics, batch_max_records=10)).start()
    sightings = len(HOSTS) * 150

    async def begun() -> bool:
        async with database.admin() as connection:
            return bool(await connection.fetchval("SELECT count(*) FROM snapshot_sightings"))

    await eventually(begun)
    began = time.monotonic()
    assert drift.stop() == 0
    assert time.monotonic() - began < 10
    async with database.admin() as connection:
        assert await connection.fetchval("SELECT count(*) FROM snapshot_sightings") < sightings, "it was in the middle"
    drift.start()
    await all_done(database, sightings, 0)
    wanted = {host: expected_rows(history) for host, history in told.items()}
    assert await stored_rows(database) == [row for host in sorted(wanted) for row in wanted[host]]


async def test_what_the_agent_says_of_this_machine_is_what_is_stored_of_it(
    database: Database, topics: Topics, service: MakeService, known_hosts: GiveKeys, tmp_path: Path
) -> None:
    known_hosts([HOST])
    service("drift", environment_of(database, topics)).start()
    service("agent", agent_environment(topics, tmp_path), "run").start()

    async def stored() -> bool:
        return bool(await stored_rows(database))

    await eventually(stored)
    ((_, host_id, _, _, content),) = await stored_rows(database)
    assert host_id == HOST
    assert isinstance(content, Content)
    listed = output("dpkg-query", "-W", "-f", "${binary:Package} ${Version} ${Status}\n").splitlines()
    assert content.packages["dpkg"] == dict(line.split(" ")[:2] for line in listed if line.endswith(" installed"))
    assert content.kernel == output("uname", "-r").strip()


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (
            "DRIFT_RULES",
            '[{"severity": "bad", "reason": "x"}]',
            "INFRAWATCH_DRIFT_RULES is wrong: rule 1: severity must",
        ),
        ("DRIFT_RULES", "[", "INFRAWATCH_DRIFT_RULES is wrong: it is not JSON"),
        ("DRIFT_RULES_FILE", "/nowhere/rules.json", "INFRAWATCH_DRIFT_RULES_FILE names /nowhere/rules.json, which"),
        ("DRIFT_NOTIFY_SEVERITY", "ignored", "INFRAWATCH_DRIFT_NOTIFY_SEVERITY is wrong"),
        ("SIGHTING_RETENTION_DAYS", "37", "INFRAWATCH_SIGHTING_RETENTION_DAYS (37) must be more than 37"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_in_one_sentence(name: str, value: str, words: str) -> None:
    environment = {
        **CLEAN,
        "INFRAWATCH_DATABASE_URL": "postgresql://someone@127.0.0.1:1/infrawatch",
        "INFRAWATCH_DATABASE_PASSWORD": "x" * 16,
        "INFRAWATCH_HOST_KEY_SECRET": "x" * 32,
        f"INFRAWATCH_{name}": value,
    }
    result = subprocess.run(
        [sys.executable, "-m", "infrawatch_drift"], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1, result.stderr
    assert words in result.stderr
