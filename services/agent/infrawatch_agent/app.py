"""The wiring of the agent."""

import asyncio
import logging
import signal
from pathlib import Path

from infrawatch_agent.broker import connection_options
from infrawatch_agent.collector import Collector
from infrawatch_agent.endpoint import answers, serve_endpoint
from infrawatch_agent.enrolment import enrol
from infrawatch_agent.identity import CurrentIdentity, Identity, host_id, load_identity
from infrawatch_agent.logs import fields
from infrawatch_agent.metrics import Metrics
from infrawatch_agent.outbox import Outbox
from infrawatch_agent.rotation import KeyKeeper
from infrawatch_agent.sender import Outgoing, Sender
from infrawatch_agent.settings import Settings

_log = logging.getLogger(__name__)


class Agent:
    """One run of the agent. A part of it that dies ends the process, so that its supervisor starts it anew."""

    def __init__(self, settings: Settings, identity: Identity | None) -> None:
        self._settings = settings
        self._host_id = host_id(settings, identity)
        self._metrics = Metrics()
        spool = Path(settings.state_directory) / "spool.sqlite"
        self._outbox = Outbox(spool, settings.spool_max_bytes, settings.memory_max_bytes)
        self._sender = Sender(
            settings, self._outbox, Outgoing(self._host_id, CurrentIdentity(settings, identity)), self._metrics
        )
        self._keys = KeyKeeper(settings, self._metrics)
        self._collector = Collector(settings, self._host_id, self._outbox, self._metrics, self._sender.wake)

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT (exit code 0), or until a part of the agent dies (its error)."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        routes = answers(self._problems, self._render_metrics)
        async with serve_endpoint(self._settings.http_host, self._settings.http_port, routes):
            _log.info("started", extra=fields(host_id=self._host_id, waiting=self._outbox.records))
            try:
                await self._work(stop)
            finally:
                self._outbox.close()
        _log.info("stopped", extra=fields(exit_code=0))
        return 0

    async def _work(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            others = [
                group.create_task(self._collector.run_samples()),
                group.create_task(self._collector.run_snapshots()),
                group.create_task(self._keys.run()),
            ]
            sending = group.create_task(self._sender.run())
            await stop.wait()
            for task in others:
                task.cancel()
            await self._flush()
            sending.cancel()

    async def _flush(self) -> None:
        self._sender.wake()
        try:
            async with asyncio.timeout(self._settings.stop_timeout):
                await self._sender.up_to_date()
        except TimeoutError:
            _log.info("unsent records stay in the spool", extra=fields(records=self._outbox.records))

    def _problems(self) -> dict[str, str | None]:
        return {
            "collection": self._collector.sample_problem(),
            "snapshots": self._collector.snapshot_problem,
            "kafka": self._sender.problem,
            "topics": self._sender.topic_problem,
            "spool": self._outbox.problem,
            "key": self._keys.problem,
        }

    def _render_metrics(self) -> str:
        self._metrics.spool_records = self._outbox.records
        self._metrics.spool_bytes = self._outbox.size
        self._metrics.spool_file_bytes = self._outbox.file_bytes
        self._metrics.spool_writable = float(self._outbox.problem is None)
        self._metrics.dropped_total = dict(self._outbox.drops)
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
    identity = identify(settings)
    connection_options(settings, identity)  # raises what is wrong with them now, and not in the middle of the work
    return Agent(settings, identity)
