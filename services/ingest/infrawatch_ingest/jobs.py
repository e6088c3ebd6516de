"""What ingest does beside consuming: each job in the background, for ever, on one replica at a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from infrawatch_common.database import is_transient
from infrawatch_common.logs import get_logger
from infrawatch_ingest.domain.schedule import Outcome, pause_after
from infrawatch_ingest.metrics import JobMetrics

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """Work in parts, each a short transaction that may end anywhere; ``interval`` in seconds, when nothing is left."""

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
        except Exception as error:
            if not is_transient(error):
                raise
            if failures == 0:
                _log.warning("a job failed, trying again", job=job.name, error=f"{type(error).__name__}: {error}")
            return Outcome.FAILED
