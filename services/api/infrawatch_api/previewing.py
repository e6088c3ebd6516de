"""Previews, each in a process of its own, and no more at a time than a setting says."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process

import msgspec

from infrawatch_api.domain.inputs import InvalidInputError
from infrawatch_api.metrics import ApiMetrics, PreviewOutcome
from infrawatch_api.preview_worker import LENGTH, Answer, Away, Done, Failed, Job, TooMany
from infrawatch_api.problems import ProblemError, unavailable
from infrawatch_api.settings import Settings
from infrawatch_common.logs import get_logger
from infrawatch_common.settings import variable

# -P: what lies in the working directory is no module of ours.
_COMMAND = (sys.executable, "-P", "-m", "infrawatch_api.preview_worker")
_STOP_TIMEOUT = 2.0

_log = get_logger(__name__)


class PreviewFailedError(Exception):
    """What nobody foresaw; the message is the traceback of the process that worked."""


class Previews:
    """Keeps processes that have worked once, so that the next preview does not wait for one to start.

    They are not the API's own: millions of samples would keep it from answering anything else.
    """

    def __init__(self, settings: Settings, metrics: ApiMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._working: set[Process] = set()
        self._idle: list[Process] = []
        self._running = 0

    async def run(self, job: Job) -> Done:
        """Work it out. Raises ``ProblemError`` and ``InvalidInputError``, and ``PreviewFailedError``."""
        if self._running >= self._settings.previews_max:
            self._metrics.previews.labels(PreviewOutcome.REFUSED).inc()
            raise unavailable(
                f"{self._running} previews are being worked out, as many as {variable('previews_max')} allows;"
                " try again when they are done."
            )
        self._running += 1
        outcome = PreviewOutcome.FAILED
        try:
            answer = await self._bounded(job)
            outcome = PreviewOutcome.ANSWERED if isinstance(answer, Done) else outcome
            return self._checked(answer)
        except TimeoutError as error:
            outcome = PreviewOutcome.TIMED_OUT
            raise self._too_slow() from error
        finally:
            self._running -= 1
            self._metrics.previews.labels(outcome).inc()

    async def close(self) -> None:
        """End all processes; those at work are given up."""
        processes = [*self._idle, *self._working]
        self._idle.clear()
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
        await asyncio.gather(*(_ended(process) for process in processes))

    async def _bounded(self, job: Job) -> Answer:
        process = None
        try:
            async with asyncio.timeout(self._settings.preview_timeout):
                process = self._living() or await asyncio.create_subprocess_exec(*_COMMAND, stdin=PIPE, stdout=PIPE)
                self._working.add(process)
                answer = await _ask(process, job)
        except BaseException:
            if process is not None:
                self._working.discard(process)
                await asyncio.shield(_ended(process, patience=0.0))
            raise
        self._working.discard(process)
        self._idle.append(process)
        return answer

    def _living(self) -> Process | None:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None:
                return process
        return None

    def _checked(self, answer: Answer) -> Done:
        if isinstance(answer, TooMany):
            raise InvalidInputError(
                "from",
                f"gives more than {self._settings.preview_samples_max:,} samples, since hosts report more often than"
                " usual; ask for fewer days or fewer hosts",
            )
        if isinstance(answer, Away):
            self._metrics.database_errors.inc()
            _log.warning("database is away or busy for a preview", error=answer.error)
            raise unavailable("The database does not answer, or is too slow for this preview.")
        if isinstance(answer, Failed):
            raise PreviewFailedError(answer.error)
        return answer

    def _too_slow(self) -> ProblemError:
        return unavailable(
            f"The preview took longer than {self._settings.preview_timeout:g} s ({variable('preview_timeout')});"
            " ask for fewer hosts, fewer days, or fewer combinations."
        )


async def _ask(process: Process, job: Job) -> Answer:
    assert process.stdin is not None
    assert process.stdout is not None
    body = msgspec.json.encode(job)
    try:
        process.stdin.write(len(body).to_bytes(LENGTH) + body)
        await process.stdin.drain()
        length = int.from_bytes(await process.stdout.readexactly(LENGTH))
        answer: Answer = msgspec.json.decode(await process.stdout.readexactly(length), type=Answer)
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        _log.error("the process of a preview ended by itself", exit_code=process.returncode)
        raise unavailable("The preview was broken off; try again.") from error
    return answer


async def _ended(process: Process, patience: float = _STOP_TIMEOUT) -> None:
    try:
        async with asyncio.timeout(patience):
            await process.wait()
    except TimeoutError:
        if process.returncode is None:
            process.kill()
        await process.wait()
