"""What ``infrawatch-agent check`` says, each thing on real sockets and files."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from infrawatch_agent.broker_check import broker_findings
from infrawatch_agent.check import check
from infrawatch_agent.findings import Finding
from infrawatch_agent.identity import Identity, save_identity
from infrawatch_agent.settings import parse
from infrawatch_agent.spool import Spool
from web import Handler, serving

SECRET = "c2VjcmV0"
NOBODY = "127.0.0.1:1"
# Self-signed for the name broker.example, with its key, for a hundred years; nothing but these tests uses it.
CERTIFICATE = Path(__file__).with_name("untrusted.pem")


class FakeApi(HTTPServer):
    """Tells the time, which is ``skew`` off, and judges keys."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.skew = timedelta(0)
        self.status = 200
        self.verdict: dict[str, Any] = {"created_at": "2026-01-01T00:00:00Z", "revoked_at": None}


class _Handler(Handler, BaseHTTPRequestHandler):
    server: FakeApi

    def do_GET(self) -> None:
        self._answer(200, b'{"status": "live"}')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(self.server.status, json.dumps(self.server.verdict).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.answer(status, body, {"Date": format_datetime(datetime.now(UTC) + self.server.skew, usegmt=True)})


@pytest.fixture
def api() -> Iterator[FakeApi]:
    server = FakeApi()
    with serving(server):
        yield server


async def findings(directory: Path, **settings: Any) -> dict[str, Finding]:
    """What is found, by what was looked at."""
    values = {"state_directory": directory, "kafka_bootstrap_servers": NOBODY, "python_interpreters": "/x", **settings}
    parsed = parse({f"INFRAWATCH_{name.upper()}": str(value) for name, value in values.items()})
    return {finding.what: finding async for finding in check(parsed)}


def names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def enrolled(directory: Path) -> None:
    settings = parse({"INFRAWATCH_STATE_DIRECTORY": str(directory)})
    save_identity(settings, Identity("host-1", "a" * 32, SECRET))


async def test_what_works_is_said_in_one_line_each(tmp_path: Path, api: FakeApi) -> None:
    enrolled(tmp_path)
    made = Spool(tmp_path / "spool.sqlite", 8_000_000)
    made.append([("topic", b"record")])
    found = await findings(tmp_path, api_url=f"http://127.0.0.1:{api.server_port}")
    made.close()
    good = {what for what, finding in found.items() if finding.good}
    assert good >= {"telemetry", "state directory", "spool", "identity", "clock", "key"}
    assert "1 records wait" in found["spool"].found
    assert "host-1" in found["identity"].found
    assert all(str(finding).count("\n") == 0 for finding in found.values())


async def test_looking_changes_nothing(tmp_path: Path) -> None:
    await findings(tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("prepare", "what", "words"),
    [
        (lambda path: (path / "identity.json").write_text("{"), "identity", "remove it and enrol again"),
        (lambda path: (path / "spool.sqlite").write_bytes(b"x" * 5000), "spool", "Move it away"),
    ],
)
async def test_files_that_cannot_be_used_are_named(
    tmp_path: Path, prepare: Callable[[Path], Any], what: str, words: str
) -> None:
    prepare(tmp_path)
    finding = (await findings(tmp_path))[what]
    assert not finding.good
    assert words in str(finding)


async def test_a_directory_that_is_missing_or_in_the_way_is_named(tmp_path: Path) -> None:
    assert "is not there" in str((await findings(tmp_path / "nowhere"))["state directory"])
    (tmp_path / "file").touch()
    assert "cannot be written" in str((await findings(tmp_path / "file"))["state directory"])


async def test_a_source_that_fails_is_named(tmp_path: Path) -> None:
    finding = (await findings(tmp_path, python_interpreters="/bin/false"))["packages"]
    assert "/bin/false ended with 1" in str(finding)


async def test_a_host_without_key_is_told_how_to_get_one(tmp_path: Path) -> None:
    assert "infrawatch-agent enrol" in str((await findings(tmp_path))["identity"])
    assert (await findings(tmp_path, allow_unsigned=True))["identity"].good
    assert (await findings(tmp_path, api_url="http://x", enrolment_token="t"))["identity"].good


async def test_a_key_of_another_host_is_named(tmp_path: Path) -> None:
    enrolled(tmp_path)
    assert "that of host-1, not of host-2" in str((await findings(tmp_path, host_id="host-2"))["identity"])


@pytest.mark.parametrize(
    ("skew", "words"), [(timedelta(days=1), "s behind the API's"), (timedelta(hours=-2), "s ahead of the API's")]
)
async def test_a_clock_that_is_off_is_told(tmp_path: Path, api: FakeApi, skew: timedelta, words: str) -> None:
    api.skew = skew
    assert words in str((await findings(tmp_path, api_url=f"http://127.0.0.1:{api.server_port}"))["clock"])


async def test_a_key_that_is_not_believed_or_ends_is_told(tmp_path: Path, api: FakeApi) -> None:
    enrolled(tmp_path)
    url = f"http://127.0.0.1:{api.server_port}"
    api.verdict["revoked_at"] = "2026-12-24T12:00:00Z"
    assert "until 2026-12-24 12:00 UTC only" in str((await findings(tmp_path, api_url=url))["key"])
    api.status, api.verdict = 403, {"detail": "The key is revoked; enrol the host anew."}
    assert "does not believe it: The key is revoked" in str((await findings(tmp_path, api_url=url))["key"])


async def test_an_api_that_is_away_is_told(tmp_path: Path) -> None:
    assert "did not answer" in str((await findings(tmp_path, api_url=f"http://{NOBODY}"))["API"])


@asynccontextmanager
async def listening(
    answer: bytes | None, context: ssl.SSLContext | None = None, *, host: str = "127.0.0.1"
) -> AsyncIterator[str]:
    """A server that answers whatever comes with ``answer`` and hangs up, or says nothing; its address."""
    ends = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is None:
            await ends.wait()
        elif await reader.read(1000):
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, host, 0, ssl=context)
    yield f"{host}:{server.sockets[0].getsockname()[1]}"
    ends.set()
    server.close()


