"""From an event to a message to its delivery, in the real database: once, in order, whoever dies in between."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
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
from stack import Database

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


class World:
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


@pytest.fixture
async def world(
    database: Database, make_pool: Callable[..., Pool], make_settings: Callable[..., Settings]
) -> AsyncIterator[World]:
    async with database.admin() as admin:
        yield World(
            admin,
            await make_pool(database_pool_size=8),
            make_settings(notify_give_up_after=3600, notify_back_off_max=60),
        )


async def test_what_fires_and_what_ends_is_told_to_every_channel_that_it_is_routed_to(world: World) -> None:
    await world.channel("all")
    await world.channel("critical", '[{"severities": ["critical"]}]')
    await world.channel("info", '[{"severities": ["info"]}]')
    await world.fire("web-1")
    await world.tell()
    world.now += MINUTE
    await world.resolve("web-1")
    await world.tell()
    assert world.receivers.told("all") == world.receivers.told("critical")
    assert world.receivers.told("all") == [("web-1", ["fired"]), ("web-1", ["resolved"])]
    assert world.receivers.told("info") == []
    assert await world.admin.fetchval("SELECT count(*) FROM notices") == 0
    assert await world.admin.fetchval("SELECT count(*) FROM notice_hosts") == 0


async def test_the_message_says_what_happened(world: World) -> None:
    await world.admin.execute("INSERT INTO hosts (id, name, tags) VALUES ('web-1', 'Web one', '{\"env\": \"prod\"}')")
    await world.channel("all")
    await world.fire("web-1")
    await world.tell()
    ((_, key, body),) = world.receivers.got
    assert body["id"] == str(key)
    assert body["host"] == {"id": "web-1", "name": "Web one", "tags": {"env": "prod"}}
    assert body["late"] is False
    (item,) = body["items"]
    assert item["event"]["name"] == "cpu high"
    assert datetime.fromisoformat(item["event"]["fired_at"]) == NOW
    assert "cpu high" in body["title"] + body["text"]


async def test_a_broken_channel_is_tried_again_later_each_time_and_delays_no_other(world: World) -> None:
    await world.channel("broken")
    await world.channel("sound")
    world.receivers.broken = {"broken"}
    await world.fire("web-1")
    await world.tell()
    assert world.receivers.told("sound") == [("web-1", ["fired"])]
    for seconds, tried in ((0, 1), (1, 2), (1, 2), (1, 3)):
        world.now += seconds * SECOND
        await world.send()
        assert world.receivers.tried.count("broken") == tried
    world.receivers.broken.clear()
    world.now += 4 * SECOND
    await world.send()
    assert world.receivers.told("broken") == [("web-1", ["fired"])]
    assert [one for one in await world.attempts() if one[1] == "failed"] == [
        (number, "failed", "answered 503") for number in (1, 2, 3)
    ]
    assert len({key for _, key, _ in world.receivers.got}) == 2


async def test_a_channel_that_hangs_delays_no_other(world: World) -> None:
    await world.channel("hangs")
    await world.channel("sound")
    world.receivers.slow["hangs"] = asyncio.Event()
    await world.fire("web-1", *(f"db-{number}" for number in range(20)))
    await world.notifier.tell()
    await world.dispatcher.send_due()
    async with asyncio.timeout(60):
        while len(world.receivers.told("sound")) < 21:
            await world.dispatcher.send_due()
    assert world.receivers.tried.count("hangs") == world.settings.notify_concurrency
    world.receivers.slow["hangs"].set()
    await world.send()
    assert len(world.receivers.told("hangs")) == 21


async def test_messages_about_a_host_arrive_in_order_though_the_first_fails(world: World) -> None:
    await world.channel("mail")
    world.receivers.broken = {"mail"}
    await world.fire("web-1")
    await world.tell()
    await world.resolve("web-1")
    await world.tell()
    world.receivers.broken.clear()
    world.now += 10 * SECOND
    await world.send()
    assert world.receivers.told("mail") == [("web-1", ["fired"]), ("web-1", ["resolved"])]


async def test_a_crash_between_sending_and_noting_it_sends_again_with_the_same_key_once_the_lease_is_over(
    world: World,
) -> None:
    await world.channel("mail")
    await world.fire("web-1")
    await world.notifier.tell()
    claimed = await MessageStore(world.pool).claim(
        await world.admin.fetchval("SELECT id FROM channels"), world.now, world.now + 15 * SECOND, 8
    )
    await world.send(world.make_dispatcher())
    assert not world.receivers.got
    world.now += 15 * SECOND
    await world.send(world.make_dispatcher())
    ((_, key, _),) = world.receivers.got
    assert [key] == [one.notification_id for one in claimed]
    assert await world.attempts() == [(1, None, None), (2, "delivered", None)]


async def test_replicas_share_hosts_and_messages_and_tell_each_once(world: World) -> None:
    await world.channel("mail")
    hosts = [f"web-{number}" for number in range(250)]
    await world.fire(*hosts)
    await asyncio.gather(*(world.make_notifier().tell() for _ in range(3)))
    await asyncio.gather(*(world.send(world.make_dispatcher()) for _ in range(3)))
    assert sorted(host for host, _ in world.receivers.told("mail")) == sorted(hosts)


async def test_what_cannot_be_delivered_in_time_is_given_up_and_the_next_message_goes(world: World) -> None:
    await world.channel("mail")
    world.receivers.broken = {"mail"}
    await world.fire("web-1")
    await world.tell()
    world.now += 3600 * SECOND
    await world.resolve("web-1")
    world.receivers.broken.clear()
    await world.tell()
    assert world.receivers.told("mail") == [("web-1", ["resolved"])]
    assert (2, "given_up", "it could not be delivered within 3600 s") in await world.attempts()


async def test_messages_to_a_channel_that_is_deleted_are_given_up(world: World) -> None:
    await world.channel("mail")
    await world.fire("web-1")
    await world.notifier.tell()
    await world.admin.execute("DELETE FROM channels")
    await world.send()
    assert await world.attempts() == [(1, "given_up", "its channel was deleted")]


async def test_a_channel_that_is_disabled_waits(world: World) -> None:
    await world.channel("mail")
    await world.fire("web-1")
    await world.notifier.tell()
    await world.admin.execute("UPDATE channels SET enabled = false")
    await world.send()
    assert not world.receivers.tried
    await world.admin.execute("UPDATE channels SET enabled = true")
    await world.send()
    assert world.receivers.told("mail") == [("web-1", ["fired"])]


async def test_an_address_that_cannot_be_opened_fails_with_the_reason(world: World) -> None:
    await world.channel("mail", sealed=Sealer(b"another master secret of thirty-two").seal(Secrets("mail")))
    await world.fire("web-1")
    await world.tell()
    ((_, outcome, detail),) = await world.attempts()
    assert outcome == "failed"
    assert "INFRAWATCH_HOST_KEY_SECRET" in str(detail)


async def test_a_silence_hides_and_when_it_ends_what_still_fires_is_told(world: World) -> None:
    await world.channel("mail")
    await world.admin.execute(
        "INSERT INTO silences (match, reason, starts_at, ends_at) VALUES ($1, 'work', $2, $3)",
        json.dumps({"host_ids": ["web-1"]}), NOW, NOW + 5 * MINUTE,
    )  # fmt: skip
    await world.fire("web-1", "web-2")
    await world.tell()
    assert world.receivers.told("mail") == [("web-2", ["fired"])]
    world.now += 5 * MINUTE
    await world.tell()
    assert world.receivers.told("mail")[1:] == [("web-1", ["no_longer_silenced"])]


async def test_a_silence_that_is_ended_early_tells_at_once(world: World) -> None:
    await world.channel("mail")
    await world.admin.execute(
        "INSERT INTO silences (match, reason, starts_at, ends_at) VALUES ('{}', 'work', $1, $2)", NOW, NOW + 5 * MINUTE
    )
    await world.fire("web-1")
    await world.tell()
    world.now += MINUTE
    await world.admin.execute("UPDATE silences SET ends_at = $1", world.now)
    await world.tell()
    assert world.receivers.told("mail") == [("web-1", ["no_longer_silenced"])]


async def test_what_fires_on_is_told_again_at_the_repeat_interval(world: World) -> None:
    await world.channel("mail", repeat_interval=10 * MINUTE)
    await world.fire("web-1")
    await world.tell()
    world.now += 9 * MINUTE
    await world.tell()
    assert len(world.receivers.got) == 1
    world.now += MINUTE
    await world.tell()
    assert world.receivers.told("mail")[1:] == [("web-1", ["still_firing"])]


async def test_a_host_is_looked_at_when_it_is_due_and_no_earlier(world: World) -> None:
    await world.channel("mail", repeat_interval=3 * SECOND)
    await world.fire("web-1")
    assert await world.notifier.tell() == 3.0
    world.now += 1 * SECOND
    assert await world.notifier.tell() == 2.0


async def test_old_messages_are_deleted_with_their_attempts_but_not_those_that_wait(world: World) -> None:
    await world.channel("mail")
    await world.fire("web-1")
    await world.tell()
    world.now += timedelta(days=91)
    await world.send()
    assert await world.admin.fetchval("SELECT count(*) FROM notifications") == 0
    assert await world.attempts() == []


async def test_deleting_a_channel_and_telling_at_the_same_time_block_nobody(world: World) -> None:
    await world.channel("mail")
    await world.channel("other")
    await world.fire(*(f"web-{number}" for number in range(100)))

    async def delete() -> None:
        await world.pool.fetchval("SELECT 1")
        await world.admin.execute("DELETE FROM channels WHERE name = 'other'")

    async with asyncio.timeout(60):
        await asyncio.gather(delete(), world.notifier.tell(), world.make_notifier().tell())
    await world.send()
    assert len(world.receivers.told("mail")) == 100
