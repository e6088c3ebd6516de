"""Hosts and their samples."""

from datetime import datetime
from uuid import UUID

import msgspec
from pydantic import model_validator

from infrawatch_api.contract.common import Body, Name, Tags


class Host(msgspec.Struct, frozen=True):
    """A host; ``last_seen`` is the time of its latest sample, up to half a minute old."""

    id: str
    name: str
    registered: datetime
    tags: dict[str, str]
    last_seen: datetime | None
    retired: datetime | None


class HostChange(Body):
    """What to change about a host; ``tags`` replace all that it has."""

    name: Name | None = None
    tags: Tags | None = None

    @model_validator(mode="after")
    def _something(self) -> "HostChange":
        if self.name is None and self.tags is None:
            msg = "should name at least one of name and tags"
            raise ValueError(msg)
        return self


class Sample(msgspec.Struct, frozen=True):
    """One sample: percent of cpu, memory and the fullest filesystem, and seconds since boot."""

    id: UUID
    timestamp: datetime
    cpu: float
    memory: float
    disk: float
    uptime: int


class Spread(msgspec.Struct, frozen=True):
    """The least, mean and greatest value of a bucket."""

    min: float
    avg: float
    max: float


class Bucket(msgspec.Struct, frozen=True):
    """The samples from ``start`` for one bucket's width. Without samples the count is 0 and the values are null."""

    start: datetime
    count: int
    cpu: Spread | None
    memory: Spread | None
    disk: Spread | None
    uptime: int | None


class LatestSample(msgspec.Struct, frozen=True):
    """A host and the numbers of its latest sample, all null when it has none."""

    host_id: str
    name: str
    last_seen: datetime | None
    timestamp: datetime | None
    cpu: float | None
    memory: float | None
    disk: float | None
    uptime: int | None
