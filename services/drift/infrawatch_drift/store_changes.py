"""Rows of ``drift_changes``, and the events that tell other systems of them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from infrawatch_common.database import Connection, columns
from infrawatch_common.drift.changes import Change
from infrawatch_common.drift.severity import Outcome
from infrawatch_common.outbox import add_events
from infrawatch_drift.domain.findings import Found, Revision, Stored, Verdict, event

SERVICE = "drift"

# Whoever judges one of them waits, and then finds what became of it.
_READ = """
SELECT id, host_id, snapshot_id, not_before, at, category, source, name, action, direction, before, after, subject,
       severity, reason, found_at, late, ignored_by, verdict, verdict_reason, verdict_at, verdict_by, expires_at
FROM drift_changes WHERE snapshot_id = ANY ($1) ORDER BY id FOR UPDATE
"""
_DELETE = "DELETE FROM drift_changes WHERE id = ANY ($1)"
_INSERT = """
INSERT INTO drift_changes (id, host_id, snapshot_id, not_before, at, category, source, name, action, direction,
                           before, after, subject, severity, reason, found_at, late, ignored_by)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::text[], $7::text[],
                     $8::text[], $9::text[], $10::text[], $11::jsonb[], $12::jsonb[], $13::bytea[], $14::text[],
                     $15::text[], $16::timestamptz[], $17::boolean[], $18::uuid[])
"""
_INSERT_JUDGED = """
INSERT INTO drift_changes (id, host_id, snapshot_id, not_before, at, category, source, name, action, direction,
                           before, after, subject, severity, reason, found_at, late, ignored_by,
                           verdict, verdict_reason, verdict_at, verdict_by, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
"""
_RENAME = """
UPDATE drift_verdicts SET change_id = new.id FROM unnest($1::uuid[], $2::uuid[]) AS new (old_id, id)
WHERE change_id = new.old_id
"""
_json = msgspec.json.Encoder()
_value = msgspec.json.Decoder(str | dict[str, str] | None)


async def read(connection: Connection, snapshot_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[Stored]]:
    """The rows of some snapshots, by snapshot; nobody else changes them before the transaction ends."""
    found: dict[UUID, list[Stored]] = defaultdict(list)
    for row in await connection.fetch(_READ, snapshot_ids) if snapshot_ids else ():
        found[row["snapshot_id"]].append(_stored(row))
    return found


async def keep(connection: Connection, revisions: Iterable[Revision], topic: str) -> None:
    """Store what has become of rows, and have it published on ``topic``."""
    made = list(revisions)
    removed = [identifier for revision in made for identifier in revision.removed]
    added = [_columns(found) for revision in made for found in revision.added]
    judged = [(*_columns(row.found), *row.verdict) for revision in made for row in revision.judged]
    if removed:
        await connection.execute(_DELETE, removed)
    if added:
        await connection.execute(_INSERT, *columns(added))
    if judged:
        await connection.executemany(_INSERT_JUDGED, judged)
    renamed = [ids for revision in made for ids in revision.renamed]
    if renamed:
        await connection.execute(_RENAME, *columns(renamed))
    told = [(one.found.host_id, event(one)) for revision in made for one in revision.told]
    await add_events(connection, SERVICE, topic, told)


def _columns(found: Found) -> tuple[object, ...]:
    change = found.change
    return (
        found.id,
        found.host_id,
        found.snapshot_id,
        found.not_before,
        found.at,
        change.category.value,
        change.source,
        change.name,
        change.action.value,
        None if change.direction is None else change.direction.value,
        _json.encode(change.before).decode(),
        _json.encode(change.after).decode(),
        found.subject,
        found.severity.value,
        found.reason,
        found.found_at,
        found.late,
        found.ignored_by,
    )


def _stored(row: Any) -> Stored:
    values = {name: _value.decode(row[name]) for name in ("before", "after")}
    found = Found(
        row["id"],
        row["host_id"],
        row["snapshot_id"],
        row["not_before"],
        row["at"],
        Change.from_json({**row, **values}),
        row["subject"],
        Outcome(row["severity"]),
        row["reason"],
        row["found_at"],
        row["late"],
        row["ignored_by"],
    )
    verdict = Verdict(row["verdict"], row["verdict_reason"], row["verdict_at"], row["verdict_by"], row["expires_at"])
    return Stored(found, verdict)
