"""Rows of ``snapshots``: what hosts were like, once for each time that they were like that."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec

from infrawatch_common.database import Connection, columns
from infrawatch_common.drift.content import Content
from infrawatch_drift.domain.timeline import Run

_READ = "SELECT id, os_info, kernel, packages, env_vars, facts FROM snapshots WHERE id = ANY ($1)"
_INSERT = """
INSERT INTO snapshots (id, host_id, timestamp, digest, confirmed_at, os_info, kernel, packages, env_vars, facts)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::integer[])
"""
_COPY = """
INSERT INTO snapshots (id, host_id, timestamp, digest, confirmed_at, os_info, kernel, packages, env_vars, facts)
SELECT $1, $2, $3, $4, $5, os_info, kernel, packages, env_vars, facts FROM snapshots WHERE id = $6
"""
_CONFIRM = """
UPDATE snapshots SET confirmed_at = new.confirmed_at
FROM unnest($1::uuid[], $2::timestamptz[]) AS new (id, confirmed_at) WHERE snapshots.id = new.id
"""
_DELETE = "DELETE FROM snapshots WHERE id = ANY ($1)"

_packages = msgspec.json.Decoder(dict[str, dict[str, str]])
_env_vars = msgspec.json.Decoder(dict[str, str])
_json = msgspec.json.Encoder()


class Kept(NamedTuple):
    """What a row says. ``facts`` are ids, ascending."""

    content: Content
    facts: Sequence[int]


Row = tuple[object, ...]


async def read(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, Kept]:
    """What these rows say, by id."""
    return {
        row["id"]: Kept(
            Content(
                row["os_info"],
                row["kernel"],
                _packages.decode(row["packages"]),
                _env_vars.decode(row["env_vars"]),
            ),
            row["facts"],
        )
        for row in await connection.fetch(_READ, list(ids))
    }


def row_of(host_id: str, run: Run, kept: Kept) -> Row:
    """A row that ``insert`` takes."""
    content = kept.content
    packages, env_vars = (_json.encode(value).decode() for value in (content.packages, content.env_vars))
    # asyncpg looks at each number of an array three times; as a text they cost a tenth.
    facts = f"{{{str(list(kept.facts))[1:-1]}}}"
    return *_columns(host_id, run), content.os_info, content.kernel, packages, env_vars, facts


def copy_of(host_id: str, run: Run, source: UUID) -> Row:
    """A row that ``copy`` takes: ``source`` is the id of one that says the same."""
    return *_columns(host_id, run), source


async def insert(connection: Connection, rows: Iterable[Row]) -> None:
    """Store rows with all that they say."""
    await connection.executemany(_INSERT, rows)


async def copy(connection: Connection, rows: Iterable[Row]) -> None:
    """Store rows that say the same as others."""
    await connection.executemany(_COPY, rows)


async def confirm(connection: Connection, runs: Iterable[Run]) -> None:
    """Store when rows were last confirmed."""
    await connection.execute(_CONFIRM, *columns([(run.id, run.confirmed_at) for run in runs]))


async def delete(connection: Connection, runs: Iterable[Run]) -> None:
    """Delete rows whose place others have taken."""
    await connection.execute(_DELETE, [run.id for run in runs])


def _columns(host_id: str, run: Run) -> Row:
    return run.id, host_id, run.timestamp, run.digest, run.confirmed_at
