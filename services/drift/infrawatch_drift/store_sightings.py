"""When hosts were seen with which content: what is new, and where it belongs."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from infrawatch_common.database import Connection, Pool, columns
from infrawatch_common.drift.reading import Snapshot
from infrawatch_common.events import Reason, Rejection
from infrawatch_common.jobs import alone
from infrawatch_common.kafka import Record
from infrawatch_drift.domain.timeline import Place, Run, Sighting

Judged = tuple[Snapshot, Record]

# In the order of ids, so that writers of other hosts who send the same ids wait for each other in turn.
_ADD = """
INSERT INTO snapshot_sightings (id, host_id, timestamp, digest)
SELECT id, host_id, timestamp, digest
FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::bytea[]) AS new (id, host_id, timestamp, digest)
WHERE NOT EXISTS (SELECT FROM snapshots WHERE snapshots.id = new.id)
ORDER BY id
ON CONFLICT DO NOTHING
RETURNING id
"""
# The sightings of a stored row may be forgotten, but its id is that of the first.
_KNOWN = """
SELECT id, host_id, timestamp, digest FROM snapshot_sightings WHERE id = ANY ($1)
UNION ALL
SELECT id, host_id, timestamp, digest FROM snapshots WHERE id = ANY ($1)
"""
_HEADS = """
SELECT h.host_id, r.timestamp, r.id, r.digest, r.confirmed_at
FROM unnest($1::text[]) AS h (host_id) CROSS JOIN LATERAL (
    SELECT timestamp, id, digest, confirmed_at FROM snapshots WHERE host_id = h.host_id
    ORDER BY timestamp DESC, id DESC LIMIT 1) AS r
"""
# The runs before and after each sighting, and the known sightings next to it between their beginnings.
_AROUND = """
SELECT b.timestamp AS b_timestamp, b.id AS b_id, b.digest AS b_digest, b.confirmed_at AS b_confirmed_at,
       a.timestamp AS a_timestamp, a.id AS a_id, a.digest AS a_digest, a.confirmed_at AS a_confirmed_at,
       e.timestamp AS e_timestamp, e.id AS e_id, e.digest AS e_digest,
       l.timestamp AS l_timestamp, l.id AS l_id, l.digest AS l_digest
FROM unnest($1::text[], $2::timestamptz[], $3::uuid[]) WITH ORDINALITY AS new (host_id, timestamp, id, number)
LEFT JOIN LATERAL (
    SELECT timestamp, id, digest, confirmed_at FROM snapshots AS r
    WHERE r.host_id = new.host_id AND r.timestamp <= new.timestamp AND (r.timestamp, r.id) <= (new.timestamp, new.id)
    ORDER BY r.timestamp DESC, r.id DESC LIMIT 1) AS b ON true
LEFT JOIN LATERAL (
    SELECT timestamp, id, digest, confirmed_at FROM snapshots AS r
    WHERE r.host_id = new.host_id AND r.timestamp >= new.timestamp AND (r.timestamp, r.id) > (new.timestamp, new.id)
    ORDER BY r.timestamp, r.id LIMIT 1) AS a ON true
LEFT JOIN LATERAL (
    SELECT timestamp, id, digest FROM snapshot_sightings AS s
    WHERE s.host_id = new.host_id AND s.timestamp <= new.timestamp AND (s.timestamp, s.id) < (new.timestamp, new.id)
      AND s.timestamp >= b.timestamp AND (s.timestamp, s.id) > (b.timestamp, b.id)
    ORDER BY s.timestamp DESC, s.id DESC LIMIT 1) AS e ON true
LEFT JOIN LATERAL (
    SELECT timestamp, id, digest FROM snapshot_sightings AS s
    WHERE s.host_id = new.host_id AND s.timestamp >= new.timestamp AND (s.timestamp, s.id) > (new.timestamp, new.id)
      AND (a.id IS NULL OR (s.timestamp, s.id) < (a.timestamp, a.id))
    ORDER BY s.timestamp, s.id LIMIT 1) AS l ON true
ORDER BY new.number
"""
# What lies between the first and the last sighting of a run says nothing that the row does not say.
_PRUNE = """
DELETE FROM snapshot_sightings WHERE id IN (
    SELECT s.id FROM snapshot_sightings AS s
    WHERE s.timestamp < $1 AND s.timestamp < (
        SELECT r.confirmed_at FROM snapshots AS r WHERE r.host_id = s.host_id AND r.timestamp < s.timestamp
        ORDER BY r.timestamp DESC, r.id DESC LIMIT 1)
    LIMIT $2)
