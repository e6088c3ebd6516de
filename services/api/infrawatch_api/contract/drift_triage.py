"""Verdicts on changes, and what hosts may have."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from pydantic import Field, StrictBool, StrictStr, StringConstraints, model_validator

from infrawatch_api.contract.common import Body, HostIdText, Moment, Reason
from infrawatch_api.domain.drift_triage import TriageVerdict
from infrawatch_common.drift.changes import Category

_Part = Annotated[StrictStr, StringConstraints(max_length=512, pattern=r"^[^\x00]*$")]


class NewVerdict(Body):
    """What is said of a change, and why. ``expires_at``: when what is accepted is no longer; null: never."""

    verdict: TriageVerdict
    reason: Reason
    expires_at: Moment | None = None


class TriagedChange(msgspec.Struct, frozen=True):
    """A change and what was said of it. ``baseline``: the id of the baseline that this made, if it made one."""

    id: UUID
    host_id: str
    verdict: TriageVerdict
    reason: str
    at: datetime
    by: str
    expires_at: datetime | None
    baseline: UUID | None


class NewVerdicts(NewVerdict):
    """What is said of many changes: of those with ``ids``, or of all that are ``like`` one, namely open and not hidden,
    of the same thing, from the same to the same, on whatever host. With ``dry_run`` nothing is written.
    """

    ids: Annotated[list[UUID], Field(min_length=1)] | None = None
    like: UUID | None = None
    dry_run: StrictBool = False

    @model_validator(mode="after")
    def _either(self) -> "NewVerdicts":
        if (self.ids is None) == (self.like is None):
            msg = "should have either ids or like: the changes that are meant, or one that they are all like"
            raise ValueError(msg)
        return self


class TriagedChanges(msgspec.Struct, frozen=True):
    """How many changes on how many hosts a verdict was passed on, or with ``dry_run`` would be; and how many
    ``baselines`` that made, null for a dry run.
    """

    dry_run: bool
    changes: int
    hosts: int
    baselines: int | None


class DriftBaseline(msgspec.Struct, frozen=True):
    """What a host may have: while its value is ``value``, it does not deviate; null: that it is not there. A variable's
    value that is or looks secret is hidden. ``change_id``: the change whose acceptance made it, null if it was made
    directly. ``in_force`` until ``expires_at`` or ``ended_at``, the earlier one. ``accepted_by`` and ``ended_by`` are
    email addresses, null once that user is deleted, and ``ended_by`` also when it had expired before.
    """

    id: UUID
    host_id: str
    category: Category
    source: str
    name: str
    value: str | None
    in_force: bool
    reason: str
    change_id: UUID | None
    accepted_at: datetime
    accepted_by: str | None
    expires_at: datetime | None
    ended_at: datetime | None
    ended_by: str | None


class NewDriftBaseline(Body):
    """What a host has now, and may have: a ``package`` by ``source`` and ``name``, an ``env`` variable by ``name``, the
    ``os`` or the ``kernel``. ``expires_at``: until when; null: always.
    """

    host_id: HostIdText
    category: Category
    source: _Part = ""
    name: _Part = ""
    reason: Reason
    expires_at: Moment | None = None
