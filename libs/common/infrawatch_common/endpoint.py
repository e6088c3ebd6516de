"""The HTTP endpoint of a service without an API of its own: health checks and metrics."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from infrawatch_common.health import Check, check_health
from infrawatch_common.settings import variable


class PortUnavailableError(Exception):
    """The endpoint cannot be served; the message says why and what to do."""


@asynccontextmanager
async def serve_endpoint(
    host: str, port: int, checks: Mapping[str, Check], registry: CollectorRegistry
) -> AsyncIterator[None]:
    """Serve ``/health/live``, ``/health/ready`` and ``/metrics`` while the context is open.

    Raises ``PortUnavailableError`` when another program listens there.
    """

    async def live(_request: web.Request) -> web.Response:
        return web.json_response({"status": "live"})

    async def ready(_request: web.Request) -> web.Response:
        health = await check_health(checks)
        return web.json_response(health.report(), status=200 if health.ready else 503)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/health/live", live), web.get("/health/ready", ready), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, handle_signals=False, access_log=None)
    await runner.setup()
    try:
        await _listen(runner, host, port)
        yield
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        msg = f"cannot listen on {host}:{port} ({error.strerror}); free it or change {variable('http_port')}"
        raise PortUnavailableError(msg) from error