"""


class Added(NamedTuple):
    """What became of snapshots: new sightings, how many were known already, and what is not taken."""

    fresh: Sequence[Judged]
    duplicates: int
    refused: Sequence[tuple[Rejection, Record]]


class Sightings:
    """Old sightings."""

    def __init__(self, pool: Pool, timeout: float = 60.0) -> None:
        self._pool = pool
        self._timeout = timeout

    async def prune(self, before: datetime, most: int) -> int:
        """Forget at most so many sightings that are older than ``before`` and lie within a run; how many there were.

        The first and the last of each run stay, so that rows remain what their sightings say. Raises ``TakenError``
        while another replica is at it.
        """
        async with alone(self._pool, "drift", "sighting retention") as connection:
            status = await connection.execute(_PRUNE, before, most, timeout=self._timeout)
        return int(status.rpartition(" ")[2])


async def add(connection: Connection, judged: Iterable[Judged]) -> Added:
    """Store the sightings that are new. One id stands for one record: whoever uses it for another is refused."""
    firsts: dict[UUID, Judged] = {}
    again: list[Judged] = []
    for one in judged:
        if one[0].id in firsts:
            again.append(one)
        else:
            firsts[one[0].id] = one
    rows = [(one.id, one.host_id, one.timestamp, one.digest) for one, _ in firsts.values()]
    new = {row["id"] for row in await connection.fetch(_ADD, *columns(rows))}
    known = {identifier: _said(one) for identifier, (one, _) in firsts.items()}
    old = [identifier for identifier in firsts if identifier not in new]
    if old:
        known |= {row["id"]: tuple(row)[1:] for row in await connection.fetch(_KNOWN, old)}
        again += [firsts[identifier] for identifier in old]
    repeated = [one for one in again if known[one[0].id] != _said(one[0])]
    return Added(
        [one for identifier, one in firsts.items() if identifier in new],
        len(again) - len(repeated),
        [(_repeated(snapshot), record) for snapshot, record in repeated],
    )


async def places(connection: Connection, fresh: Iterable[Judged]) -> Mapping[str, Sequence[Place]]:
    """Where new sightings, which have been added, belong among what is known of their hosts, by host."""
    by_host: dict[str, list[Snapshot]] = defaultdict(list)
    for snapshot, _ in fresh:
        by_host[snapshot.host_id].append(snapshot)
    heads = {row["host_id"]: Run(*tuple(row)[1:]) for row in await connection.fetch(_HEADS, list(by_host))}
    found: dict[str, list[Place]] = {}
    late: list[Snapshot] = []
    for host_id, snapshots in by_host.items():
        head = heads.get(host_id)
        if head is None or all(snapshot.timestamp > head.confirmed_at for snapshot in snapshots):
            found[host_id] = [Place(_sighting(snapshot), head, None) for snapshot in snapshots]
        else:
            late += snapshots
            found[host_id] = []
    if late:
        asked = columns([(snapshot.host_id, snapshot.timestamp, snapshot.id) for snapshot in late])
        for snapshot, row in zip(late, await connection.fetch(_AROUND, *asked), strict=True):
            found[snapshot.host_id].append(_place(snapshot, row))
    return found


def _place(snapshot: Snapshot, row: Any) -> Place:
    values = tuple(row)
    before, after, earlier, later = values[:4], values[4:8], values[8:11], values[11:]
    return Place(
        _sighting(snapshot),
        None if before[1] is None else Run(*before),
        None if after[1] is None else Run(*after),
        tuple(Sighting(*beside) for beside in (earlier, later) if beside[1] is not None),
    )


def _sighting(snapshot: Snapshot) -> Sighting:
    return Sighting(snapshot.timestamp, snapshot.id, snapshot.digest)


def _said(snapshot: Snapshot) -> tuple[Any, ...]:
    return snapshot.host_id, snapshot.timestamp, snapshot.digest


def _repeated(snapshot: Snapshot) -> Rejection:
    return Rejection(Reason.REPEATED_ID, "its id is that of another record", snapshot.host_id)
