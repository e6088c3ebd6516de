"""Alerting over the real database: replicas that may be lost, records of a topic, and a clock of ours."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from prometheus_client import CollectorRegistry

from infrawatch_alerting.domain.fleet import Fleet
from infrawatch_alerting.handlers import AlertingHandler
from infrawatch_alerting.metrics import AlertingMetrics
from infrawatch_alerting.store import Store
from infrawatch_alerting.store_rules import RuleReader
from infrawatch_common.database import Pool
from infrawatch_common.events import decode_sample
from infrawatch_common.events.judgement import Rules
from infrawatch_common.host_keys import KeyRing
from infrawatch_common.judging import Judge
from records import MASTER_SECRET, NOW, TOPIC, FakeMessage, host_key, sample, signed

SECOND = timedelta(seconds=1)
RULES = Rules(accept_unsigned=False, clock_tolerance=300, retention=30 * 86_400)
EVENTS_TOPIC = "infrawatch.alert-events.v1"
BEFORE = NOW - timedelta(days=1)


class Replica:
    """One process's memory, over the database that all share."""

    def __init__(self, world: "World", pool: Pool) -> None:
        self.world = world
        self.pool = pool
        self.metrics = AlertingMetrics(CollectorRegistry())
        keys = KeyRing(pool, MASTER_SECRET.encode(), 30)
        self.store = Store(pool, TOPIC, EVENTS_TOPIC, timedelta(seconds=60), 3)
        self.handler = AlertingHandler(
            Judge(keys, RULES, decode_sample),
            Fleet(10 * SECOND),
            self.store,
            self.metrics,
            RuleReader(pool).read,
            lambda: world.now,
        )
        self.handler.assign([0], 1)

    async def read_rules(self) -> None:
        assert await self.handler.refresh()

    async def take(self, *messages: FakeMessage) -> None:
        await self.handler.write(await self.handler.prepare(messages))  # type: ignore[arg-type]


class World:
    """The database, a topic, and a clock of ours."""

    def __init__(self, admin: Any, make_pool: Callable[..., Pool]) -> None:
        self.admin = admin
        self.make_pool = make_pool
        self.now = NOW
        self._offset = 0
        self.sent: list[FakeMessage] = []

    async def replica(self) -> Replica:
        made = Replica(self, await self.make_pool())
        await made.read_rules()
        return made

    async def host(self, host_id: str, **tags: str) -> None:
        key = host_key(host_id)
        await self.admin.execute(
            "INSERT INTO hosts (id, name, tags) VALUES ($1, $1, $2) ON CONFLICT DO NOTHING", host_id, json.dumps(tags)
        )
        await self.admin.execute(
            "INSERT INTO host_keys (id, host_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", key.id, host_id
        )

    async def rule(self, metric: str = "cpu", seconds: float = 30, **columns: Any) -> UUID:
        threshold = None if metric == "heartbeat" else 90.0
        identifier = uuid4()
        values = {
            "id": identifier,
            "name": "r",
            "metric": metric,
            "threshold": threshold,
            "duration": timedelta(seconds=seconds),
            "changed_at": BEFORE,
        } | columns
        names, places = ", ".join(values), ", ".join(f"${n}" for n in range(1, len(values) + 1))
        await self.admin.execute(f"INSERT INTO alerts ({names}) VALUES ({places})", *values.values())
        return identifier

    def record(self, seconds: float, cpu: float, host: str = "host-a", came: float | None = None) -> FakeMessage:
        """A sample of that time, which the broker got a second later, or when it ``came``."""
        at = NOW + seconds * SECOND
        appended_at = at + SECOND if came is None else NOW + came * SECOND
        message = signed(sample(host, self._offset, at, cpu=cpu), offset=self._offset, appended_at=appended_at)
        self._offset += 1
        self.sent.append(message)
        return message

    def every_ten(self, *cpu: float, begin: float = 0, host: str = "host-a") -> list[FakeMessage]:
        return [self.record(begin + 10 * number, value, host) for number, value in enumerate(cpu)]

    async def events(self) -> list[tuple[Any, ...]]:
        """Host, seconds until it fired, seconds until it ended, why."""
        rows = await self.admin.fetch("SELECT * FROM alert_events ORDER BY fired_at, host_id, alert_id")
        return [
            (row["host_id"], _seconds(row["fired_at"]), _seconds(row["resolved_at"]), row["resolved_reason"])
            for row in rows
        ]

    async def states(self) -> int:
        return int(await self.admin.fetchval("SELECT count(*) FROM alert_states"))


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else (at - NOW).total_seconds()
