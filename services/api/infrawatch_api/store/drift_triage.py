"""Verdicts on changes, and the baselines that they make and end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from infrawatch_api.domain.drift_triage import TriageVerdict
from infrawatch_api.store.drift_locks import hold_baselines, share_ignores
from infrawatch_common.database import Connection

# In one order, so that verdicts on several changes at once and a drift service that corrects them do not lock one
# another out.
_LOCK = "SELECT id, host_id FROM drift_changes WHERE id = ANY ($1) ORDER BY id FOR UPDATE"
_LIKE = """
FROM drift_changes AS model JOIN drift_changes AS change
    ON change.subject = model.subject AND change.before = model.before AND change.after = model.after
WHERE model.id = $1 AND change.verdict = 'open' AND NOT change.hidden
"""
_COUNT_LIKE = "SELECT count(*) AS changes, count(DISTINCT change.host_id) AS hosts" + _LIKE
_IDS_LIKE = "SELECT change.id" + _LIKE
_FOUND = "SELECT id, host_id FROM drift_changes WHERE id = ANY ($1)"
_JUDGE = """
UPDATE drift_changes SET verdict = $2, verdict_reason = $3, verdict_at = $4, verdict_by = $5, expires_at = $6
WHERE id = ANY ($1)
"""
_NOTE = """
INSERT INTO drift_verdicts (change_id, host_id, verdict, reason, at, by, expires_at)
SELECT id, host_id, verdict, verdict_reason, verdict_at, verdict_by, expires_at FROM drift_changes WHERE id = ANY ($1)
"""
# Of several changes of the same thing on a host the latest counts. One that is accepted after a later one was does not
# take its place: lists are worked off from the newest.
_TO_MAKE = """
SELECT id FROM (
    SELECT DISTINCT ON (host_id, subject) * FROM drift_changes
    WHERE id = ANY ($1) AND category <> 'source' ORDER BY host_id, subject, at DESC, id DESC
) AS latest
WHERE NOT EXISTS (
    SELECT FROM drift_baselines AS baseline JOIN drift_changes AS later USING (host_id, subject)
    WHERE (host_id, subject) = (latest.host_id, latest.subject) AND ended_at IS NULL
      AND (baseline.expires_at IS NULL OR baseline.expires_at > $2)
      AND (later.at, later.id) > (latest.at, latest.id)
      AND baseline.value IS NOT DISTINCT FROM later.after #>> '{}')
"""
_END = """
UPDATE drift_baselines AS baseline
SET ended_at = least($2, baseline.expires_at),
    ended_by = CASE WHEN baseline.expires_at <= $2 THEN NULL ELSE $3::uuid END
"""
_END_REPLACED = (
    _END
    + """
FROM drift_changes AS change
WHERE change.id = ANY ($1) AND baseline.ended_at IS NULL
  AND (baseline.host_id, baseline.subject) = (change.host_id, change.subject)
"""
)
# A change that is found anew may have another id.
_END_MADE = (
    _END_REPLACED
    + """
  AND (baseline.change_id = change.id
       OR baseline.change_id IS NOT NULL AND baseline.value IS NOT DISTINCT FROM change.after #>> '{}'
          AND NOT EXISTS (SELECT FROM drift_changes AS made WHERE made.id = baseline.change_id))
"""
)
_MAKE = """
INSERT INTO drift_baselines
    (host_id, category, source, name, subject, value, change_id, reason, accepted_at, accepted_by, expires_at)
SELECT host_id, category, source, name, subject, after #>> '{}', id, verdict_reason, verdict_at, verdict_by, expires_at
FROM drift_changes WHERE id = ANY ($1)
RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and by whom and why it is passed."""

    verdict: TriageVerdict
    reason: str
    at: datetime
    by: UUID
    expires_at: datetime | None


class Judged(NamedTuple):
    """The ids of changes that a verdict was passed on with their hosts, and the baselines that it made."""

    changes: dict[UUID, str]
    baselines: list[UUID]


async def lock_verdicts(connection: Connection) -> None:
    """Let one transaction at a time pass verdicts."""
    await share_ignores(connection)
    await hold_baselines(connection)


async def hosts_of(connection: Connection, change_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Those of the changes that there are, with their hosts."""
    return {row["id"]: row["host_id"] for row in await connection.fetch(_FOUND, change_ids)}


async def count_like(connection: Connection, change_id: UUID) -> tuple[int, int]:
    """How many open changes that are not hidden are like this one, itself among them, and on how many hosts."""
    [row] = await connection.fetch(_COUNT_LIKE, change_id)
    return row["changes"], row["hosts"]


async def ids_like(connection: Connection, change_id: UUID) -> list[UUID]:
    """The ids of those changes."""
    return [row["id"] for row in await connection.fetch(_IDS_LIKE, change_id)]


async def judge(connection: Connection, change_ids: Sequence[UUID], judgement: Judgement) -> Judged:
    """Pass a verdict on those of the changes that there are, in a transaction that has ``lock_verdicts``.

    What is accepted becomes what the host may have; any other verdict ends that again.
    """
    found = {row["id"]: row["host_id"] for row in await connection.fetch(_LOCK, change_ids)}
    ids, told = list(found), judgement
    await connection.execute(_JUDGE, ids, told.verdict, told.reason, told.at, told.by, told.expires_at)
    await connection.execute(_NOTE, ids)
    if told.verdict is not TriageVerdict.ACCEPTED:
        await connection.execute(_END_MADE, ids, told.at, told.by)
        return Judged(found, [])
    making = [row["id"] for row in await connection.fetch(_TO_MAKE, ids, told.at)]
    await connection.execute(_END_REPLACED, making, told.at, told.by)
    return Judged(found, [row["id"] for row in await connection.fetch(_MAKE, making)])
