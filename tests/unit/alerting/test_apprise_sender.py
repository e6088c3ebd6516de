"""Through Apprise as it is, to a receiver on this machine, or with its clients recorded."""

import asyncio
import json
import smtplib
import socket
import threading
from email import message_from_string, policy
from typing import Any
from uuid import UUID

import pytest
import requests
from aiohttp import web

from infrawatch_alerting.domain.message import Mood
from infrawatch_alerting.sending.apprise_sender import AppriseSender
from infrawatch_alerting.sending.outcomes import Delivered, Failed, Outcome
from infrawatch_alerting.sending.threads import Threads
from infrawatch_common.notices.addresses import Targets
from infrawatch_common.notices.apprise_urls import load_apprise
from infrawatch_common.notices.confinement import current
from receivers import receiving, status

CHANNEL, OTHER = UUID(int=1), UUID(int=2)
LOOPBACK = Targets.parse(["127.0.0.1"])
INTERNET = Targets()
# What agents may call their hosts and tags.
HOSTILE = "{{7*7}} {0.__class__} %n %s ${x} <!channel> <b>x</b> *a* _b_ [c](http://d.example) & \\n"
CALLS = "@everyone @here @channel <@U1> <!here>"


def sender(targets: Targets = LOOPBACK, timeout: float = 30.0, response_max: int = 65_536) -> AppriseSender:
    return AppriseSender(targets, timeout, response_max, Threads(2))


async def send(url: str, title: str = "title", text: str = "text", **options: Any) -> Outcome:
    return await sender(**options).send(CHANNEL, url, title, text, Mood.BAD)


def apprise_url(url: str) -> str:
    return url.replace("http://", "json://") + "/hook"


async def test_a_message_arrives_as_it_is() -> None:
    async with receiving() as receiver:
        assert await send(apprise_url(receiver.url), HOSTILE, HOSTILE + "\nsecond line") == Delivered()
    [got] = receiver.received
    body = json.loads(got.body)
    # What would call everybody somewhere has an invisible space in it.
    seen = {name: str(body[name]).replace("\u200b", "") for name in ("title", "message", "type")}
    assert seen == {"title": HOSTILE, "message": HOSTILE + "\nsecond line", "type": "failure"}
    assert "apprise" not in got.body.decode().lower().replace("infra-watch", "")


@pytest.mark.parametrize("code", [400, 403, 404, 500, 503])
async def test_another_status_is_told(code: int) -> None:
    async with receiving(status(code)) as receiver:
        assert await send(apprise_url(receiver.url)) == Failed(f"JSON: answered {code}")


async def test_a_private_address_is_refused() -> None:
    async with receiving() as receiver:
        outcome = await send(apprise_url(receiver.url), targets=INTERNET)
    assert outcome == Failed("refused: 127.0.0.1 is a loopback address; allow it by INFRAWATCH_PRIVATE_TARGETS")
    assert receiver.received == []


async def test_a_name_that_leads_to_a_private_address_is_refused() -> None:
    async with receiving() as receiver:
        outcome = await send(apprise_url(receiver.url).replace("127.0.0.1", "localhost"), targets=INTERNET)
    assert isinstance(outcome, Failed)
    assert "is a loopback address; allow it by" in outcome.detail
    assert receiver.received == []


async def test_an_allowed_name_is_reached() -> None:
    async with receiving() as receiver:
        url = apprise_url(receiver.url).replace("127.0.0.1", "localhost")
        assert await send(url, targets=Targets.parse(["localhost"])) == Delivered()


@pytest.mark.parametrize(
    "url",
    [
        "mailto://user:secret@example.com?to=a@b.example&smtp=127.0.0.1&port=9",
        "ntfy://127.0.0.1:9/topic",
        "json://[::1]:9/",
        "json://2130706433:9/",
    ],
)
async def test_whatever_the_service_a_private_address_is_refused(url: str) -> None:
    outcome = await send(url, targets=INTERNET)
    assert isinstance(outcome, Failed)
    assert outcome.detail.startswith("refused: ")
    assert "is a loopback address" in outcome.detail


