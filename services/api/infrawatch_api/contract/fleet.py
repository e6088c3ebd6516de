"""How the hosts of a fleet differ."""

from datetime import datetime
from uuid import UUID

import msgspec

from infrawatch_api.domain.fleet import Decided
from infrawatch_common.drift.changes import Category


class FleetSubject(msgspec.Struct, frozen=True):
    """A package of a source, the kernel, the operating system or a variable, in one group. Of the ``hosts`` that are
    compared, ``having`` have the ``majority`` (null: it is not there), ``deviating`` have something else, and
    ``accepted`` have something else that was accepted. ``values``: how many values there are, absence among them.
    ``decided_by`` says how a tie was decided, or that there was none (``count``).
    """

    group: str | None
    category: Category
    source: str
    name: str
    majority: str | None
    decided_by: Decided
    hosts: int
    having: int
    deviating: int
    accepted: int
    values: int


class FleetView(msgspec.Struct, frozen=True):
    """A page of subjects as of ``at``, the same for all pages. ``hosts`` have a snapshot from then or before and are
    compared; ``hosts_without_snapshot`` have none and are counted nowhere.
    """

    items: list[FleetSubject]
    next_cursor: str | None
    at: datetime
    hosts: int
    hosts_without_snapshot: int


class Deviation(msgspec.Struct, frozen=True):
    """A host that has another ``value`` than most of its group (null: it is not there), ``since`` when it has it, and
    whether, when, by whom (an email address), until when and why that was accepted.
    """

    host_id: str
    group: str | None
    category: Category
    source: str
    name: str
    value: str | None
    majority: str | None
    since: datetime
    accepted: bool
    accepted_at: datetime | None
    accepted_by: str | None
    accepted_until: datetime | None
    accepted_reason: str | None


class FleetHost(msgspec.Struct, frozen=True):
    """A host and its snapshot in force: all of it is null for a host that had none by then. ``since``: when this
    configuration was first seen; ``confirmed_at``: when it was last seen, which may be later than the time asked for.
    """

    host_id: str
    name: str
    snapshot_id: UUID | None
    since: datetime | None
    confirmed_at: datetime | None
    os_info: str | None
    kernel: str | None
    packages: int | None


class Installation(msgspec.Struct, frozen=True):
    """A package on a host, ``since`` when in this version. ``comparable`` is false where a range of versions is asked
    for and this version cannot be compared with it, so that nobody knows whether it is in it.
    """

    host_id: str
    source: str
    name: str
    version: str
    since: datetime
    comparable: bool
