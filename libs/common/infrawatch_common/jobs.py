"""What a service does beside consuming: each job in the background, for ever, on one replica at a time."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from infrawatch_common.database import Connection, Pool, is_transient
from infrawatch_common.logs import get_logger
from infrawatch_common.metrics import JobMetrics
from infrawatch_common.schedule import Outcome, pause_after

_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))"

_log = get_logger(__name__)


class TakenError(Exception):
    """Another replica runs this job at the moment."""


@asynccontextmanager
async def alone(pool: Pool, service: str, job: str) -> AsyncIterator[Connection]:
    """A transaction in which no other replica of the service does the job. Raises ``TakenError`` where one does."""
    async with pool.acquire() as connection, connection.transaction():
        if not await connection.fetchval(_TRY_LOCK, f"infrawatch {service}: {job}"):
            raise TakenError(job)
        yield connection


@dataclass(frozen=True, slots=True)
class Job:
    """Work in parts, each a short transaction that may end anywhere; ``interval`` in seconds, when nothing is left.

    ``run`` does one part, and raises ``TakenError`` while another replica is at it.
    """

    name: str
    interval: float
    run: Callable[[], Awaitable[Outcome]]


class Runner:
    """Runs jobs. An error of the moment is repeated with back-off; any other ends the service."""

    def __init__(
        self,
        metrics: JobMetrics,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._pause = pause

    def background(self, jobs: Sequence[Job]) -> Mapping[str, Callable[[], Coroutine[Any, Any, None]]]:
        """The jobs as background tasks of a service."""
        for job in jobs:
            self._metrics.expect(job.name)
        return {f"job {job.name}": partial(self.keep_running, job) for job in jobs}

    async def keep_running(self, job: Job) -> None:
        """Run one job, for ever."""
        failures = 0
        while True:
            began = self._clock()
            outcome = await self._attempt(job, failures)
            took = self._clock() - began
            failures = failures + 1 if outcome is Outcome.FAILED else 0
            self._metrics.observe(job.name, outcome, took)
            await self._pause(pause_after(outcome, took=took, failures=failures, interval=job.interval))

    async def _attempt(self, job: Job, failures: int) -> Outcome:
        try:
            return await job.run()
        except TakenError:
            return Outcome.TAKEN
        except Exception as error:
            if not is_transient(error):
                raise
            if failures == 0:
                _log.warning("a job failed, trying again", job=job.name, error=f"{type(error).__name__}: {error}")
            return Outcome.FAILED
