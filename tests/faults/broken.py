"""Ingest with one fault built in, to prove that the judges see it: ``python broken.py FAULT``."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from random import randrange
from typing import Any

from msgspec.structs import replace

from infrawatch_common import endpoint
from infrawatch_common.health import Health
from infrawatch_ingest.__main__ import main
from infrawatch_ingest.handlers import MetricsHandler, Prepared
from infrawatch_ingest.rows import Rows

_write = MetricsHandler.write
_under_way: set[asyncio.Task[None]] = set()
_hoard: list[bytes] = []


async def commits_first(handler: MetricsHandler, batch: Any) -> None:
    """Says that a batch is written, so that its offsets are committed, and writes it a second later."""

    async def later() -> None:
        await asyncio.sleep(1.0)
        await _write(handler, batch)

    task = asyncio.create_task(later())
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)


async def writes_anew(handler: MetricsHandler, prepared: Prepared) -> None:
    """Gives rows a time of its own, so that the key does not know a record that comes again."""
    moved = [
        (replace(sample, timestamp=sample.timestamp + timedelta(microseconds=randrange(1, 10**6))), record)
        for sample, record in prepared.batch.accepted
    ]
    await _write(handler, Prepared(prepared.batch, Rows(moved)))


async def leaks(handler: MetricsHandler, batch: Any) -> None:
    """Keeps half a megabyte of every batch."""
    _hoard.append(b"x" * 500_000)
    await _write(handler, batch)


async def hangs(_handler: MetricsHandler, _batch: Any) -> None:
    """Never finishes a batch."""
    await asyncio.Event().wait()


async def lies(_checks: Mapping[str, object]) -> Health:
    """Says that it is ready, whatever is the matter."""
    return Health({"database": None, "kafka": None, "consumer": None})


FAULTS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function for function in (commits_first, writes_anew, leaks, hangs, lies)
}


def install(name: str) -> None:
    """Build the fault in."""
    if name == lies.__name__:
        endpoint.check_health = lies  # type: ignore[attr-defined, assignment]
    else:
        MetricsHandler.write = FAULTS[name]  # type: ignore[method-assign]


if __name__ == "__main__":
    install(sys.argv[1])
    sys.exit(main())
