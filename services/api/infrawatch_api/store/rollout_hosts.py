"""Where each host is in rollouts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from infrawatch_api.domain.rollouts import RolloutState
from infrawatch_api.store.rollouts import Question
from infrawatch_common.database import Connection, columns

# $1 and $2: from when until before when; $3: tags; $4 to $8: the rollouts.
_STATES = """
WITH rollout AS (
    SELECT * FROM unnest($4::bytea[], $5::int[], $6::int[], $7::text[], $8::text[])
                  WITH ORDINALITY AS r (subject, fact_before, fact_after, before, after, number)),
host AS MATERIALIZED (SELECT id FROM hosts WHERE (retired IS NULL OR retired > $2) AND tags @> ALL ($3::jsonb[])),
seen AS (
    SELECT host.id AS host_id, snapshot.facts
    FROM host CROSS JOIN LATERAL (
        SELECT facts FROM snapshots WHERE host_id = host.id AND timestamp < $2
        ORDER BY timestamp DESC, id DESC LIMIT 1) AS snapshot),
moved AS (
    SELECT number, host_id, max(at) AS changed_at
    FROM rollout JOIN drift_changes AS change USING (subject)
    WHERE at >= $1 AND at < $2 AND action = 'changed' AND NOT hidden
      AND change.before #>> '{}' = rollout.before AND change.after #>> '{}' = rollout.after
      AND host_id IN (SELECT id FROM host)
    GROUP BY 1, 2),
holds AS (
    SELECT number, host_id, arrived
    FROM (SELECT host_id, unnest(facts) AS fact FROM seen) AS each
    JOIN (SELECT number, fact_before AS fact, FALSE AS arrived FROM rollout
          UNION ALL SELECT number, fact_after, TRUE FROM rollout) AS end_of USING (fact)),
stands AS (
    SELECT number, host_id, changed_at,
           CASE WHEN changed_at IS NULL THEN CASE WHEN arrived THEN 'already' ELSE 'left' END
                WHEN arrived THEN 'done' WHEN NOT arrived THEN 'reverted' ELSE 'moved_on' END AS state
    FROM moved FULL JOIN holds USING (number, host_id))
"""
_NUMBERS = "SELECT number::int - 1, state, count(*)::int FROM stands GROUP BY 1, 2"
_TALLY = _STATES + _NUMBERS
_OF_ONE = """
FROM stands WHERE host_id COLLATE "C" > $9 AND ($10::text IS NULL OR state = $10)
"""
_STANDING = """
SELECT host_id, state, changed_at, CASE state
    WHEN 'done' THEN $8[1] WHEN 'already' THEN $8[1]
    WHEN 'left' THEN $7[1] WHEN 'reverted' THEN $7[1]
    ELSE (SELECT value FROM facts JOIN seen ON id = ANY (seen.facts)
          WHERE facts.subject = $4[1] AND seen.host_id = stands.host_id) END
"""
_IN_ORDER = 'ORDER BY host_id COLLATE "C" LIMIT $11'
_PAGE = _STATES + _STANDING + _OF_ONE + _IN_ORDER
_COUNTED, _OF = "SELECT count(*) FROM (SELECT", "LIMIT $11) AS counted"
_COUNT = _STATES + _COUNTED + _OF_ONE + _OF


class Asked(NamedTuple):
    """A rollout: its subject, the facts before and after, and their values."""

    subject: bytes
    fact_before: int
    fact_after: int
    before: str
    after: str


class Standing(NamedTuple):
    """Where a host is, when it last made the change in this time, and what it has at the end."""

    host_id: str
    state: RolloutState
    changed_at: datetime | None
    value: str | None


async def tally(connection: Connection, question: Question, asked: Sequence[Asked]) -> list[Mapping[RolloutState, int]]:
    """How many hosts are in which state, of each rollout."""
    tallies: list[dict[RolloutState, int]] = [{} for _ in asked]
    if asked:
        for number, state, hosts in await connection.fetch(_TALLY, *_arguments(question, asked)):
            tallies[number][RolloutState(state)] = hosts
    return list(tallies)


async def page(
    connection: Connection, question: Question, asked: Asked, state: RolloutState | None, after: str, limit: int
) -> list[Standing]:
    """Hosts of a rollout by id, from the one after ``after``."""
    rows = await connection.fetch(_PAGE, *_arguments(question, [asked]), after, state, limit)
    return [Standing(host_id, RolloutState(found), at, value) for host_id, found, at, value in rows]


async def count(
    connection: Connection, question: Question, asked: Asked, state: RolloutState | None, after: str, limit: int
) -> int:
    """How many there are, or ``limit`` if there are more."""
    return int(await connection.fetchval(_COUNT, *_arguments(question, [asked]), after, state, limit))


def _arguments(question: Question, asked: Sequence[Asked]) -> tuple[Any, ...]:
    return *question.who, *columns(asked)
