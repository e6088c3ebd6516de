"""What scenes of alerting share: rules, values that step up and down, and the comparison with an undisturbed run."""

import random
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer

from faults import alert_verdicts
from faults.alert_verdicts import Firing
from faults.published import ends, everything_on, outbox_is_empty
from faults.verdicts import Check
from faults.world import World, aside, know
from stack import Database, Service, Topics, alerting_environment, eventually, fresh_database

BUSY, CALM = 95.0, 20.0
_EVENTS_TOPIC = "infrawatch.alert-events.v1"
_PATIENCE = 30.0
_BEFORE = timedelta(days=1)  # older than any record of a scene
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_FIRINGS = "SELECT id, alert_id, host_id, fired_at, resolved_at, resolved_reason FROM alert_events"


@dataclass(frozen=True)
class Rule:
    """A rule for all hosts."""

    metric: str = "cpu"
    seconds: float = 0.0
    threshold: float | None = 90.0
    clear_threshold: float | None = None
    id: UUID = field(default_factory=uuid4)


class Waves:
    """Has each host's cpu step up and down by chance; ``length`` is how many samples a step lasts on average."""

    def __init__(self, seed: int, length: float) -> None:
        self._chance = random.Random(seed)
        self._turns = 1 / length
        self._busy: defaultdict[str, bool] = defaultdict(bool)

    def __call__(self, record: dict[str, Any]) -> Sequence[dict[str, Any]]:
        self._busy[record["host_id"]] ^= self._chance.random() < self._turns
        return [{**record, "cpu": BUSY if self._busy[record["host_id"]] else CALM}]


async def add_rules(database: Database, rules: Collection[Rule]) -> None:
    """Give the database rules, which judge all records of a scene."""
    async with database.admin() as connection:
        await connection.executemany(
            "INSERT INTO alerts (id, name, metric, duration, threshold, clear_threshold, changed_at)"
            " VALUES ($1, 'rule', $2, $3, $4, $5, $6)",
            [
                (one.id, one.metric, timedelta(seconds=one.seconds), one.threshold, one.clear_threshold, _since())
                for one in rules
            ],
        )


async def add_hosts(database: Database, hosts: Sequence[str]) -> None:
    """Register hosts, as ingest does with their first sample."""
    async with database.admin() as connection:
        await connection.executemany("INSERT INTO hosts (id, name) VALUES ($1, $1)", [(host,) for host in hosts])


def _since() -> datetime:
    return datetime.now(UTC) - _BEFORE


async def firings(database: Database) -> list[Firing]:
    """All events."""
    async with database.admin() as connection:
        return [Firing(*row) for row in await connection.fetch(_FIRINGS)]


async def compare_with_undisturbed(
    world: World,
    rules: Sequence[Rule],
    topics: Topics | None = None,
    since: datetime = _BEGINNING,
    **settings: object,
) -> None:
    """Judge what fired since then by a run that nothing disturbs: of the same records, or those on other topics."""
    await world.caught_up(60)
    reference = await _undisturbed(world, rules, topics or world.topics, settings)

    async def compare() -> Check:
        found = [one for one in await firings(world.database) if one.fired_at >= since]
        return alert_verdicts.as_undisturbed(found, await firings(reference))

    async def alike() -> bool:
        return (await compare()).holds

    with suppress(TimeoutError):  # the judge will see it
        await eventually(alike, _PATIENCE)
    world.checks.append(await compare())
    world.checks.append(alert_verdicts.told(await published(world, rules), await firings(world.database)))


async def _undisturbed(world: World, rules: Sequence[Rule], topics: Topics, settings: dict[str, object]) -> Database:
    """A database of its own in which one alerting, never touched, has judged everything."""
    database = await aside(lambda: world.cleanup.enter_context(fresh_database(world.stack)))
    know(database, world.load.host_ids)
    await add_hosts(database, world.load.host_ids)
    await add_rules(database, rules)
    # What it publishes is kept apart, where no service of the scene looks.
    apart = {"kafka_group": f"{topics.metrics}-undisturbed", "alert_events_topic": topics.snapshots}
    environment = alerting_environment(database, topics, **apart, **settings)
    alerting = Service("alerting", world.directory, environment)
    world.cleanup.callback(alerting.kill)
    await aside(alerting.start)
    await eventually(lambda: judged_everything(database, topics))
    return database


async def judged_everything(database: Database, topics: Topics) -> bool:
    """Whether all that is on the topic is judged, by the position that alerting keeps."""
    consumer = AIOKafkaConsumer(bootstrap_servers=topics.bootstrap_servers)
    await consumer.start()
    try:
        due = await ends(consumer, topics.bootstrap_servers, topics.metrics)
    finally:
        await consumer.stop()
    async with database.admin() as connection:
        reached = await connection.fetchval("SELECT sum(next_offset) FROM consumer_offsets")
    return int(reached or 0) == sum(due.values())


async def published(world: World, rules: Sequence[Rule]) -> Counter[tuple[str, UUID]]:
    """How often each event of these rules is on the topic, by what is told of it and its id.

    Waits until the outbox is empty.
    """
    await eventually(lambda: outbox_is_empty(world.database))
    ids = {str(one.id) for one in rules}
    events = await everything_on(world.topics, _EVENTS_TOPIC)
    return Counter((event["event"], UUID(event["id"])) for event in events if event["alert_id"] in ids)
