"""Which hosts have something else than most of their group, since when, and who has accepted it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from infrawatch_common.database import Connection, columns

# $1: the snapshots of a group; $2 and $3: facts, and the number of the entry that each is a value of; $4 and $5: of
# each entry the fact of the majority and the number of its source; $6 and $7: hosts, and the number of a source that
# each does not report.
_FIND = """
WITH seen AS (SELECT * FROM unnest($1::uuid[]) WITH ORDINALITY AS s (id, host)),
has AS MATERIALIZED (
    SELECT host, entry, fact
    FROM (SELECT host, unnest(facts) AS fact FROM seen JOIN snapshots USING (id)) AS each
    JOIN unnest($2::int[], $3::int[]) AS value (fact, entry) USING (fact)),
entries AS (SELECT * FROM unnest($4::int[], $5::int[]) WITH ORDINALITY AS e (majority, source, entry))
SELECT entry::int - 1, host::int - 1, fact
FROM entries CROSS JOIN seen LEFT JOIN has USING (entry, host)
WHERE fact IS DISTINCT FROM majority AND (fact IS NOT NULL OR NOT EXISTS (
    SELECT FROM unnest($6::int[], $7::int[]) AS silent (host, source)
    WHERE silent.host = seen.host AND silent.source = entries.source))
ORDER BY 1, 2
"""
# Since when what is ``asked`` about is as it is. A change of a whole source, which holds its packages, counts too.
SINCE = """
SELECT coalesce(
    greatest((SELECT max(at) FROM drift_changes
              WHERE host_id = asked.host_id AND subject = asked.subject AND at <= $1),
             (SELECT max(at) FROM drift_changes
              WHERE host_id = asked.host_id AND subject = asked.source AND at <= $1)),
    (SELECT min(timestamp) FROM snapshots WHERE host_id = asked.host_id)) AS since, asked.*
"""
_ACCEPTED = """
, accepted_at, email, expires_at, reason
FROM unnest($2::text[], $3::bytea[], $4::bytea[], $5::text[]) WITH ORDINALITY
     AS asked (host_id, subject, source, value, place)
LEFT JOIN LATERAL (
    SELECT accepted_at, accepted_by, expires_at, reason FROM drift_baselines
    WHERE host_id = asked.host_id AND subject = asked.subject AND value IS NOT DISTINCT FROM asked.value
      AND accepted_at <= $1 AND (expires_at IS NULL OR expires_at > $1) AND (ended_at IS NULL OR ended_at > $1)
    ORDER BY accepted_at DESC LIMIT 1) AS baseline ON TRUE
LEFT JOIN users ON users.id = accepted_by
ORDER BY place
"""
_DETAIL = SINCE + _ACCEPTED
_DETAILS = ("since", "accepted_at", "email", "expires_at", "reason")


class Entry(NamedTuple):
    """A subject in a group: the fact of its majority, the number of its source, and the facts that are its values."""

    majority: int | None
    source: int
    facts: Sequence[int]


class Silent(NamedTuple):
    """A host of the group, by its place, that does not report a source, by its number."""

    host: int
    source: int


class Held(NamedTuple):
    """What a host has of a subject; ``source`` is the subject of its whole source; None is absence."""

    host_id: str
    subject: bytes
    source: bytes
    value: str | None


class Detail(NamedTuple):
    """Since when a host has what it has, and, if that is accepted: when, by whom (email), until when and why."""

    since: datetime
    accepted_at: datetime | None
    accepted_by: str | None
    accepted_until: datetime | None
    reason: str | None


async def find(
    connection: Connection, snapshots: Sequence[UUID], entries: Sequence[Entry], silent: Sequence[Silent]
) -> list[tuple[int, int, int | None]]:
    """Which entry's majority which host does not have, by their places, and the fact that it has instead."""
    values = [(fact, number) for number, entry in enumerate(entries, 1) for fact in entry.facts]
    rows = await connection.fetch(
        _FIND,
        list(snapshots),
        *(columns(values) if values else ([], [])),
        [entry.majority for entry in entries],
        [entry.source for entry in entries],
        [one.host + 1 for one in silent],
        [one.source for one in silent],
    )
    return [(entry, host, fact) for entry, host, fact in rows]


async def details(connection: Connection, at: datetime, held: Sequence[Held]) -> list[Detail]:
    """What is known ``at`` that time of each, in the same order."""
    if not held:
        return []
    arguments: list[Any] = columns(held)
    rows = await connection.fetch(_DETAIL, at, *arguments)
    return [Detail(*(row[name] for name in _DETAILS)) for row in rows]
