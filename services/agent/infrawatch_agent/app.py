"""The wiring of the agent."""

import asyncio
import logging
import signal
import time
from pathlib import Path

from infrawatch_agent.collector import Collector
from infrawatch_agent.endpoint import answers, serve_endpoint
from infrawatch_agent.enrolment import enrol
from infrawatch_agent.identity import Identity, host_id, load_identity
from infrawatch_agent.logs import fields
from infrawatch_agent.metrics import Metrics
from infrawatch_agent.sender import Outgoing, Sender
from infrawatch_agent.settings import Settings
from infrawatch_agent.spool import Spool

_log = logging.getLogger(__name__)


class Agent:
    """One run of the agent. A part of it that dies ends the process, so that its supervisor starts it anew."""

    def __init__(self, settings: Settings, identity: Identity | None) -> None:
        self._settings = settings
        self._host_id = host_id(settings, identity)
        self._metrics = Metrics()
        self._spool = Spool(Path(settings.state_directory) / "spool.sqlite", settings.spool_max_bytes)
        self._sender = Sender(settings, self._spool, Outgoing(self._host_id, identity), self._metrics)
        self._collector = Collector(settings, self._host_id, self._spool, self._metrics, self._sender.wake)

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT (exit code 0), or until a part of the agent dies (its error)."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        routes = answers(self._problems, self._render_metrics)
        async with serve_endpoint(self._settings.http_host, self._settings.http_port, routes):
            _log.info("started", extra=fields(host_id=self._host_id, waiting=self._spool.records))
            try:
                await self._work(stop)
            finally:
                self._spool.close()
        _log.info("stopped", extra=fields(exit_code=0))
        return 0

    async def _work(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            collecting = [
                group.create_task(self._collector.run_samples()),
                group.create_task(self._collector.run_snapshots()),
            ]
            sending = group.create_task(self._sender.run())
            await stop.wait()
            for task in collecting:
                task.cancel()
            await self._flush()
            sending.cancel()

    async def _flush(self) -> None:
        if not self._spool.records:
            return
        self._sender.wake()
        try:
            async with asyncio.timeout(self._settings.stop_timeout):
                await self._sender.drained()
        except TimeoutError:
            _log.info("unsent records stay in the spool", extra=fields(records=self._spool.records))

    def _problems(self) -> dict[str, str | None]:
        silence = time.time() - self._metrics.last_sample_timestamp_seconds
        return {
            "collection": None if silence <= 3 * self._settings.interval else "no sample for three intervals",
            "kafka": None if self._metrics.connected else "no broker is connected; records wait in the spool",
            "spool": "records were lost" if self._metrics.spool_failures_total else None,
        }

    def _render_metrics(self) -> str:
        self._metrics.spool_records = self._spool.records
        self._metrics.spool_bytes = self._spool.bytes
        self._metrics.dropped_total = self._spool.dropped
        return self._metrics.render()


def identify(settings: Settings) -> Identity | None:
    """The identity to run with: the enrolled one, one enrolled now, or none where that is allowed.

    Raises ``IdentityError`` and ``EnrolmentError``.
    """
    identity = load_identity(settings)
    if identity is None and not settings.allow_unsigned:
        identity = enrol(settings)
        _log.info("enrolled", extra=fields(host_id=identity.host_id))
    return identity


def create_app(settings: Settings) -> Agent:
    """The agent, identified. Raises ``IdentityError`` and ``EnrolmentError``."""
    return Agent(settings, identify(settings))
