"""A receiver of messages on this machine, that answers as a test wants it to."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Received:
    """One request, read whole."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """``answer`` may be changed at any time; ``url`` has no path. ``gate`` is what a slow answer waits for."""

    answer: Answer
    url: str = ""
    received: list[Received] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.received.append(Received(request.method, request.path_qs, dict(request.headers), body))
        return await self.answer(request)


def status(code: int, **headers: str) -> Answer:
    """Answers with that status."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=code, headers=headers, text="CANARY of the answer")

    return answer


@asynccontextmanager
async def receiving(
    answer: Answer | None = None, tls: ssl.SSLContext | None = None, addresses: Sequence[str] = ("127.0.0.1",)
) -> AsyncIterator[Receiver]:
    """Receive while the context is open, on the same port of each of these addresses."""
    receiver = Receiver(answer or status(200))
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    port = 0
    for address in addresses:
        await web.TCPSite(runner, address, port, ssl_context=tls).start()
        port = runner.addresses[0][1]
    receiver.url = f"{'https' if tls else 'http'}://{addresses[0]}:{port}"
    try:
        yield receiver
    finally:
        receiver.gate.set()
        await runner.cleanup()


def self_signed(directory: Path) -> ssl.SSLContext:
    """For a server that nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / "receiver.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path)
    return context
