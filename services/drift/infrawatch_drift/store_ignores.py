"""Ignore rules, as they are while a transaction lasts."""

import json
from collections.abc import Callable, Sequence
from uuid import UUID

from infrawatch_common.database import Connection
from infrawatch_common.drift.changes import Category, Key
from infrawatch_common.drift.ignoring import Ignore, first_covering
from infrawatch_drift.store_hosts import read_tags

# Whoever makes or deletes a rule has the lock alone, and marks the changes that are there.
_SHARE = "SELECT pg_advisory_xact_lock_shared(hashtextextended('infrawatch drift: ignores', 0))"
_READ = "SELECT id, category, sources, names, selector FROM drift_ignores ORDER BY created_at, id"


async def read_covering(
    connection: Connection, host_ids: Sequence[str]
) -> Callable[[str], Callable[[Key], UUID | None]]:
    """For each of the hosts, which rule covers a change. No rule comes or goes before the transaction ends."""
    await connection.execute(_SHARE)
    rules = [
        Ignore(
            row["id"],
            None if row["category"] is None else Category(row["category"]),
            tuple(row["sources"]),
            tuple(row["names"]),
            json.loads(row["selector"]),
        )
        for row in await connection.fetch(_READ)
    ]
    if not rules:
        return lambda _host_id: lambda _key: None
    tags = await read_tags(connection, host_ids)

    def covering(host_id: str) -> Callable[[Key], UUID | None]:
        def of_key(key: Key) -> UUID | None:
            rule = first_covering(rules, key, tags.get(host_id, {}))
            return None if rule is None else rule.id

        return of_key

    return covering