async def test_a_name_that_leads_elsewhere_the_second_time_is_refused_then(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    looked_up = socket.getaddrinfo

    def rebinding(host: str, *arguments: Any, **options: Any) -> Any:
        if host == "rebind.example":
            asked.append(host)
            host = f"127.0.0.{len(asked)}"
        return looked_up(host, *arguments, **options)

    async with receiving(addresses=("127.0.0.1", "127.0.0.2")) as receiver:
        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        url = apprise_url(receiver.url).replace("127.0.0.1", "rebind.example")
        assert await send(url) == Delivered()
        refused = await send(url)
    assert isinstance(refused, Failed)
    assert refused.detail.startswith("refused: 127.0.0.2 is a loopback address")
    assert len(receiver.received) == 1


@pytest.mark.parametrize("asks", ["", "?redirect=yes"])
async def test_a_redirect_leads_nowhere_private(asks: str) -> None:
    async with receiving(addresses=("127.0.0.1", "127.0.0.2")) as receiver:
        elsewhere = receiver.url.replace("127.0.0.1", "127.0.0.2")
        receiver.answer = status(307, Location=elsewhere + "/CANARY")
        outcome = await send(apprise_url(receiver.url) + asks)
    assert isinstance(outcome, Failed)
    assert len(receiver.received) == 1
    if asks:
        assert outcome.detail.startswith("refused: 127.0.0.2 is a loopback address")


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, receiving() as receiver:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert await send(apprise_url(receiver.url)) == Delivered()
    assert (len(proxy.received), len(receiver.received)) == (0, 1)


async def test_a_channel_that_hangs_delays_no_other_and_does_not_pile_up() -> None:
    async with receiving() as hanging, receiving() as receiver:

        async def silent(_request: web.Request) -> web.StreamResponse:
            await hanging.gate.wait()
            return web.Response()

        hanging.answer = silent
        one = sender(timeout=2.0)
        slow = [
            asyncio.create_task(one.send(CHANNEL, apprise_url(hanging.url) + "?rto=3600", "t", "t", Mood.BAD))
            for _ in range(20)
        ]
        await asyncio.sleep(0)
        assert await one.send(OTHER, apprise_url(receiver.url), "t", "t", Mood.BAD) == Delivered()
        outcomes = await asyncio.gather(*slow)
        busy = [thread for thread in threading.enumerate() if thread.name == "sending"]
        assert len(busy) <= 2
    details = {outcome.detail for outcome in outcomes if isinstance(outcome, Failed)}
    assert len([outcome for outcome in outcomes if isinstance(outcome, Failed)]) == 20
    assert details <= {
        "no answer in 2 s",
        "JSON: no connection, or no whole answer",
        "not begun in 2 s: earlier messages of this channel still hang",
    }
    assert len(hanging.received) <= 4


async def test_no_more_is_read_of_an_answer_than_may_be() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)

    async with receiving(endless) as receiver:
        outcome = await send(apprise_url(receiver.url), response_max=100_000)
    assert outcome == Failed("JSON: no connection, or no whole answer")


@pytest.mark.parametrize(
    "url",
    [
        "discord://123/CANARY?template=/etc/passwd",
        "syslog://CANARY",
        "slack://CANARY",
        "nothing://CANARY",
        "json://user:CANARY@127.0.0.1:9/CANARY?+X-Token=CANARY",
        "mailto://user:CANARY@127.0.0.1:9?to=a@b.example&smtp=127.0.0.1",
        "json://10.0.0.1/CANARY",
        "matrix://user:CANARY@127.0.0.1:9/#room",
    ],
)
async def test_no_outcome_has_secrets_of_the_url(url: str) -> None:
    outcome = await send(url)
    assert isinstance(outcome, Failed)
    assert "CANARY" not in outcome.detail


