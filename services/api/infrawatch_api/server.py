"""The HTTP server: granian, in this process.

One process is one replica: what ``/metrics`` says is then the whole truth about it, which it is not with several
worker processes behind one port. Run more replicas for more load.
"""

import asyncio
import errno
import logging
import signal
import socket

from granian.constants import Interfaces
from granian.log import logger as granian_logger
from granian.server.embed import Server
from litestar.types import ASGIApp

from infrawatch_api.settings import Settings
from infrawatch_common.logs import get_logger

_BACKLOG = 1024
_REASONS = {errno.EADDRINUSE: "something else uses it", errno.EACCES: "this user may not open it"}

_log = get_logger(__name__)


class PortUnavailableError(Exception):
    """The address cannot be listened on; the message says why and what to do."""


async def serve(app: ASGIApp, settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; requests in hand are answered. The exit code."""
    port = _free_port(settings.http_host, settings.http_port)
    server = Server(
        app,
        address=settings.http_host,
        port=port,
        interface=Interfaces.ASGI,
        backlog=_BACKLOG,
        websockets=False,
        log_enabled=False,
    )
    _quiet_granian()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    serving = asyncio.create_task(server.serve())
    _log.info("started", address=settings.http_host, port=port)
    stopping = asyncio.create_task(stopped.wait())
    await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not stopped.is_set():
        _log.error("the server ended by itself", exc_info=serving.exception())
        return 1
    _log.info("stopping")
    server.stop()  # type: ignore[no-untyped-call]
    try:
        async with asyncio.timeout(settings.stop_timeout):
            await serving
    except TimeoutError:
        _log.warning("requests in hand were given up")
    _log.info("stopped", exit_code=0)
    return 0


def _free_port(host: str, port: int) -> int:
    """The port to use, which nothing else listens on: granian itself would share it silently."""
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            return int(probe.getsockname()[1])
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
        msg = f"cannot listen on {host} port {port}: {reason}; set INFRAWATCH_HTTP_HOST or INFRAWATCH_HTTP_PORT"
        raise PortUnavailableError(msg) from error


def _quiet_granian() -> None:
    granian_logger.handlers.clear()
    granian_logger.propagate = True
    granian_logger.setLevel(logging.ERROR)
