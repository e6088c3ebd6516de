"""What is compared with what: hosts, hosts at a time, or snapshots."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from infrawatch_api.domain.inputs import InvalidInputError, is_host_id, parse_time


class Side(NamedTuple):
    """One side of a comparison: the host at the time (None: now), or the snapshot, where an id can be of either."""

    snapshot_id: UUID | None
    host_id: str
    time: datetime | None


def parse_side(field: str, text: str) -> Side:
    """What ``HOST``, ``HOST@TIME`` or the id of a snapshot names. Raises ``InvalidInputError``."""
    host_id, at, time = text.partition("@")
    if not is_host_id(host_id):
        raise InvalidInputError(field, "should be HOST, HOST@TIME with an RFC 3339 time, or the id of a snapshot")
    moment = parse_time(field, time) if at else None
    return Side(None if at else _uuid(host_id), host_id, moment)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
