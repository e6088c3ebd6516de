"""The process that previews are worked out in: ``python -m infrawatch_api.preview_worker``.

On stdin it gets jobs, one at a time, and on stdout it answers each: four bytes of length, then JSON. It ends when stdin
does, in the middle of a job too. It reads the database by itself, so that millions of samples pass the API by.
"""

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import uvloop

from infrawatch_api.domain.buckets import Range
from infrawatch_api.domain.preview_tally import Count, Event, HostCount, Tally
from infrawatch_api.domain.previews import is_large_share, lead, parts
from infrawatch_api.store.previews import TooManyError, choose_way, last_heard, read
from infrawatch_common.alerts.backtest import Backtest, Candidates, microseconds
from infrawatch_common.alerts.rules import Rule
from infrawatch_common.database import is_transient

LENGTH = 4
# Behind everything else that wants the processor.
_NICENESS = 10
_CONNECT_TIMEOUT = 5.0


class Job(msgspec.Struct, frozen=True):
    """What to work out. The first of the ``rules`` is the one that is asked about; ``of`` is how many hosts there are
    at all. ``timeout`` is in seconds.
    """

    database_url: str
    database_password: str
    timeout: float
    hosts: list[str]
    of: int
    rules: list[Rule]
    start: datetime
    end: datetime
    interval: timedelta
    samples_max: int
    events_max: int


class Done(msgspec.Struct, frozen=True, tag="done"):
    """What came of it. ``counts`` are by rule; ``hosts`` and ``events`` are the first one's."""

    samples: int
    counts: list[Count]
    hosts: list[HostCount]
    events: list[Event]


class TooMany(msgspec.Struct, frozen=True, tag="too many"):
    """There are more samples than ``samples_max``."""


class Away(msgspec.Struct, frozen=True, tag="away"):
    """The database is away or busy, or took too long."""

    error: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """What nobody foresaw, with its traceback."""

    error: str


Answer = Done | TooMany | Away | Failed


async def work_out(job: Job) -> Done:
    """Read the samples part by part and give them to a backtest of each host. Raises ``TooManyError``, and what the
    database does.
    """
    covered = Range(job.start, job.end)
    candidates = Candidates(job.rules)
    tally = Tally(covered, len(job.rules), job.events_max)
    samples = 0
    async with _connected(job) as connection:
        reading = Range(covered.start - lead(job.rules), covered.end)
        heard: Mapping[str, int] = {}
        if candidates.is_heartbeat:
            heard = await last_heard(connection, job.hosts, reading.start)
        await choose_way(connection, of_all=is_large_share(len(job.hosts), job.of))
        tests = [Backtest(host, candidates, job.interval, heard.get(host)) for host in job.hosts]
        for part in parts(reading, len(job.hosts), job.interval):
            columns = await read(connection, job.hosts, part, job.rules[0].metric, job.samples_max - samples)
            samples += columns.count
            for number, (host, test) in enumerate(zip(job.hosts, tests, strict=True)):
                tally.add_all(host, test.take(*columns.of(number)))
            del columns  # before there are others
    for host, test in zip(job.hosts, tests, strict=True):
        tally.add_all(host, test.end(microseconds(job.end)))
    tally.finish()
    return Done(samples, tally.counts, tally.hosts, list(tally.events))


@asynccontextmanager
async def _connected(job: Job) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(
        job.database_url,
        password=job.database_password,
        timeout=_CONNECT_TIMEOUT,
        server_settings={
            "application_name": "infrawatch-api-preview",
            "timezone": "UTC",
            "statement_timeout": str(int(job.timeout * 1000)),
            "default_transaction_read_only": "on",
            # One preview takes one processor of the database, not all of them.
            "max_parallel_workers_per_gather": "0",
            "jit": "off",
        },
    )
    try:
        yield connection
    finally:
        connection.terminate()


async def answer(job: Job) -> Answer:
    """Work it out, or say why not."""
    try:
        return await work_out(job)
    except TooManyError:
        return TooMany()
    except Exception as error:  # noqa: BLE001 - the API tells it to its log
        if is_transient(error):
            return Away(f"{type(error).__name__}: {error}")
        return Failed(traceback.format_exc())


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    following = asyncio.ensure_future(_frame(reader))
    while True:
        frame = await following
        if frame is None:
            return
        # Nothing comes before the answer but the end.
        following = asyncio.ensure_future(_frame(reader))
        answering = asyncio.ensure_future(answer(msgspec.json.decode(frame, type=Job)))
        await asyncio.wait([answering, following], return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            return
        _write(msgspec.json.encode(answering.result()))


async def _frame(reader: asyncio.StreamReader) -> bytes | None:
    try:
        return await reader.readexactly(int.from_bytes(await reader.readexactly(LENGTH)))
    except asyncio.IncompleteReadError:
        return None


def _write(body: bytes) -> None:
    sys.stdout.buffer.write(len(body).to_bytes(LENGTH) + body)
    sys.stdout.buffer.flush()


def main() -> None:
    """Work until stdin ends; who stops the API stops this by it, so that signals to both do not end it too early."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICENESS)
    uvloop.run(_serve())


if __name__ == "__main__":
    main()
