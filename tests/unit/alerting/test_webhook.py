import asyncio
import json
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from aiohttp import web

from infrawatch_alerting.sending.outcomes import Delivered, Failed, Outcome
from infrawatch_alerting.sending.threads import Threads
from infrawatch_alerting.sending.webhook import Lookup, WebhookSender, lookup
from infrawatch_common.notices.addresses import Targets
from infrawatch_common.notices.sealing import Secrets
from infrawatch_common.notices.signing import signature
from receivers import Receiver, receiving, self_signed, status

CHANNEL = UUID("01890000-0000-7000-8000-000000000001")
MESSAGE = UUID("01890000-0000-7000-8000-000000000002")
NOW = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LOOPBACK = Targets.parse(["127.0.0.1"])
LONG = 30.0


def sender(
    targets: Targets = LOOPBACK, timeout: float = LONG, response_max: int = 65_536, look_up: Lookup = lookup
) -> WebhookSender:
    return WebhookSender(targets, timeout, response_max, Threads(2), look_up)


async def send(to: str, **options: object) -> Outcome:
    return await sender(**options).send(  # type: ignore[arg-type]
        CHANNEL, Secrets(to, SECRET), MESSAGE, {"type": "alert", "text": "Grüße"}, NOW
    )


async def test_a_message_arrives_signed_and_with_its_key() -> None:
    async with receiving() as receiver:
        assert await send(f"{receiver.url}/hook?key=value") == Delivered()
    [got] = receiver.received
    assert (got.method, got.path) == ("POST", "/hook?key=value")
    assert json.loads(got.body) == {"type": "alert", "text": "Grüße"}
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["Idempotency-Key"] == got.headers["webhook-id"] == str(MESSAGE)
    assert got.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert got.headers["webhook-signature"] == signature(SECRET, str(MESSAGE), int(NOW.timestamp()), got.body)
    assert got.headers["User-Agent"] == "Infra-Watch"


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
async def test_what_begins_with_2_is_delivered(code: int) -> None:
    async with receiving(status(code)) as receiver:
        assert await send(receiver.url) == Delivered()


@pytest.mark.parametrize("code", [400, 401, 404, 410, 429, 500, 503])
async def test_another_status_is_a_failure_and_nothing_else_of_the_answer_is_told(code: int) -> None:
    async with receiving(status(code)) as receiver:
        assert await send(receiver.url) == Failed(f"answered {code}")


@pytest.mark.parametrize(
    ("location", "towards"),
    [
        ("http://169.254.169.254/CANARY", " (it points to 169.254.169.254)"),
        ("https://user:CANARY@other.example/CANARY?x#y", " (it points to other.example)"),
        ("/CANARY", ""),
        ("http://[CANARY", ""),
    ],
)
async def test_redirects_are_not_followed(location: str, towards: str) -> None:
    async with receiving(status(302, Location=location)) as receiver:
        assert await send(receiver.url) == Failed(f"answered 302, and redirects are not followed{towards}")
    assert len(receiver.received) == 1


async def test_no_answer_in_time_is_a_failure() -> None:
    async with receiving() as receiver:

        async def silent(_request: web.Request) -> web.StreamResponse:
            await receiver.gate.wait()
            return web.Response()

        receiver.answer = silent
        assert await send(receiver.url, timeout=0.2) == Failed("no answer in 0.2 s")


