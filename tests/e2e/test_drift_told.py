"""From what the drift service found to the one who is to know of it: the shipped alerting, a webhook, and the API."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from drift_notices import KERNEL, add_drift

from infrawatch_common.drift.notice_ids import drift_notice_id
from ledger import producer, send
from operating import ADMIN, api_environment, command, get, post
from receivers import Received, Receiver, receiving, status
from snapshots import snapshot
from stack import Database, Service, Topics, alerting_environment, drift_environment, eventually
from webhook_channels import PRIVATE

HOST = "host-a"


class Scene:
    """The API, alerting, two webhooks, one of drift and one of alerts, and what the drift service writes."""

    def __init__(self, api: Service, token: str, alerting: Service, receiver: Receiver, drift: Any, admin: Any) -> None:
        self.alerting, self.receiver, self._drift, self._admin = alerting, receiver, drift, admin
        self._api, self._token = api, token
        for kind in ("drift", "alert"):
            body = {"name": kind, "kind": "webhook", "url": f"{receiver.url}/{kind}", "routes": [{"kinds": [kind]}]}
            self.post("/channels", {**body, "group_interval": 0})

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return post(self._api.port, path, self._token, body)

    def deliveries(self, **query: object) -> list[dict[str, Any]]:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        return list(get(self._api.port, f"/deliveries?{asked}", self._token)["items"])

    async def waiting(self) -> int:
        """How much there is that is not told to everybody yet, and is not settled."""
        return int(await self._admin.fetchval("SELECT count(*) FROM notices"))

    async def find(self, *changes: tuple[str, str]) -> str:
        """Have the drift service find this; the snapshot's id."""
        return str(await add_drift(self._drift, HOST, datetime.now(UTC), changes or (KERNEL,)))

    async def outcomes(self, snapshot_id: str, *wanted: str) -> None:
        """Wait until the attempts to tell what a snapshot shows, the first one first, went so."""

        async def so() -> bool:
            attempts = self.deliveries(snapshot_id=snapshot_id)
            return [one["outcome"] for one in reversed(attempts)] == list(wanted)

        await eventually(so, 30)


@pytest.fixture
async def scene(database: Database, topics: Topics, service: Callable[..., Service]) -> AsyncIterator[Scene]:
    private = {"private_targets": PRIVATE}
    api = service("api", {**api_environment(database), "INFRAWATCH_PRIVATE_TARGETS": PRIVATE}, "serve").start()
    command(database, "create-admin", "--email", ADMIN)
    token = command(database, "create-token", "--email", ADMIN, "--role", "operator", "--expires-in", "600")["token"]
    # An attempt that nobody noted the end of counts as lost a few seconds after the longest that one may take.
    settings = {**private, "notify_timeout": 1, "apprise_timeout": 1}
    alerting = service("alerting", alerting_environment(database, topics, **settings)).start()
    async with receiving(status(204)) as receiver, database.connect("drift") as drift, database.admin() as admin:
        await admin.execute("INSERT INTO hosts (id, name) VALUES ($1, 'web-1')", HOST)
        yield Scene(api, token, alerting, receiver, drift, admin)


def told(received: Received) -> tuple[str, str, str]:
    """Where to, under which key, and of what."""
    message = json.loads(received.body)
    assert received.headers["Idempotency-Key"] == received.headers["webhook-id"] == message["id"]
    return received.path, message["id"], message["items"][0]["event"]["id"]


async def test_drift_is_delivered_once_to_the_channel_of_drift_alone(scene: Scene) -> None:
    first = await scene.find(KERNEL, ("info", "LANG changed: C to POSIX"))
    await scene.outcomes(first, "delivered")
    second = await scene.find()
    await scene.outcomes(second, "delivered")

    (one, other) = scene.receiver.received
    assert (told(one)[0], told(other)[0]) == ("/drift", "/drift")
    assert told(one)[1] != told(other)[1]
    message = json.loads(one.body)
    assert (message["type"], message["title"]) == ("drift", "[critical] 2 changes on web-1 (host-a)")
    assert [item["what"] for item in message["items"]] == ["changed"]
    assert message["items"][0]["event"]["snapshot_id"] == first
    assert [attempt["notification_id"] for attempt in scene.deliveries(event_id=told(one)[2])] == [message["id"]]


async def test_what_is_silenced_is_not_delivered(scene: Scene) -> None:
    scene.post("/silences", {"match": {"host_ids": [HOST], "kinds": ["drift"]}, "duration": 60, "reason": "upgrade"})
    silenced = await scene.find()

    async def settled() -> bool:
        return await scene.waiting() == 0

    await eventually(settled, 20)
    assert scene.deliveries(snapshot_id=silenced) == []
    assert scene.receiver.received == []


async def test_alerting_that_is_killed_while_it_sends_drift_sends_it_once_more_with_the_same_key(scene: Scene) -> None:
    begun = asyncio.Event()

    async def hang(_request: web.Request) -> web.StreamResponse:
        begun.set()
        await scene.receiver.gate.wait()
        return web.Response(status=204)

    scene.receiver.answer = hang
    snapshot_id = await scene.find()
    await asyncio.wait_for(begun.wait(), 20)
    scene.alerting.kill()
    scene.receiver.answer = status(204)
    scene.receiver.gate.set()
    scene.alerting.start()
    await scene.outcomes(snapshot_id, "unknown", "delivered")

    (first, again) = scene.receiver.received
    assert told(first) == told(again)
    assert told(first)[2] == str(drift_notice_id(UUID(snapshot_id)))


async def test_a_change_that_two_snapshots_show_reaches_the_webhook(
    scene: Scene,
    database: Database,
    topics: Topics,
    service: Callable[..., Service],
    known_hosts: Callable[[list[str]], None],
) -> None:
    known_hosts([HOST])
    service("drift", drift_environment(database, topics)).start()
    now = datetime.now(UTC)
    async with producer(topics) as sending:
        for number, (minutes, version) in enumerate(((10, "3.0.16-1"), (0, "3.0.15-1"))):
            packages = {"dpkg": {"openssl": version}}
            record = snapshot(HOST, number, now - timedelta(minutes=minutes), packages=packages)
            await (await send(sending, topics, record))

    async def told_of_it() -> bool:
        return bool(scene.receiver.received)

    await eventually(told_of_it, 30)
    message = json.loads(scene.receiver.received[0].body)
    assert (message["type"], message["title"]) == ("drift", "[critical] 1 change on web-1 (host-a)")
    assert "openssl (dpkg) downgraded: 3.0.16-1 to 3.0.15-1" in message["text"]
    [attempt] = scene.deliveries(snapshot_id=record["id"])
    assert attempt["notification_id"] == message["id"]
