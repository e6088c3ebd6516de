"""Gaps that samples may still fill, as the database has them: one document for each host that has some."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from infrawatch_alerting.domain.fleet import StoredHistory
from infrawatch_common.alerts.engine import Rhythm, State, fired_at_of, state_of
from infrawatch_common.alerts.history import Gap, History
from infrawatch_common.database import Connection

_LOAD = "SELECT host_id, history FROM alert_histories"
_KEEP = """
INSERT INTO alert_histories (host_id, history)
SELECT host_id, history FROM unnest($1::text[], $2::jsonb[]) AS new (host_id, history) ORDER BY host_id
ON CONFLICT (host_id) DO UPDATE SET history = excluded.history
"""
_DROP = "DELETE FROM alert_histories WHERE host_id = ANY ($1)"


class _Document(msgspec.Struct):
    usual: timedelta
    distances: tuple[timedelta, ...]
    gaps: list[Gap]
    at: datetime | None
    states: dict[UUID, tuple[datetime, datetime | None]]  # since, and when it fired
    idle: timedelta


async def load(connection: Connection) -> list[StoredHistory]:
    """The histories of all hosts."""
    return [StoredHistory(row["host_id"], decode(row["history"])) for row in await connection.fetch(_LOAD)]


async def keep(connection: Connection, histories: Sequence[StoredHistory]) -> None:
    """Keep histories as they are now; None is dropped."""
    kept = [(one.host_id, encode(one.history)) for one in histories if one.history is not None]
    dropped = [one.host_id for one in histories if one.history is None]
    if kept:
        await connection.execute(_KEEP, [host_id for host_id, _ in kept], [document for _, document in kept])
    if dropped:
        await connection.execute(_DROP, dropped)


def encode(history: History) -> str:
    """A history as JSON."""
    document = _Document(
        usual=history.rhythm.usual,
        distances=history.rhythm.distances,
        gaps=history.gaps,
        at=history.at,
        states={
            alert_id: (state.since, fired_at_of(state))
            for alert_id, state in history.states.items()
            if state is not None
        },
        idle=history.idle,
    )
    return msgspec.json.encode(document).decode()


def decode(document: str) -> History:
    """The history that was encoded."""
    read = msgspec.json.decode(document, type=_Document)
    states: dict[UUID, State] = {alert_id: state_of(*times) for alert_id, times in read.states.items()}
    return History(Rhythm(read.usual, read.distances), read.gaps, read.at, states, read.idle)
