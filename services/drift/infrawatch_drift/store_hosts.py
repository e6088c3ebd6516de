"""Hosts that have snapshots: registered once, and held by whoever writes what is theirs."""

import json
from collections.abc import Iterable, Sequence

from infrawatch_common.database import Connection, columns
from infrawatch_common.drift.reading import Snapshot
from infrawatch_common.hosts import NewHost, register_hosts

# Every writer takes rows of hosts, and then of drift_hosts, in the order of ids: unordered ones deadlock.
_ADD = """
INSERT INTO drift_hosts (host_id) SELECT host_id FROM unnest($1::text[]) AS new (host_id) ORDER BY host_id
ON CONFLICT DO NOTHING
RETURNING host_id
"""
# Ingest knows of a host no more than its id; what an operator has named stays as it is.
_DESCRIBE = """
UPDATE hosts SET name = described.name, tags = described.tags
FROM (SELECT hosts.id, new.name, new.tags
      FROM unnest($1::text[], $2::text[], $3::jsonb[]) AS new (id, name, tags) JOIN hosts USING (id)
      WHERE hosts.name = hosts.id AND hosts.tags = '{}'
      ORDER BY hosts.id FOR NO KEY UPDATE OF hosts) AS described
WHERE hosts.id = described.id
"""
_HOLD = "SELECT id FROM hosts WHERE id = ANY ($1) ORDER BY id FOR KEY SHARE"
_TAKE = "SELECT host_id FROM drift_hosts WHERE host_id = ANY ($1) ORDER BY host_id FOR UPDATE"
_TAGS = "SELECT id, tags FROM hosts WHERE id = ANY ($1)"


class HostsGoneError(Exception):
    """A host was deleted since this process registered it."""


class KnownHosts:
    """Hosts that this process has registered."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def forget(self) -> None:
        """Register all of them again."""
        self._known.clear()

    async def register(self, connection: Connection, snapshots: Iterable[Snapshot]) -> None:
        """Make hosts that are not there. With its first snapshot a host gets its name and tags, in one transaction."""
        new = {snapshot.host_id: snapshot for snapshot in snapshots if snapshot.host_id not in self._known}
        if not new:
            return
        async with connection.transaction():
            await register_hosts(connection, [NewHost(one.host_id, one.name, one.tags) for one in new.values()])
            first = [new[row["host_id"]] for row in await connection.fetch(_ADD, list(new))]
            if first:
                described = [(one.host_id, one.name, json.dumps(dict(one.tags))) for one in first]
                await connection.execute(_DESCRIBE, *columns(described))
        self._known.update(new)

    async def hold(self, connection: Connection, host_ids: Sequence[str]) -> None:
        """Keep hosts from being deleted, and others from writing snapshots of theirs, until the transaction ends.

        Raises ``HostsGoneError`` if one is not there.
        """
        held = len(await connection.fetch(_HOLD, host_ids)), len(await connection.fetch(_TAKE, host_ids))
        if held != (len(host_ids), len(host_ids)):
            self._known.difference_update(host_ids)
            raise HostsGoneError


async def read_tags(connection: Connection, host_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """The tags of hosts, by id."""
    return {row["id"]: json.loads(row["tags"]) for row in await connection.fetch(_TAGS, host_ids)}
