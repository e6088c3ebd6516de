"""Answers about many hosts at once."""

from datetime import datetime
from uuid import UUID

import msgspec

from infrawatch_api.contract.hosts import Spread


class HostSample(msgspec.Struct, frozen=True):
    """One sample of one of several hosts."""

    host_id: str
    id: UUID
    timestamp: datetime
    cpu: float
    memory: float
    disk: float
    uptime: int


class Point(msgspec.Struct, frozen=True):
    """The samples of a group from ``start`` for one bucket's width; without samples the count is 0, the value null."""

    start: datetime
    count: int
    value: Spread | None


class Series(msgspec.Struct, frozen=True):
    """A group's buckets. ``group`` is a host, or the value of a tag, null for hosts without that tag; ``hosts`` is how
    many are in it, and ``mean`` the mean of all their samples, by which groups are ranked.
    """

    group: str | None
    hosts: int
    mean: float
    points: list[Point]