@pytest.mark.parametrize(("code", "outcome"), [(200, Delivered()), (500, Failed("answered 500"))])
async def test_the_status_decides_when_the_rest_does_not_come(code: int, outcome: Outcome) -> None:
    async with receiving() as receiver:

        async def slow(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(status=code)
            await response.prepare(request)
            await response.write(b"and")
            await receiver.gate.wait()
            return response

        receiver.answer = slow
        assert await send(receiver.url, timeout=1.0) == outcome


async def test_no_more_is_read_of_an_answer_than_may_be() -> None:
    written = 0
    gave_up = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while written < 1_000_000_000:
                await response.write(b"x" * 65_536)
                written += 65_536
        finally:
            gave_up.set()
        return response

    async with receiving(endless) as receiver:
        assert await send(receiver.url, response_max=100_000) == Delivered()
        await gave_up.wait()
    assert written < 50_000_000  # buffers of both sides besides


async def test_a_private_address_is_refused_before_anything_is_connected_to() -> None:
    async with receiving() as receiver:
        outcome = await send(receiver.url, targets=Targets())
    assert outcome == Failed("refused: 127.0.0.1 is a loopback address; allow it by INFRAWATCH_PRIVATE_TARGETS")
    assert receiver.received == []


@pytest.mark.parametrize(
    "host", ["[::ffff:127.0.0.1]", "[::1]", "127.0.0.2", "10.0.0.1", "169.254.169.254", "[64:ff9b::7f00:1]"]
)
async def test_other_forms_and_other_private_addresses_are_refused(host: str) -> None:
    outcome = await send(f"http://{host}:9/", targets=Targets())
    assert isinstance(outcome, Failed)
    assert outcome.detail.startswith("refused: ")


async def test_a_name_with_one_private_address_among_others_is_refused() -> None:
    outcome = await send("http://rebind.example/", look_up=lambda _host, _port: ["1.1.1.1", "10.0.0.1"])
    assert outcome == Failed("refused: 10.0.0.1 is a private address; allow it by INFRAWATCH_PRIVATE_TARGETS")


async def test_a_name_is_looked_up_once_and_what_was_checked_is_connected_to() -> None:
    """A name that leads elsewhere the second time: it must not get through."""
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    async with receiving(addresses=("127.0.0.1", "127.0.0.2")) as receiver:
        port = receiver.url.rpartition(":")[2]
        rebound = f"http://rebind.example:{port}/"
        one = sender(look_up=rebinding)
        message: dict[str, object] = {}
        arguments = (CHANNEL, Secrets(rebound, SECRET), MESSAGE, message, NOW)
        assert await one.send(*arguments) == Delivered()
        assert (asked, len(receiver.received)) == (["rebind.example"], 1)
        assert receiver.received[0].headers["Host"] == f"rebind.example:{port}"
        refused = await one.send(*arguments)
        assert refused == Failed("refused: 127.0.0.2 is a loopback address; allow it by INFRAWATCH_PRIVATE_TARGETS")
        assert (len(asked), len(receiver.received)) == (2, 1)


async def test_an_allowed_name_is_reached_wherever_it_leads() -> None:
    async with receiving() as receiver:
        port = receiver.url.rpartition(":")[2]
        outcome = await send(
            f"http://alerts.internal:{port}/",
            targets=Targets.parse(["alerts.internal"]),
            look_up=lambda _host, _port: ["127.0.0.1"],
        )
    assert outcome == Delivered()


async def test_a_name_without_address_is_told() -> None:
    assert await send("http://nowhere.invalid/CANARY") == Failed("no address was found for nowhere.invalid")


async def test_a_lookup_that_hangs_delays_no_other_channel() -> None:
    gate = threading.Event()

    def hanging(host: str, _port: int) -> Sequence[str]:
        if host == "slow.example":
            gate.wait()
        return ["127.0.0.1"]

    async with receiving() as receiver:
        port = receiver.url.rpartition(":")[2]
        one = sender(look_up=hanging, timeout=2.0)
        others = UUID(int=7)
        slow = [
            asyncio.create_task(one.send(CHANNEL, Secrets("http://slow.example/"), MESSAGE, {}, NOW)) for _ in range(9)
        ]
        await asyncio.sleep(0)
        quick = await one.send(others, Secrets(f"http://quick.example:{port}/"), MESSAGE, {}, NOW)
        assert quick == Delivered()
        assert await asyncio.gather(*slow) == [Failed("no answer in 2 s")] * 9
    gate.set()


async def test_a_certificate_that_nobody_signed_is_told(tmp_path: Path) -> None:
    async with receiving(tls=self_signed(tmp_path)) as receiver:
        outcome = await send(receiver.url)
    assert outcome == Failed("the certificate of 127.0.0.1 is not valid: self-signed certificate")
    assert receiver.received == []


async def test_tls_where_there_is_none_is_told() -> None:
    async with receiving() as receiver:
        outcome = await send(receiver.url.replace("http://", "https://"))
    assert outcome == Failed("127.0.0.1 does not speak TLS as it should")


async def test_nobody_there_is_told() -> None:
    async with receiving() as receiver:
        url = receiver.url
    assert await send(url + "/CANARY") == Failed("no connection to 127.0.0.1: connection refused")


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (b"", "the connection ended without an answer"),
        (b"SSH-2.0-OpenSSH_9.9 CANARY\r\n", "what it answered is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"CANARY" * 100_000 + b"\r\n\r\n", "what it answered is not HTTP"),
    ],
)
async def test_what_is_not_http_is_told(answer: bytes, detail: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await send(f"http://127.0.0.1:{port}/") == Failed(detail)


async def test_a_url_that_is_wrong_is_refused_whoever_stored_it() -> None:
    outcome = await send("http://127.0.0.1@evil.example/CANARY")
    assert isinstance(outcome, Failed)
    assert outcome.detail.startswith("refused: its URL is wrong: it must have no user name")


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, receiving() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert await send(receiver.url) == Delivered()
    assert (len(proxy.received), len(receiver.received)) == (0, 1)


async def test_cookies_of_one_receiver_do_not_reach_the_next() -> None:
    async with receiving(status(200, **{"Set-Cookie": "a=b; Path=/"})) as receiver:
        one = sender()
        for _ in range(2):
            await one.send(CHANNEL, Secrets(receiver.url), MESSAGE, {}, NOW)
    assert "Cookie" not in receiver.received[1].headers


async def test_a_signing_secret_that_is_none_is_a_failure_that_does_not_tell_it() -> None:
    outcome = await sender().send(CHANNEL, Secrets("http://127.0.0.1:9/", "whsec_CANARY!"), MESSAGE, {}, NOW)
    assert outcome == Failed("the signing secret is not whsec_ and Base64")


async def test_no_outcome_has_anything_of_the_url_beyond_its_host(tmp_path: Path) -> None:
    path = "/CANARY/CANARY?token=CANARY"

    async def check(receiver: Receiver) -> None:
        outcome = await send(receiver.url + path, timeout=1.0)
        assert "CANARY" not in str(outcome)

    for answer in (status(500), status(302, Location="http://CANARY@x/CANARY"), status(200)):
        async with receiving(answer) as receiver:
            await check(receiver)
    async with receiving(tls=self_signed(tmp_path)) as receiver:
        await check(receiver)
    await check(Receiver(status(200), "http://nowhere.invalid"))
    await check(Receiver(status(200), "http://10.0.0.1"))
    await check(Receiver(status(200), "http://127.0.0.1:9"))
