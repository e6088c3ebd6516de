"""What tells people, over the real database: replicas as many as a test wants, with a clock and receivers of ours."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from prometheus_client import CollectorRegistry

from infrawatch_alerting.dispatching import Dispatcher
from infrawatch_alerting.domain.fleet import HostChange
from infrawatch_alerting.domain.notices import decide
from infrawatch_alerting.metrics import AlertingMetrics
from infrawatch_alerting.sending import Delivered, Failed
from infrawatch_alerting.settings import Settings
from infrawatch_alerting.store import Decided, Store
from infrawatch_alerting.store_messages import MessageStore
from infrawatch_alerting.store_notices import NoticeStore
from infrawatch_alerting.telling import Notifier, compose
from infrawatch_common.alerts.engine import Ended, Fired, Firing, Resolved
from infrawatch_common.alerts.rules import Metric, Rule, Severity
from infrawatch_common.alerts.watching import Change
from infrawatch_common.database import Pool
from infrawatch_common.notices.sealing import Sealer, Secrets
from records import MASTER_SECRET, NOW, TOPIC

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
RULE = Rule(uuid4(), 1, "cpu high", Metric.CPU, timedelta(0), threshold=90.0, severity=Severity.CRITICAL)
SEALER = Sealer(MASTER_SECRET.encode())


class Receivers:
    """Notes what arrives, by URL; those that are broken answer so, and those that are slow when they may."""

    def __init__(self) -> None:
        self.got: list[tuple[str, UUID, dict[str, Any]]] = []
        self.broken: set[str] = set()
        self.slow: dict[str, asyncio.Event] = {}
        self.tried: list[str] = []
        self.urls: dict[UUID, str] = {}

    async def send(
        self, kind: str, secrets: Secrets, notification_id: UUID, channel_id: UUID, body: dict[str, Any]
    ) -> Delivered | Failed:
        assert (kind, secrets.url) == ("webhook", self.urls[channel_id])
        self.tried.append(secrets.url)
        if secrets.url in self.slow:
            await self.slow[secrets.url].wait()
        if secrets.url in self.broken:
            return Failed("answered 503")
        self.got.append((secrets.url, notification_id, body))
        return Delivered()

    def told(self, url: str) -> list[tuple[str, list[str]]]:
        return [(body["host"]["id"], [item["what"] for item in body["items"]]) for to, _, body in self.got if to == url]


class Teller:
    """Alerting's tables, and as many replicas of what tells people as a test wants."""

    def __init__(self, admin: Any, pool: Pool, settings: Settings) -> None:
        self.admin = admin
        self.pool = pool
        self.now = NOW
        self.receivers = Receivers()
        self.store = Store(pool, TOPIC, "infrawatch.alert-events.v1", MINUTE, 3)
        self.settings = settings
        self.notifier = self.make_notifier()
        self.dispatcher = self.make_dispatcher()

    def make_notifier(self) -> Notifier:
        return Notifier(NoticeStore(self.pool, decide, compose), lambda: None, lambda: self.now)

    def make_dispatcher(self) -> Dispatcher:
        metrics = AlertingMetrics(CollectorRegistry())
        return Dispatcher(MessageStore(self.pool), self.receivers, SEALER, self.settings, metrics, lambda: self.now)

    async def channel(self, name: str, routes: str = "[{}]", **columns: Any) -> UUID:
        values = {
            "group_interval": timedelta(0),
            "repeat_interval": None,
            "sealed": SEALER.seal(Secrets(name)),
            **columns,
        }
        query = """
            INSERT INTO channels (name, kind, target, sealed, routes, group_interval, repeat_interval)
            VALUES ($1, 'webhook', $1, $2, $3, $4, $5) RETURNING id
        """
        row = (name, values["sealed"], routes, values["group_interval"], values["repeat_interval"])
        made = UUID(str(await self.admin.fetchval(query, *row)))
        self.receivers.urls[made] = name
        return made

    async def fire(self, *host_ids: str) -> None:
        at = self.now
        await self.change(host_ids, Firing(at, at), Fired(at, at, 99.0))
        self.fired_at = at

    async def resolve(self, *host_ids: str) -> None:
        await self.change(host_ids, None, Resolved(self.now, self.fired_at, 10.0, Ended.CLEARED))

    async def change(self, host_ids: tuple[str, ...], state: Any, transition: Any) -> None:
        changes = [HostChange(host_id, Change(RULE.id, RULE, state, transition)) for host_id in host_ids]
        await self.store.write(Decided({}, changes, self.now))

    async def tell(self) -> None:
        await self.notifier.tell()
        await self.send()

    async def send(self, dispatcher: Dispatcher | None = None) -> None:
        """Until nothing is due."""
        dispatcher = dispatcher or self.dispatcher
        under_way: list[Any] = []
        before = -1
        while under_way or len(self.receivers.tried) > before:
            before = len(self.receivers.tried)
            await dispatcher.send_due()
            under_way = list(dispatcher._under_way)
            await asyncio.gather(*under_way)

    async def attempts(self) -> list[tuple[int, str | None, str | None]]:
        query = "SELECT attempt, outcome, detail FROM deliveries ORDER BY started_at, attempt"
        return [tuple(row) for row in await self.admin.fetch(query)]
