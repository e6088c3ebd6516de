"""Silences: what is not to be told for a while."""

from datetime import datetime
from uuid import UUID

import msgspec
from pydantic import StrictBool, model_validator

from infrawatch_api.contract.alerts import AlertEvent
from infrawatch_api.contract.common import ABSENT, Body, Duration, Moment, Reason
from infrawatch_api.contract.matches import EventMatch, NewEventMatch
from infrawatch_api.domain.silences import SilenceState, Wish


class Silence(msgspec.Struct, frozen=True):
    """A silence: from ``starts_at`` until before ``ends_at`` nothing is told of what begins to fire and matches, nor
    ever of drift that is found then. ``created_by``, and ``ended_by``, who ended it before its time, are email
    addresses, null once that user is deleted.
    """

    id: UUID
    match: EventMatch
    reason: str
    state: SilenceState
    starts_at: datetime
    ends_at: datetime
    created_at: datetime
    created_by: str | None
    ended_by: str | None


class SilenceScope(Body):
    """What a silence would hide, and when: from now without ``starts_at``, until ``ends_at`` or for ``duration``. A
    match that hides everything, or all of a kind, such as ``{}``, needs ``everything``.
    """

    match: NewEventMatch
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    duration: Duration | None = None
    everything: StrictBool = False

    def wish(self) -> Wish:
        """When it shall be in force."""
        assert not isinstance(self.duration, float), "it was read as a length of time"
        return Wish(self.starts_at, self.ends_at, self.duration)


class NewSilence(SilenceScope):
    """A silence to create: from now without ``starts_at``, until ``ends_at`` or for ``duration``. A match that hides
    everything, or all of a kind, such as ``{}``, needs ``everything``.
    """

    reason: Reason


class SilenceChange(Body):
    """What to change about a silence; fields that are absent stay as they are. ``starts_at`` only before it begins."""

    reason: Reason = ABSENT
    starts_at: Moment = ABSENT
    ends_at: Moment = ABSENT

    @model_validator(mode="after")
    def _something(self) -> "SilenceChange":
        if not self.model_fields_set:
            msg = "should name at least one field to change"
            raise ValueError(msg)
        return self

    def wish(self) -> Wish:
        """When it shall be in force; None stays."""
        return Wish(self.starts_at, self.ends_at)


class DriftCounts(msgspec.Struct, frozen=True):
    """How often hosts were seen changed, by the severity of the worst change that was seen then."""

    critical: int
    warning: int
    info: int


class SilencePreview(msgspec.Struct, frozen=True):
    """What a silence would hide: ``hosts`` in service and enabled ``alerts`` that it matches, and what of it is
    ``firing`` now, ``firing_count`` in all; ``events_in_7_days`` fired, and ``drift_in_7_days`` was seen, in the last
    seven days, by today's tags. With ``everything`` nothing of its kinds would be told of any host.
    """

    everything: bool
    hosts: int
    alerts: int
    firing_count: int
    firing: list[AlertEvent]
    events_in_7_days: int
    drift_in_7_days: DriftCounts
