"""Comparisons of two configurations."""

from datetime import datetime
from uuid import UUID

import msgspec

from infrawatch_api.contract.drift import Difference


class ComparedSnapshot(msgspec.Struct, frozen=True):
    """A side of a comparison: the snapshot, as in the list of snapshots, that was in force at ``time``. If not
    ``certain``, it was last seen before ``time``. Where a snapshot was asked for by its id, ``time`` is null.
    """

    id: UUID
    host_id: str
    timestamp: datetime
    confirmed_at: datetime
    until: datetime | None
    time: datetime | None
    certain: bool


class DriftComparison(msgspec.Struct, frozen=True):
    """What differs, from ``left`` to ``right``: what the right side has and the left has not was ``added``. ``counts``
    is how many differences there are of each category, filtered out or not. Severities are those of changes in time,
    and comparisons have none.
    """

    left: ComparedSnapshot
    right: ComparedSnapshot
    equal: bool
    counts: dict[str, int]
    differences: list[Difference]
