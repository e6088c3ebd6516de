"""Alerting as a process: what fires, fires once, whatever is killed meanwhile, and others are told."""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from aiokafka import AIOKafkaConsumer

from event_schemas import validator
from infrawatch_common.alerts.engine import Fired, Resolved, Rhythm
from infrawatch_common.alerts.rules import Metric, Rule
from infrawatch_common.alerts.watching import HostWatch, RuleSet
from infrawatch_common.events import Sample, Stamp
from ledger import producer, send
from records import sample
from stack import Database, Service, Topics, alerting_environment, eventually

MakeService = Callable[..., Service]
GiveKeys = Callable[[list[str]], None]
HOSTS = [f"host-{number}" for number in range(20)]
SCHEMA = validator("alert-events.v1")
INTERVAL = timedelta(seconds=10)

Events = set[tuple[str, datetime, datetime | None]]


def rule(metric: Metric = Metric.CPU, seconds: float = 30) -> Rule:
    threshold = None if metric is Metric.HEARTBEAT else 90.0
    return Rule(uuid4(), 1, "cpu high", metric, timedelta(seconds=seconds), threshold=threshold, clear_threshold=None)


def store(database: Database, *rules: Rule) -> None:
    with psycopg.connect(database.admin_url) as connection:
        for one in rules:
            connection.execute(
                "INSERT INTO alerts (id, name, metric, threshold, duration, changed_at)"
                " VALUES (%s, %s, %s, %s, %s, now() - INTERVAL '1 day')",
                [one.id, one.name, one.metric.value, one.threshold, one.duration],
            )


def square_waves(samples: int) -> list[dict[str, Any]]:
    """Samples of all hosts in the order of time, up to now; each host is busy for a while, again and again."""
    start = datetime.now(UTC).replace(microsecond=0) - samples * INTERVAL
    chance = random.Random(5)
    busy = dict.fromkeys(HOSTS, False)
    made = []
    for number in range(samples):
        for host in HOSTS:
            busy[host] ^= chance.random() < 0.15
            made.append(sample(host, number, start + number * INTERVAL, cpu=95.0 if busy[host] else 20.0))
    return made


def expected(rules: Sequence[Rule], records: Sequence[dict[str, Any]]) -> Events:
    """What an undisturbed run finds: the decision alone, in memory."""
    watches = {host: HostWatch(host, RuleSet(rules), Rhythm(INTERVAL)) for host in HOSTS}
    found: dict[tuple[str, datetime], datetime | None] = {}
    for record in records:
        at = datetime.fromisoformat(record["timestamp"])
        host = record["host_id"]
        values = (record["cpu"], record["memory"], record["disk"], record["uptime"])
        for change in watches[host].sample(Sample(uuid4(), host, at, *values, Stamp(uuid4(), 0))) or ():
            if isinstance(change.transition, Fired):
                found[host, change.transition.at] = None
            elif isinstance(change.transition, Resolved):
                found[host, change.transition.fired_at] = change.transition.at
    return {(host, fired_at, resolved_at) for (host, fired_at), resolved_at in found.items()}


async def stored(database: Database) -> Events:
    async with database.admin() as connection:
        rows = await connection.fetch("SELECT host_id, fired_at, resolved_at FROM alert_events")
    return {(row["host_id"], row["fired_at"], row["resolved_at"]) for row in rows}


async def all_judged(database: Database, topics: Topics, records: int) -> None:
    async def done() -> bool:
        async with database.admin() as connection:
            reached = await connection.fetchval(
                "SELECT sum(next_offset) FROM consumer_offsets WHERE topic = $1", topics.metrics
            )
        return int(reached or 0) == records

    await eventually(done)


