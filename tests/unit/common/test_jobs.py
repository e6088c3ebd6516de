"""The life of a job, with the clock and the pause in the test's hands."""

import asyncio

import pytest
from asyncpg import LockNotAvailableError
from prometheus_client import CollectorRegistry

from infrawatch_common.jobs import Job, Runner, TakenError
from infrawatch_common.metrics import JobMetrics
from infrawatch_common.schedule import Outcome


class Stopped(BaseException):
    """Ends a job that would go on for ever."""


async def run(*results: Outcome | Exception) -> tuple[list[float], CollectorRegistry]:
    """The pauses between runs that end like that."""
    registry, waiting, pauses = CollectorRegistry(), list(results), []

    async def work() -> Outcome:
        result = waiting.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if not waiting:
            raise Stopped

    runner = Runner(JobMetrics("ingest", registry), clock=lambda: 0.0, pause=pause)
    job = Job("rollup", 60.0, work)
    [task] = runner.background([job]).values()
    with pytest.raises(Stopped):
        await task()
    return pauses, registry


async def test_a_job_goes_on_after_errors_of_the_moment_and_waits_longer_each_time() -> None:
    busy = LockNotAvailableError("busy")
    pauses, registry = await run(busy, busy, Outcome.DONE, busy, Outcome.MORE, Outcome.DONE)
    assert pauses == [2.0, 4.0, 60.0, 2.0, 0.05, 60.0]
    failed = registry.get_sample_value("infrawatch_ingest_job_runs_total", {"job": "rollup", "outcome": "failed"})
    assert failed == 3


async def test_any_other_error_ends_the_job_and_so_the_service() -> None:
    with pytest.raises(ZeroDivisionError):
        await run(ZeroDivisionError())


async def test_a_job_that_is_cancelled_ends() -> None:
    async def work() -> Outcome:
        await asyncio.Event().wait()
        return Outcome.DONE

    [task] = Runner(JobMetrics("ingest", CollectorRegistry())).background([Job("rollup", 60.0, work)]).values()
    running = asyncio.create_task(task())
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_when_a_job_last_succeeded_can_be_seen() -> None:
    pauses, registry = await run(TakenError("rollup"))
    assert pauses == [60.0]
    name, labels = "infrawatch_ingest_job_last_success_timestamp_seconds", {"job": "rollup"}
    assert registry.get_sample_value(name, labels) == 0
    _, registry = await run(Outcome.DONE)
    assert (registry.get_sample_value(name, labels) or 0) > 0
