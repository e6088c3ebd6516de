"""The audit log, which only grows."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from infrawatch_api.contract.records import AuditEntry
from infrawatch_api.domain.audit import Action
from infrawatch_common.database import Connection

_WRITE = """
INSERT INTO audit_log (at, actor, ip, action, target, detail) VALUES ($1, $2, $3::inet, $4, $5, $6::jsonb)
"""

# The latest failures are enough to tell when an attempt is judged again.
_FAILURES = """
SELECT at FROM audit_log
WHERE lower(actor) = lower($1) AND action = $2 AND at > $3 AND ip <<= $4::inet
ORDER BY at DESC LIMIT $5
"""

_PAGE = """
SELECT id, at, actor, host(ip) AS ip, action, target, detail FROM audit_log
WHERE $1::bigint IS NULL OR id < $1
ORDER BY id DESC LIMIT $2
"""


async def write(
    connection: Connection,
    action: Action,
    *,
    at: datetime,
    actor: str,
    ip: str | None,
    target: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Note an action; in a transaction, it is noted when it has happened."""
    await connection.execute(_WRITE, at, actor, ip, action.value, target, json.dumps(dict(detail or {})))


async def failures(
    connection: Connection, action: Action, *, actor: str, network: str, since: datetime, limit: int
) -> list[datetime]:
    """When the latest ``limit`` failures were that an actor had from a network."""
    rows = await connection.fetch(_FAILURES, actor, action.value, since, network, limit)
    return [row["at"] for row in rows]


async def page(connection: Connection, before: int | None, limit: int) -> list[AuditEntry]:
    """Entries with a smaller id than ``before``, newest first."""
    rows = await connection.fetch(_PAGE, before, limit)
    return [AuditEntry(**{**row, "detail": json.loads(row["detail"])}) for row in rows]
