"""Host registration: a record of an unknown host creates it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from infrawatch_common.database import Connection

_REGISTER = """
INSERT INTO hosts (id, name, tags)
SELECT id, name, tags FROM unnest($1::text[], $2::text[], $3::jsonb[]) AS new (id, name, tags)
ORDER BY id -- one order for all writers: unordered ones deadlock
ON CONFLICT (id) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class NewHost:
    """A host as it is first registered; ``name`` falls back to the id."""

    id: str
    name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


async def register_hosts(connection: Connection, hosts: Sequence[NewHost]) -> None:
    """Create the hosts that do not exist yet and leave the others as they are.

    Call it in a transaction of its own, before the one that writes their data: a writer that holds new hosts
    while it makes a new chunk of ``metrics`` deadlocks with another one that does the same.
    """
    await connection.execute(
        _REGISTER,
        [host.id for host in hosts],
        [host.name or host.id for host in hosts],
        [json.dumps(dict(host.tags)) for host in hosts],
    )
