"""Changes of hosts' configurations."""

from datetime import datetime
from uuid import UUID

import msgspec

from infrawatch_api.contract.snapshots import SnapshotBrief
from infrawatch_api.domain.drift_changes import ChangeState, DriftSeverity
from infrawatch_common.drift.changes import Action, Category, Direction


class Difference(msgspec.Struct, frozen=True):
    """What differs. ``source`` lists packages and is empty otherwise. ``before`` and ``after`` are null where there is
    nothing; secrets are hidden. Of a ``source`` that came or went as a whole the packages are counted instead.
    ``direction`` is null where versions have no order. ``sentence`` says it in words.
    """

    category: Category
    source: str
    name: str
    action: Action
    direction: Direction | None
    before: str | None
    after: str | None
    packages_before: int | None
    packages_after: int | None
    sentence: str


class DriftChange(Difference, frozen=True):
    """A change of a host's configuration. It happened after ``not_before``, when the state before was last seen, and
    until ``at``, when snapshot ``snapshot_id`` showed it first; ``found_at`` is by the server's clock. ``reason`` is of
    the severity. ``hidden``: it is ignored, by a rule of severity or by ``ignored_by``. ``state`` is what people said
    of it, with ``verdict_reason``, until ``expires_at``; ``verdict_by`` is an email address, null once that user is
    deleted.
    """

    id: UUID
    host_id: str
    snapshot_id: UUID
    not_before: datetime
    at: datetime
    found_at: datetime
    late: bool
    severity: DriftSeverity
    reason: str
    hidden: bool
    ignored_by: UUID | None
    state: ChangeState
    verdict_reason: str | None
    verdict_at: datetime | None
    verdict_by: str | None
    expires_at: datetime | None


class DriftVerdict(msgspec.Struct, frozen=True):
    """What somebody said of a change; ``by`` is an email address, null once that user is deleted."""

    verdict: ChangeState
    reason: str
    at: datetime
    by: str | None
    expires_at: datetime | None


class DriftChangeWithHistory(DriftChange, frozen=True):
    """A change with all ``verdicts`` on it, oldest first, and the snapshots that it lies between, null if they are
    gone. ``other_hosts`` is how many other hosts came to the same in the last seven days.
    """

    verdicts: list[DriftVerdict]
    snapshot_before: SnapshotBrief | None
    snapshot_after: SnapshotBrief | None
    other_hosts: int
