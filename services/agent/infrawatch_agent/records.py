"""The records that the agent sends; a contract test holds them against ``schemas/events/``."""

from datetime import datetime
from uuid import UUID

import msgspec


class AgentStamp(msgspec.Struct, frozen=True):
    """Which run of the agent made a record, and the how-manieth of its kind."""

    instance: UUID
    sequence: int


class HostDescription(msgspec.Struct, frozen=True):
    """What a host calls itself."""

    name: str
    tags: dict[str, str]


class MetricRecord(msgspec.Struct, frozen=True):
    """One sample: percent of cpu, memory and the fullest disk, whole seconds of uptime."""

    id: UUID
    host_id: str
    timestamp: datetime
    cpu: float
    memory: float
    disk: float
    uptime: int
    agent: AgentStamp


class SnapshotRecord(msgspec.Struct, frozen=True):
    """One configuration snapshot; ``packages`` maps source → package → version."""

    id: UUID
    host_id: str
    timestamp: datetime
    os_info: str
    kernel: str
    packages: dict[str, dict[str, str]]
    env_vars: dict[str, str]
    host: HostDescription
    agent: AgentStamp


encode = msgspec.json.Encoder().encode