async def at_broker(servers: str, protocol: str = "PLAINTEXT", context: ssl.SSLContext | None = None) -> list[str]:
    options: dict[str, Any] = {"bootstrap_servers": servers, "security_protocol": protocol, "client_id": "test"}
    if context is not None:
        options["ssl_context"] = context
    return [str(finding) async for finding in broker_findings(options, ["topic"])]


async def test_a_name_without_address_is_told() -> None:
    [found] = await at_broker("nowhere.invalid:9092")
    assert found.startswith("BAD   broker name: nowhere.invalid has no address")


async def test_a_port_where_nothing_listens_is_told_for_each_broker() -> None:
    found = await at_broker(f"{NOBODY},127.0.0.1:2")
    assert [line.partition("(")[0] for line in found] == [
        f"BAD   broker connection: {address} cannot be reached " for address in (NOBODY, "127.0.0.1:2")
    ]


async def test_a_port_that_does_not_speak_tls_is_told() -> None:
    async with listening(b"hello\r\n") as address:
        [found] = await at_broker(address, "SSL", ssl.create_default_context())
    assert "does not speak TLS" in found
    assert "INFRAWATCH_KAFKA_SECURITY_PROTOCOL" in found


async def test_a_certificate_that_is_not_trusted_is_told() -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(CERTIFICATE)
    async with listening(b"", server) as address:
        [unknown] = await at_broker(address, "SSL", ssl.create_default_context())
        [misnamed] = await at_broker(address, "SSL", ssl.create_default_context(cafile=str(CERTIFICATE)))
    assert "is not trusted: self-signed certificate" in unknown
    assert "INFRAWATCH_KAFKA_CA_FILE" in unknown
    assert "IP address mismatch" in misnamed


async def test_something_that_is_no_kafka_is_told() -> None:
    async with listening(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address:
        [found] = await at_broker(address)
    assert "does not answer as Kafka with PLAINTEXT" in found
