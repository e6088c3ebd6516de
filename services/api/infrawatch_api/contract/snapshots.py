"""Snapshots of hosts' configurations."""

from datetime import datetime
from uuid import UUID

import msgspec


class SnapshotBrief(msgspec.Struct, frozen=True):
    """A configuration that a host had: first seen at ``timestamp``, last seen at ``confirmed_at``, and in force
    ``until`` another one was seen, which is null for the latest. ``packages`` and ``env_vars`` are numbers, and
    ``changes`` is how many changes, those that are hidden left out, led to it.
    """

    id: UUID
    host_id: str
    timestamp: datetime
    confirmed_at: datetime
    until: datetime | None
    os_info: str
    kernel: str
    packages: int
    env_vars: int
    changes: int


class Snapshot(msgspec.Struct, frozen=True):
    """A configuration that a host had: first seen at ``timestamp``, last seen at ``confirmed_at``, and in force
    ``until`` another one was seen, which is null for the latest. ``packages``: source, name, version. Values of
    ``env_vars`` that are or look secret are hidden.
    """

    id: UUID
    host_id: str
    timestamp: datetime
    confirmed_at: datetime
    until: datetime | None
    os_info: str
    kernel: str
    packages: dict[str, dict[str, str]]
    env_vars: dict[str, str]


class SnapshotAt(Snapshot, frozen=True):
    """The configuration in force at ``time``. It was so for sure if ``certain``; else it was last seen before ``time``,
    and whether it was still the same then, the host has not said.
    """

    time: datetime
    certain: bool
