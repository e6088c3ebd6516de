"""Of what matches name, what there is."""

from collections.abc import Set as AbstractSet
from typing import Any
from uuid import UUID

from infrawatch_common.database import Connection

_UNKNOWN = """
SELECT id FROM unnest($1::text[]) AS named (id) WHERE NOT EXISTS (SELECT FROM hosts WHERE hosts.id = named.id)
"""
_UNKNOWN_ALERTS = """
SELECT id FROM unnest($1::uuid[]) AS named (id) WHERE NOT EXISTS (SELECT FROM alerts WHERE alerts.id = named.id)
"""


async def unknown(connection: Connection, host_ids: AbstractSet[str], alert_ids: AbstractSet[UUID]) -> frozenset[Any]:
    """Those of the ids that no host, or no alert rule, has."""
    found: set[Any] = set()
    for statement, ids in ((_UNKNOWN, host_ids), (_UNKNOWN_ALERTS, alert_ids)):
        if ids:
            found |= {row["id"] for row in await connection.fetch(statement, list(ids))}
    return frozenset(found)