async def test_what_a_service_raises_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def post(*_arguments: object, **_options: object) -> None:
        msg = "CANARY"
        raise ZeroDivisionError(msg)

    monkeypatch.setattr(requests.Session, "request", post)
    assert await send("json://127.0.0.1/") == Failed("it could not be sent (ZeroDivisionError)")


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Bodies that would have been posted."""
    bodies: list[Any] = []

    def request(_self: object, method: str, url: str, **options: Any) -> requests.Response:  # noqa: ARG001
        body = options.get("json") or options.get("data")
        bodies.append(json.loads(body) if isinstance(body, (str, bytes)) else body)
        response = requests.Response()
        response.status_code = 200
        response._content = b"ok"
        return response

    monkeypatch.setattr(requests.Session, "request", request)
    return bodies


SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#general"


@pytest.mark.parametrize("asks", ["", "?format=markdown", "?blocks=yes"])
async def test_slack_shows_it_literally_and_calls_nobody(posted: list[Any], asks: str) -> None:
    await send(SLACK + asks, HOSTILE, f"{HOSTILE}\n{CALLS}")
    told = json.dumps(posted[0], ensure_ascii=False)
    for call in ("<!", "<@", "<b>", "@everyone", "@here", "@channel"):
        assert call not in told, call
    assert "&lt;b&gt;x&lt;/b&gt;" in told
    assert told.count("{{7*7}} {0.__class__} %n %s ${x}") == 2
    assert told.count("*a* _b_ [c](http://d.example)") == 2
    assert posted[0].get("mrkdwn", False) is False
    assert '"mrkdwn"' not in told.replace('"mrkdwn": false', "")


@pytest.mark.parametrize("asks", ["", "?format=markdown&mdv=v2"])
async def test_telegram_shows_it_literally(posted: list[Any], asks: str) -> None:
    await send("tgram://123456789:abcdefg_hijklmnop/12315544/" + asks, HOSTILE, f"{HOSTILE}\nsecond")
    [body] = posted
    text = body["text"].replace("\u200b", "")
    if not asks:
        assert body["parse_mode"] == "HTML"
        assert text.count("&lt;b&gt;x&lt;/b&gt;") == 2
        assert text.count("&lt;!channel&gt;") == 2
        assert text.count("*a* _b_ [c](http://d.example)") == 2
    else:
        assert body["parse_mode"] == "MarkdownV2"
        assert text.count("\\*a\\* \\_b\\_ \\[c\\]\\(http://d\\.example\\)") == 2


@pytest.mark.parametrize("url", ["discord://123456/CANARY", "mmost://example.com/3ccdd113474722377935511fc85d3dd4"])
async def test_what_renders_markdown_always_gets_it_escaped(posted: list[Any], url: str) -> None:
    await send(url, HOSTILE, f"{HOSTILE}\n{CALLS}")
    told = json.dumps(posted[0], ensure_ascii=False)
    for call in ("<!", "<@", "@everyone", "@here", "@channel", "[c](http", " *a* ", " _b_ "):
        assert call not in told, call


@pytest.fixture
def mailed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Mails that would have been sent."""
    mails: list[str] = []

    class Server:
        def __init__(self, *_arguments: object, **_options: object) -> None: ...

        def __getattr__(self, _name: str) -> Any:
            return lambda *_arguments, **_options: None

        def sendmail(self, _sender: str, _to: list[str], mail: str) -> None:
            mails.append(mail)

    monkeypatch.setattr(smtplib, "SMTP", Server)
    monkeypatch.setattr(smtplib, "SMTP_SSL", Server)
    return mails


MAIL = "mailto://user:secret@example.com?to=a@b.example&smtp=mail.example.com"


@pytest.mark.parametrize("asks", ["", "&format=text", "&format=html"])
async def test_a_mail_has_it_literally(mailed: list[str], asks: str) -> None:
    assert await send(MAIL + asks, HOSTILE, f"{HOSTILE}\n{CALLS}") == Delivered()
    mail = message_from_string(mailed[0], policy=policy.default)
    assert mail["Subject"] == HOSTILE
    parts = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
    if "html" not in asks:
        assert parts["text/plain"].replace("\r\n", "\n").strip() == f"{HOSTILE}\n{CALLS}"
    else:
        assert "&lt;b&gt;x&lt;/b&gt;" in parts["text/html"]
        assert "<b>x</b>" not in parts["text/html"]


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\x0b", "\u2028"])
async def test_a_subject_brings_no_header_of_its_own(mailed: list[str], end: str) -> None:
    await send(MAIL, f"title{end}Bcc: evil@example.com{end}{end}body", "text")
    for sent in mailed:
        mail = message_from_string(sent, policy=policy.default)
        assert mail["Bcc"] is None
        assert "Bcc" not in {line.partition(":")[0] for line in sent.splitlines()}


async def test_a_service_that_logs_out_when_it_goes_is_confined_then_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it failed: whatever it does at its end happens in the confined thread."""
    confined: list[bool] = []
    plugin = load_apprise().plugins.N_MGR["json"]
    monkeypatch.setattr(plugin, "__del__", lambda _self: confined.append(current() is not None), raising=False)

    def post(*_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError

    async with receiving() as receiver:
        await send(apprise_url(receiver.url))
        monkeypatch.setattr(requests.Session, "request", post)
        await send(apprise_url(receiver.url))
    assert confined == [True, True]
