"""How messages leave, through the shipped entry points: Apprise, refused addresses, secrets, the dead man's switch."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from aiohttp import web

from operating import ADMIN, api_environment, command, get, post
from receivers import Receiver, receiving
from stack import Database, Service, Topics, alerting_environment, eventually

CANARY = "CANARY-7f3e"
LOOPBACK = {"INFRAWATCH_PRIVATE_TARGETS": "127.0.0.1"}
LONGEST_STOP = 10.0
SUCCESS = "infrawatch_alerting_dead_man_last_success_timestamp_seconds"


class Scene:
    """An API and a database; alerting is started by the test."""

    def __init__(self, database: Database, topics: Topics, service: Callable[..., Service]) -> None:
        self.database, self.topics, self._service = database, topics, service
        self.api = service("api", {**api_environment(database), **LOOPBACK}, "serve").start()
        command(database, "create-admin", "--email", ADMIN)
        made = command(database, "create-token", "--email", ADMIN, "--role", "operator", "--expires-in", "600")
        self._token = made["token"]

    def alerting(self, **settings: str) -> Service:
        return self._service(
            "alerting", {**alerting_environment(self.database, self.topics), **LOOPBACK, **settings}
        ).start()

    async def channel(self, name: str, kind: str, url: str) -> str:
        """Its id."""
        body = {"name": name, "kind": kind, "url": url}
        return str((await asyncio.to_thread(post, self.api.port, "/channels", self._token, body))["id"])

    async def try_channel(self, channel: str) -> None:
        await asyncio.to_thread(post, self.api.port, f"/channels/{channel}/test", self._token)

    async def get(self, path: str) -> dict[str, Any]:
        return await asyncio.to_thread(get, self.api.port, path, self._token)

    async def outcome(self, channel: str) -> dict[str, Any]:
        """The newest attempt that has ended."""
        found: list[dict[str, Any]] = []

        async def ended() -> bool:
            attempts = (await self.get(f"/deliveries?channel_id={channel}"))["items"]
            found[:] = [one for one in attempts if one["outcome"] != "pending"]
            return bool(found)

        await eventually(ended, 30)
        return found[0]


@pytest.fixture
def scene(database: Database, topics: Topics, service: Callable[..., Service]) -> Scene:
    return Scene(database, topics, service)


def json_url(receiver: Receiver) -> str:
    return receiver.url.replace("http://", "json://") + f"/{CANARY}/{CANARY}?+X-Token={CANARY}"


def there(receiver: Receiver, count: int = 1) -> Callable[[], Awaitable[bool]]:
    async def arrived() -> bool:
        return len(receiver.received) >= count

    return arrived


async def test_apprise_delivers_and_nothing_anywhere_tells_its_secrets(scene: Scene) -> None:
    alerting = scene.alerting(INFRAWATCH_LOG_LEVEL="debug")
    async with receiving() as receiver:
        good = await scene.channel("chat", "apprise", json_url(receiver))
        bad = await scene.channel("elsewhere", "apprise", json_url(receiver).replace("127.0.0.1", "127.0.0.2"))
        for channel in (good, bad):
            await scene.try_channel(channel)
        assert (await scene.outcome(good))["outcome"] == "delivered"
        refused = await scene.outcome(bad)
    assert [one.headers["X-Token"] for one in receiver.received] == [CANARY]
    assert refused["outcome"] == "failed"
    assert refused["detail"] == ("refused: 127.0.0.2 is a loopback address; allow it by INFRAWATCH_PRIVATE_TARGETS")
    shown = [str(await scene.get(path)) for path in ("/channels", "/deliveries")]
    with psycopg.connect(scene.database.admin_url) as connection:
        tables = ("channels", "notifications", "deliveries", "audit_log")
        shown += [str(connection.execute(f"SELECT t::text FROM {table} AS t").fetchall()) for table in tables]
    shown += [service.log.read_text() for service in (alerting, scene.api)]
    assert [text for text in shown if CANARY in text] == []


async def test_a_receiver_that_hangs_keeps_nobody_and_no_stop_waiting(scene: Scene) -> None:
    alerting = scene.alerting()
    async with receiving() as hanging, receiving() as receiver:

        async def silent(_request: web.Request) -> web.StreamResponse:
            await hanging.gate.wait()
            return web.Response()

        hanging.answer = silent
        stuck = await scene.channel("stuck", "apprise", json_url(hanging) + "&rto=3600")
        for _ in range(5):
            await scene.try_channel(stuck)
        await eventually(there(hanging), 30)
        other = await scene.channel("other", "apprise", json_url(receiver))
        await scene.try_channel(other)
        assert (await scene.outcome(other))["outcome"] == "delivered"
        began = time.monotonic()
        assert await asyncio.to_thread(alerting.stop) == 0
        assert time.monotonic() - began < LONGEST_STOP


async def test_the_dead_man_s_switch_is_called_while_alerting_is_well(scene: Scene) -> None:
    async with receiving() as switch:
        alerting = scene.alerting(INFRAWATCH_DEAD_MAN_URL=f"{switch.url}/{CANARY}", INFRAWATCH_DEAD_MAN_INTERVAL="1")
        await eventually(there(switch, 2), 30)
        assert {(one.method, one.path) for one in switch.received} == {("GET", f"/{CANARY}")}

        async def noted() -> bool:
            return await asyncio.to_thread(alerting.metric, SUCCESS) > datetime.now(UTC).timestamp() - 60

        await eventually(noted, 30)
    assert CANARY not in alerting.log.read_text()