async def published(topics: Topics, rules: Sequence[Rule], wanted: int) -> dict[tuple[str, UUID], int]:
    """How often each event of these rules is on the topic, by kind and id; waits for as many different ones."""
    ids = {str(one.id) for one in rules}
    found: dict[tuple[str, UUID], int] = {}
    consumer = AIOKafkaConsumer(
        "infrawatch.alert-events.v1", bootstrap_servers=topics.bootstrap_servers, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        async with asyncio.timeout(30):
            while len(found) < wanted:
                message = await consumer.getone()
                event = json.loads(message.value or b"{}")
                if event["alert_id"] in ids:
                    SCHEMA.validate(event)
                    assert message.key == event["host_id"].encode()
                    key = event["event"], UUID(event["id"])
                    found[key] = found.get(key, 0) + 1
    finally:
        await consumer.stop()
    return found


async def test_kills_rebalances_and_a_replay_change_nothing_of_what_fires(
    database: Database, topics: Topics, service: MakeService, known_hosts: GiveKeys
) -> None:
    known_hosts(HOSTS)
    rules = [rule(seconds=30), rule(seconds=0)]
    store(database, *rules)
    records = square_waves(200)
    environment = alerting_environment(database, topics, batch_max_records=100)
    replicas = [service("alerting", environment).start() for _ in range(2)]
    chance = random.Random(18)
    async with producer(topics) as sending:
        for start in range(0, len(records), 500):
            for waiting in [await send(sending, topics, record) for record in records[start : start + 500]]:
                await waiting
            victim = chance.choice(replicas)
            victim.kill()
            victim.start()
    await all_judged(database, topics, len(records))
    wanted = {one: expected([one], records) for one in rules}
    assert all(wanted.values())
    async with database.admin() as connection:
        for one in rules:
            rows = await connection.fetch(
                "SELECT host_id, fired_at, resolved_at FROM alert_events WHERE alert_id = $1", one.id
            )
            assert len(rows) == len(wanted[one]), "one event for each (rule, host, fired at)"
            assert {tuple(row) for row in rows} == wanted[one]
        total = await connection.fetchval("SELECT count(*) + count(resolved_at) FROM alert_events")
    told = await published(topics, rules, total)
    assert len(told) == total

    for replica in replicas:
        replica.stop()
    before = await stored(database)
    again = service("alerting", {**environment, "INFRAWATCH_KAFKA_GROUP": f"{topics.metrics}-again"}).start()

    async def read_again() -> bool:
        return again.metric('infrawatch_alerting_records_total{outcome="repeated"}') == len(records)

    await eventually(read_again)
    assert await stored(database) == before


async def test_a_backlog_of_an_hour_gives_what_live_samples_give_marked_late(
    database: Database, topics: Topics, service: MakeService, known_hosts: GiveKeys
) -> None:
    known_hosts(HOSTS)
    one = rule(seconds=60)
    store(database, one)
    records = square_waves(360)
    async with producer(topics) as sending:
        for waiting in [await send(sending, topics, record) for record in records]:
            await waiting
    service("alerting", alerting_environment(database, topics)).start()
    await all_judged(database, topics, len(records))
    assert await stored(database) == expected([one], records)
    async with database.admin() as connection:
        old = await connection.fetch("SELECT late FROM alert_events WHERE fired_at < now() - INTERVAL '5 minutes'")
    assert old
    assert all(row["late"] for row in old)


def as_agents_send(records: Sequence[dict[str, Any]], first: int, last: int) -> list[dict[str, Any]]:
    """The same when the broker is away from one sample to another: then the newest comes first, and of what was kept
    three samples with each new one, oldest first.
    """
    steps = [list(records[start : start + len(HOSTS)]) for start in range(0, len(records), len(HOSTS))]
    kept, order = steps[first:last], steps[:first]
    for step in steps[last:]:
        order += [step, *kept[:3]]
        del kept[:3]
    return [record for step in order for record in step]


async def test_what_agents_send_after_an_outage_gives_what_would_have_fired_in_time_whatever_is_killed(
    database: Database, topics: Topics, service: MakeService, known_hosts: GiveKeys
) -> None:
    known_hosts(HOSTS)
    rules = [rule(seconds=30), rule(seconds=0)]
    store(database, *rules)
    records, first, last = square_waves(200), 60, 120
    for number in (*range(first - 2, first + 1), *range(last - 2, last + 1)):
        for record in records[number * len(HOSTS) : (number + 1) * len(HOSTS)]:
            record["cpu"] = 20.0  # nothing fires at the ends of the outage, where an event may be its own
    sent = as_agents_send(records, first, last)
    assert len(sent) == len(records)
    alerting = service("alerting", alerting_environment(database, topics, batch_max_records=100)).start()
    async with producer(topics) as sending:
        for start in range(0, len(sent), 400):
            for waiting in [await send(sending, topics, record) for record in sent[start : start + 400]]:
                await waiting
            if start % 1200 == 0:
                alerting.kill()
                alerting.start()
    await all_judged(database, topics, len(records))
    assert await stored(database) == set.union(*(expected([one], records) for one in rules))
    async with database.admin() as connection:
        during = await connection.fetch(
            "SELECT late FROM alert_events WHERE fired_at BETWEEN $1 AND $2",
            *(datetime.fromisoformat(records[number * len(HOSTS)]["timestamp"]) for number in (first, last)),
        )
        assert len(during) > len(HOSTS)
        assert all(row["late"] for row in during)


async def test_a_host_that_falls_silent_is_told_while_others_go_on(
    database: Database, topics: Topics, service: MakeService, known_hosts: GiveKeys
) -> None:
    known_hosts(HOSTS)
    one = rule(Metric.HEARTBEAT, 3)
    store(database, one)
    alerting = service("alerting", alerting_environment(database, topics)).start()
    async with producer(topics) as sending:
        silent_since = datetime.now(UTC)
        await (await send(sending, topics, sample(HOSTS[0], 0, silent_since)))

        async def fired() -> bool:
            for host in HOSTS[1:]:
                await (await send(sending, topics, sample(host, 0, datetime.now(UTC))))
            return bool(await stored(database))

        await eventually(fired, 20)
        assert await stored(database) == {(HOSTS[0], silent_since + timedelta(seconds=3), None)}
        heard = datetime.now(UTC)
        await (await send(sending, topics, sample(HOSTS[0], 1, heard)))

        async def resolved() -> bool:
            return await stored(database) == {(HOSTS[0], silent_since + timedelta(seconds=3), heard)}

        await eventually(resolved, 20)
    assert alerting.stop() == 0
