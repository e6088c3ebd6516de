"""Health and metrics over HTTP; three fixed answers need no web framework in an agent's memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from infrawatch_agent.settings import variable

_READ_TIMEOUT = 5.0
_JSON = "application/json"
_TEXT = "text/plain; version=0.0.4; charset=utf-8"

# Path → status, content type, body.
Answers = dict[str, Callable[[], tuple[int, str, str]]]


def answers(problems: Callable[[], dict[str, str | None]], metrics: Callable[[], str]) -> Answers:
    """The routes: what is wrong by check (None when nothing is), and the metrics' text."""

    def ready() -> tuple[int, str, str]:
        checks = {name: problem or "ok" for name, problem in problems().items()}
        good = all(state == "ok" for state in checks.values())
        body = json.dumps({"status": "ready" if good else "not ready", "checks": checks})
        return (200 if good else 503), _JSON, body

    return {
        "/health/live": lambda: (200, _JSON, '{"status": "live"}'),
        "/health/ready": ready,
        "/metrics": lambda: (200, _TEXT, metrics()),
    }


class PortUnavailableError(Exception):
    """The endpoint cannot be served; the message says why and what to do."""


@asynccontextmanager
async def serve_endpoint(host: str, port: int, routes: Answers) -> AsyncIterator[None]:
    """Answer GET requests while the context is open; one request a connection.

    Raises ``PortUnavailableError`` when another program listens there.
    """

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_READ_TIMEOUT):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(_respond(request, routes))
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass  # nobody is left to be told
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(handle, host, port, limit=16 * 1024)
    except OSError as error:
        msg = f"cannot listen on {host}:{port} ({error.strerror}); free it or change {variable('http_port')}"
        raise PortUnavailableError(msg) from error
    try:
        yield
    finally:
        server.close()


def _respond(request: bytes, routes: Answers) -> bytes:
    method, _, rest = request.partition(b"\r\n")[0].decode("latin-1").partition(" ")
    path = rest.partition(" ")[0].partition("?")[0]
    if path not in routes:
        status, kind, body = 404, _JSON, '{"status": "not found"}'
    elif method not in ("GET", "HEAD"):
        status, kind, body = 405, _JSON, '{"status": "method not allowed"}'
    else:
        status, kind, body = routes[path]()
    content = body.encode()
    head = f"HTTP/1.1 {status} -\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    return head.encode() + (b"" if method == "HEAD" else content)
