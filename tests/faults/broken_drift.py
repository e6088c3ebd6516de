"""Drift with one fault built in, to prove that the judges see it: ``python broken_drift.py FAULT``."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from typing import Any

from infrawatch_drift import store_changes
from infrawatch_drift.__main__ import main
from infrawatch_drift.domain import timeline
from infrawatch_drift.domain.timeline import Run
from infrawatch_drift.handlers import SnapshotsHandler

_write = SnapshotsHandler.write
_under_way: set[asyncio.Task[None]] = set()


async def commits_first(handler: SnapshotsHandler, batch: Any) -> None:
    """Says that a batch is written, so that its offsets are committed, and writes it a second later."""

    async def later() -> None:
        await asyncio.sleep(1.0)
        await _write(handler, batch)

    task = asyncio.create_task(later())
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)


def tells_nothing_apart(sightings: Any) -> Any:
    """Keeps a run for every sighting, as if each said something else than the one before."""
    return [Run(at, identifier, digest, at) for at, identifier, digest in sorted(set(sightings))]


def leaves_the_next(_before: Any) -> None:
    """What comes late changes nothing of how the next snapshot differs."""


async def tells_nobody(*_told: Any) -> None:
    """Puts nothing into the outbox."""


FAULTS: Mapping[str, tuple[Any, str, Callable[..., Any]]] = {
    commits_first.__name__: (SnapshotsHandler, "write", commits_first),
    tells_nothing_apart.__name__: (timeline, "runs_of", tells_nothing_apart),
    leaves_the_next.__name__: (timeline, "_compared", leaves_the_next),
    tells_nobody.__name__: (store_changes, "add_events", tells_nobody),
}


if __name__ == "__main__":
    setattr(*FAULTS[sys.argv[1]])
    sys.exit(main())
