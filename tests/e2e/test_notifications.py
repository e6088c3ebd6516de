"""From a sample to the one who is to know of it, through the shipped entry points: API, Kafka, alerting, a webhook."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import HTTPServer
from typing import Any

import pytest

from ledger import producer, send
from operating import ADMIN, api_environment, command, get, post
from records import sample
from stack import Database, Service, Topics, alerting_environment, eventually
from web import Handler, serving

HOST = "host-1"
LOOPBACK = {"INFRAWATCH_PRIVATE_TARGETS": "127.0.0.1"}


class Receiver:
    """A webhook that keeps what it got, and fails as often as it is told to."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.failures = 0

    @contextmanager
    def serving(self) -> Iterator[str]:
        receiver = self

        class Hook(Handler):
            def do_POST(self) -> None:  # noqa: N802 - http.server's
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.failures:
                    receiver.failures -= 1
                    self.answer(503, b"later")
                    return
                receiver.got.append((dict(self.headers), body))
                self.answer(204, b"")

        server = HTTPServer(("127.0.0.1", 0), Hook)
        with serving(server):
            yield f"http://127.0.0.1:{server.server_port}/hook"

    def told(self) -> list[list[str]]:
        return [[item["what"] for item in json.loads(body)["items"]] for _, body in self.got]


def is_signed(headers: dict[str, str], body: bytes, secret: str) -> bool:
    """As Standard Webhooks has it."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return f"v1,{wanted}" in headers["webhook-signature"].split()


class Scene:
    """The API, alerting, a rule without duration for all hosts, and a webhook that is told of everything."""

    def __init__(self, api: Service, token: str, receiver: Receiver, url: str, see: Callable[..., Any]) -> None:
        self.api, self.token, self.receiver, self._see = api, token, receiver, see
        self.channel = self.post("/channels", {"name": "on call", "kind": "webhook", "url": url, "group_interval": 0})
        self.post("/alerts", {"name": "cpu high", "selector": {}, "metric": "cpu", "threshold": 90, "duration": 0})
        self._start = datetime.now(UTC)  # a rule judges what is newer
        self._sent = 0

    def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return post(self.api.port, path, self.token, body)

    def get(self, path: str) -> dict[str, Any]:
        return get(self.api.port, path, self.token)

    async def see(self, cpu: float) -> None:
        self._sent += 1
        await self._see(self._sent, self._start + timedelta(seconds=self._sent), cpu)

    async def told(self, count: int) -> dict[str, Any]:
        """The message with that number, once it is there."""

        async def there() -> bool:
            return len(self.receiver.got) >= count

        await eventually(there, 20)
        return dict(json.loads(self.receiver.got[count - 1][1]))


@pytest.fixture
async def scene(
    database: Database, topics: Topics, service: Callable[..., Service], known_hosts: Callable[[list[str]], None]
) -> AsyncIterator[Scene]:
    known_hosts([HOST])
    async with database.admin() as connection:
        await connection.execute("INSERT INTO hosts (id, name) VALUES ($1, $1)", HOST)
    api = service("api", {**api_environment(database), **LOOPBACK}, "serve").start()
    command(database, "create-admin", "--email", ADMIN)
    token = command(database, "create-token", "--email", ADMIN, "--role", "operator", "--expires-in", "600")["token"]
    alerting = service("alerting", {**alerting_environment(database, topics), **LOOPBACK}).start()
    receiver = Receiver()

    async def knows_the_rule() -> bool:
        return alerting.metric("infrawatch_alerting_rules") == 1

    async with producer(topics) as sending:

        async def see(number: int, at: datetime, cpu: float) -> None:
            await (await send(sending, topics, sample(HOST, number, at, cpu=cpu)))

        with receiver.serving() as url:
            made = Scene(api, token, receiver, url, see)
            await eventually(knows_the_rule, 20)
            yield made


async def test_a_webhook_is_told_and_every_attempt_can_be_seen_and_repeated(scene: Scene) -> None:
    scene.receiver.failures = 1
    await scene.see(cpu=99.0)
    message = await scene.told(1)
    headers, body = scene.receiver.got[0]
    assert is_signed(headers, body, scene.channel["signing_secret"])
    assert message["id"] == headers["Idempotency-Key"] == headers["webhook-id"]
    assert (message["host"]["id"], message["items"][0]["event"]["value"]) == (HOST, 99.0)
    await scene.see(cpu=5.0)
    await scene.told(2)
    assert scene.receiver.told() == [["fired"], ["resolved"]]

    async def noted() -> bool:
        attempts = scene.get(f"/deliveries?notification_id={message['id']}")["items"]
        return [(one["attempt"], one["outcome"]) for one in attempts] == [(2, "delivered"), (1, "failed")]

    await eventually(noted, 20)
    attempts = scene.get(f"/deliveries?notification_id={message['id']}")["items"]
    assert "503" in attempts[1]["detail"]
    scene.post(f"/deliveries/{attempts[0]['id']}/resend")
    again = await scene.told(3)
    assert again["id"] != message["id"]
    assert again["items"] == message["items"]
    shown = json.dumps(scene.get("/channels"))
    assert scene.channel["signing_secret"] not in shown


async def test_what_is_silenced_is_told_when_the_silence_is_over_if_it_still_fires(scene: Scene) -> None:
    match = {"host_ids": [HOST]}
    preview = scene.post("/silences/preview", {"match": match, "duration": 3})
    assert preview["hosts"] == 1
    scene.post("/silences", {"match": match, "duration": 3, "reason": "maintenance"})
    await scene.see(cpu=99.0)
    await scene.told(1)
    assert scene.receiver.told() == [["no_longer_silenced"]]


async def test_a_channel_can_be_tried(scene: Scene) -> None:
    scene.post(f"/channels/{scene.channel['id']}/test")
    message = await scene.told(1)
    assert (message["type"], message["host"]) == ("test", None)
