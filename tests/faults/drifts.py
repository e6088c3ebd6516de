"""What scenes of drift share: what the database and the topic hold, compared with what had to become of the records."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from faults import drift_verdicts, verdicts
from faults.drift_verdicts import Event, Kept, Row, comparable
from faults.published import everything_on, outbox_is_empty
from faults.snapshot_load import SnapshotLoad
from faults.verdicts import Check
from faults.world import World
from infrawatch_common.drift.content import Content, digest
from stack import Database, eventually

_PATIENCE = 30.0
_ROWS = "SELECT id, host_id, timestamp, confirmed_at, digest, os_info, kernel, packages, env_vars FROM snapshots"
_CHANGES = (
    "SELECT id, host_id, snapshot_id, not_before, at, category, source, name, action, direction, before, after"
    " FROM drift_changes"
)
_VISIBLE = f"{_CHANGES} WHERE NOT hidden"
_LETTERS = 'SELECT topic, partition, "offset", reason FROM dead_letters'

Letter = tuple[str, int, int, str]  # topic, partition, offset, reason


async def judge(world: World) -> list[Check]:
    """L0, D0 and D1: everything that was acknowledged is there, once, and has become what it had to."""
    load = world.load
    assert isinstance(load, SnapshotLoad)
    rows, changes = drift_verdicts.expected(load.sightings)
    with suppress(TimeoutError):  # the judge will see it
        await eventually(lambda: outbox_is_empty(world.database), _PATIENCE)
    verdict = await load.verdict(world.database)
    return [
        verdicts.nothing_lost(verdict, len(load.acknowledged)),
        verdicts.nothing_doubled(verdict),
        drift_verdicts.as_expected("rows", await snapshots(world.database), rows),
        drift_verdicts.as_expected("changes", await kept(world.database), changes),
        drift_verdicts.told(await events(world), await kept(world.database, _VISIBLE)),
    ]


async def snapshots(database: Database) -> list[Row]:
    """The rows, with the digest of what they hold; with none where another is written beside it."""
    async with database.admin() as connection:
        return [_row(row) for row in await connection.fetch(_ROWS)]


def _row(found: Mapping[str, Any]) -> Row:
    packages, env_vars = json.loads(found["packages"]), json.loads(found["env_vars"])
    made = digest(Content(found["os_info"], found["kernel"], packages, env_vars))
    id_, host_id, begin, end, written = (
        found[name] for name in ("id", "host_id", "timestamp", "confirmed_at", "digest")
    )
    return Row(id_, host_id, begin, end, made if made == written else b"")


async def kept(database: Database, query: str = _CHANGES) -> list[Kept]:
    """The changes."""
    async with database.admin() as connection:
        rows = [tuple(row) for row in await connection.fetch(query)]
    return [Kept(*row[:-2], *(comparable(json.loads(value)) for value in row[-2:])) for row in rows]


async def letters(database: Database) -> list[Letter]:
    """The dead letters."""
    async with database.admin() as connection:
        return [(row[0], row[1], row[2], row[3]) for row in await connection.fetch(_LETTERS)]


async def events(world: World) -> list[Event]:
    """All that was published, that of each host in order."""
    return [_event(told) for told in await everything_on(world.topics, events_topic(world))]


def _event(told: dict[str, Any]) -> Event:
    about = (told["category"], told["source"], told["name"], told["action"])
    return Event(told["event"], UUID(told["id"]), told["host_id"], UUID(told["snapshot_id"]), *about)


def events_topic(world: World) -> str:
    """Where a scene's drift publishes: no service of the scene looks there, and no other scene writes there."""
    return world.topics.metrics
