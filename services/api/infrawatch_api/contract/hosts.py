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


class HostProblem(msgspec.Struct, frozen=True):
    """Something that is wrong with what a host reports: clone, clock_ahead, clock_behind, late, records_missing or
    records_refused, with what it means in words.
    """

    kind: str
    detail: str
    since: datetime | None


class HostGap(msgspec.Struct, frozen=True):
    """A stretch without records, by the host's clock. ``missing`` records of it have not come; null where the agent was
    not running. The kind is back_filled, waiting (they may still come), lost, or agent_not_running.
    """

    start: datetime
    end: datetime
    kind: str
    missing: int | None
    instance: UUID | None


class HostStatus(msgspec.Struct, frozen=True):
    """Whether a host reports: new, up, silent, unknown (nothing of any host arrives) or retired; and why.

    ``received`` and ``missing`` count the records of the agents' runs that are kept. ``clock_skew`` is in seconds,
    positive when the host's clock is ahead of the broker's, and null while it is not known.
    """

    state: str
    since: datetime | None
    reason: str
    problems: list[HostProblem]
    received: int
    missing: int
    clock_skew: float | None
    gaps: list[HostGap]


class AgentRun(msgspec.Struct, frozen=True):
    """One run of an agent: the first and last time that it stamped, and when the broker got its latest record."""

    instance: UUID
    received: int
    missing: int
    first_at: datetime
    last_at: datetime
    last_appended_at: datetime


class HostWithStatus(Host, frozen=True):
    """A host, how it is, and the runs of its agents."""

    status: HostStatus
    agent_runs: list[AgentRun]


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
