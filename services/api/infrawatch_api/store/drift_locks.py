"""What writers of drift's tables wait for one another at.

In this order: hosts, the ignore rules, baselines, rows of changes. The drift service takes them in the same order.
"""

from infrawatch_common.database import Connection
from infrawatch_common.drift.ignoring import IGNORES_LOCK

# Any number serves, as long as nothing else uses it.
_BASELINES_LOCK = 0x1F7A_0011

_SHARE_IGNORES = "SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 0))"
_HOLD_IGNORES = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))"
_HOLD_BASELINES = "SELECT pg_advisory_xact_lock($1)"


async def share_ignores(connection: Connection, wait: float | None = None) -> None:
    """Let nobody change the ignore rules before the transaction ends; many may. ``wait``: seconds, if it is given."""
    await connection.execute(_SHARE_IGNORES, IGNORES_LOCK, timeout=wait)


async def hold_ignores(connection: Connection, wait: float) -> None:
    """Let nobody write changes, nor other ignore rules, before the transaction ends."""
    await connection.execute(_HOLD_IGNORES, IGNORES_LOCK, timeout=wait)


async def hold_baselines(connection: Connection) -> None:
    """Let one transaction at a time write baselines."""
    await connection.execute(_HOLD_BASELINES, _BASELINES_LOCK)
