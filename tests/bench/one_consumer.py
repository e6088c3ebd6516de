"""One consumer at work on a backlog: how fast it is, with what memory and processor time; and a bare one beside it."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import psutil
import psycopg
from aiokafka import AIOKafkaConsumer

from bench.draining import MEGABYTE
from bench.figures import Point
from stack import Database, Service

_POLL = 0.1
_PATIENCE = 300.0


class Watched(NamedTuple):
    """``rate`` in records a second; ``memory``: the resident set in MB by records done; ``cpu`` in seconds a record."""

    rate: float
    memory: Sequence[Point]
    cpu: float


def watch(service: Service, database: Database, done: str, records: int, *arguments: object, after: int = 0) -> Watched:
    """From when more than ``after`` records are done up to all of them; ``done`` is the query that counts them.

    Raises ``TimeoutError`` if they are not done in five minutes.
    """
    process = psutil.Process(service.pid)
    memory: list[Point] = []
    first: tuple[float, int, float] | None = None
    count, deadline = 0, time.monotonic() + _PATIENCE
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        while time.monotonic() < deadline:
            (count,) = connection.execute(done, arguments).fetchone() or (0,)
            now, cpu = time.monotonic(), _cpu(process)
            memory.append((count, process.memory_info().rss / MEGABYTE))
            if first is None and count > after:
                first = now, count, cpu
            if first is not None and count >= records:
                rest = count - first[1]
                return Watched(rest / (now - first[0]), memory, (cpu - first[2]) / rest)
            time.sleep(_POLL)
    msg = f"{records} records were not done within {_PATIENCE:.0f} s but {count}: {service.log.read_text()[-2000:]}"
    raise TimeoutError(msg)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def decode_rate(servers: str, topic: str, decode: Callable[[Any], object], records: int, at_once: int) -> float:
    """Records a second of a consumer that decodes each and does nothing else."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    done, began, first = 0, 0.0, 0
    try:
        while done < records:
            fetched: Any = await consumer.getmany(timeout_ms=1000, max_records=at_once)
            for record in (each for some in fetched.values() for each in some):
                decode(record.value)
                done += 1
            if done and not first:
                began, first = time.monotonic(), done
        return (done - first) / (time.monotonic() - began)
    finally:
        await consumer.stop()
