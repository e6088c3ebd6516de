"""Rows of ``drift_changes``, and the events that tell other systems of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from infrawatch_common.database import Connection, columns
from infrawatch_common.drift.changes import Change
from infrawatch_common.drift.severity import Outcome
from infrawatch_common.outbox import Encoded, add_events, encoded
from infrawatch_drift.domain.findings import Found, Revision, Stored, Verdict, event

SERVICE = "drift"

# Whoever judges one of them waits, and then finds what became of it.
_READ = """
SELECT id, host_id, snapshot_id, not_before, at, category, source, name, action, direction, before, after, subject,
       severity, reason, found_at, late, ignored_by, verdict, verdict_reason, verdict_at, verdict_by, expires_at
FROM drift_changes WHERE snapshot_id = ANY ($1) ORDER BY id FOR UPDATE
"""
_DELETE = "DELETE FROM drift_changes WHERE id = ANY ($1)"
# As one JSON text: arrays of so many columns take asyncpg a tenth of all that drift does with a snapshot.
_INSERT = """
INSERT INTO drift_changes (id, host_id, snapshot_id, not_before, at, category, source, name, action, direction,
                           before, after, subject, severity, reason, found_at, late, ignored_by,
                           verdict, verdict_reason, verdict_at, verdict_by, expires_at)
SELECT id, host_id, snapshot_id, not_before, at, category, source, name, action, direction,
       coalesce(before, 'null'), coalesce(after, 'null'), decode(subject, 'hex'), severity, reason, found_at, late,
       ignored_by, coalesce(verdict, 'open'), verdict_reason, verdict_at, verdict_by, expires_at
FROM json_to_recordset($1) AS new (id UUID, host_id TEXT, snapshot_id UUID, not_before TIMESTAMPTZ, at TIMESTAMPTZ,
                                   category TEXT, source TEXT, name TEXT, action TEXT, direction TEXT, before JSONB,
                                   after JSONB, subject TEXT, severity TEXT, reason TEXT, found_at TIMESTAMPTZ,
                                   late BOOLEAN, ignored_by UUID, verdict TEXT, verdict_reason TEXT,
                                   verdict_at TIMESTAMPTZ, verdict_by UUID, expires_at TIMESTAMPTZ)
"""
_RENAME = """
UPDATE drift_verdicts SET change_id = new.id FROM unnest($1::uuid[], $2::uuid[]) AS new (old_id, id)
WHERE change_id = new.old_id
"""
_json = msgspec.json.Encoder()
_value = msgspec.json.Decoder(str | dict[str, str] | None)


class Written(NamedTuple):
    """Revisions as they are handed to the database; ``added`` is a JSON array of rows."""

    removed: Sequence[UUID] = ()
    added: str | None = None
    renamed: Sequence[tuple[UUID, UUID]] = ()
    told: Sequence[Encoded] = ()


async def read(connection: Connection, snapshot_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[Stored]]:
    """The rows of some snapshots, by snapshot; nobody else changes them before the transaction ends."""
    found: dict[UUID, list[Stored]] = defaultdict(list)
    for row in await connection.fetch(_READ, snapshot_ids) if snapshot_ids else ():
        found[row["snapshot_id"]].append(_stored(row))
    return found


def written(revisions: Sequence[Revision]) -> Written:
    """What becomes of rows, ready to be stored."""
    added = [_object(found) for revision in revisions for found in revision.added]
    added += [_judged(row) for revision in revisions for row in revision.judged]
    return Written(
        [identifier for revision in revisions for identifier in revision.removed],
        _json.encode(added).decode() if added else None,
        [ids for revision in revisions for ids in revision.renamed],
        [encoded(one.found.host_id, event(one)) for revision in revisions for one in revision.told],
    )


async def keep(connection: Connection, changes: Written, topic: str) -> None:
    """Store what has become of rows, and have it published on ``topic``."""
    if changes.removed:
        await connection.execute(_DELETE, changes.removed)
    if changes.added is not None:
        await connection.execute(_INSERT, changes.added)
    if changes.renamed:
        await connection.execute(_RENAME, *columns(changes.renamed))
    await add_events(connection, SERVICE, topic, changes.told)


def _object(found: Found) -> dict[str, object]:
    change = found.change
    return {
        "id": found.id,
        "host_id": found.host_id,
        "snapshot_id": found.snapshot_id,
        "not_before": found.not_before,
        "at": found.at,
        "category": change.category,
        "source": change.source,
        "name": change.name,
        "action": change.action,
        "direction": change.direction,
        "before": change.before,
        "after": change.after,
        "subject": found.subject.hex(),
        "severity": found.severity,
        "reason": found.reason,
        "found_at": found.found_at,
        "late": found.late,
        "ignored_by": found.ignored_by,
    }


def _judged(row: Stored) -> dict[str, object]:
    verdict = row.verdict
    return {
        **_object(row.found),
        "verdict": verdict.verdict,
        "verdict_reason": verdict.reason,
        "verdict_at": verdict.at,
        "verdict_by": verdict.by,
        "expires_at": verdict.expires_at,
    }


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
