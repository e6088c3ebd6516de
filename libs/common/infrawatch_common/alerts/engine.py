"""The decision: what one more sample, or silence, makes of a rule's state for one host.

The same functions judge live samples, a backlog, and stored history for a preview. Times are the samples' own.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from infrawatch_common.alerts.rules import Rule


@dataclass(frozen=True, slots=True)
class Pending:
    """The condition has been true without a break since then."""

    since: datetime


@dataclass(frozen=True, slots=True)
class Firing:
    """It was true for as long as the rule asks, at ``fired_at``."""

    since: datetime
    fired_at: datetime


State = Pending | Firing | None
"""None is ok."""


def state_of(since: datetime, fired_at: datetime | None) -> Pending | Firing:
    """A state that is not ok, from its times; it is pending without ``fired_at``."""
    return Pending(since) if fired_at is None else Firing(since, fired_at)


def fired_at_of(state: State) -> datetime | None:
    """When it fired; None for what does not."""
    return state.fired_at if isinstance(state, Firing) else None


class Ended(StrEnum):
    """Why something no longer fires."""

    CLEARED = "cleared"
    HEARD = "heard"
    CONTINUED = "continued"  # by an event that began behind a gap
    RULE_CHANGED = "rule_changed"
    RULE_DISABLED = "rule_disabled"
    RULE_DELETED = "rule_deleted"
    HOST_RETIRED = "host_retired"
    HOST_DELETED = "host_deleted"
    HOST_NOT_SELECTED = "host_not_selected"
    STATE_LOST = "state_lost"


class Fired(NamedTuple):
    """It begins to fire; ``value`` is the sample's, None for a heartbeat."""

    at: datetime
    since: datetime
    value: float | None


class Resolved(NamedTuple):
    """What began to fire at ``fired_at`` has ended."""

    at: datetime
    fired_at: datetime
    value: float | None
    reason: Ended


Transition = Fired | Resolved


def step(rule: Rule, state: State, at: datetime, value: float, *, continuous: bool) -> tuple[State, Transition | None]:
    """One more sample, later than all before; ``continuous`` says that none is missing between it and the last one.

    Missing samples break what is pending. They end nothing that fires: no news is no recovery.
    """
    if isinstance(state, Firing):
        if rule.goes_on(value):
            return state, None
        return None, Resolved(at, state.fired_at, value, Ended.CLEARED)
    if not rule.holds(value):
        return None, None
    since = state.since if state is not None and continuous else at
    if at - since >= rule.duration:
        return Firing(since, at), Fired(at, since, value)
    return (state if state is not None and since == state.since else Pending(since)), None


def silent(rule: Rule, state: State, last_at: datetime, until: datetime) -> tuple[State, Transition | None]:
    """A heartbeat rule, when nothing was heard between the last sample and ``until``.

    A host that was silent before there was the rule has the rule's duration to be heard.
    """
    since = last_at if rule.valid_from is None else max(last_at, rule.valid_from)
    if isinstance(state, Firing) or until - since <= rule.duration:
        return state, None
    at = since + rule.duration
    return Firing(since, at), Fired(at, since, None)


def heard(state: State, at: datetime) -> tuple[State, Transition | None]:
    """A heartbeat rule, when a sample came again."""
    if not isinstance(state, Firing):
        return None, None
    return None, Resolved(at, state.fired_at, None, Ended.HEARD)


def closed(state: State, at: datetime, reason: Ended) -> Resolved | None:
    """What becomes of a state whose rule or host is no longer there, or no longer the same."""
    if not isinstance(state, Firing):
        return None
    return Resolved(max(at, state.fired_at), state.fired_at, None, reason)


_GAP = 3  # reporting intervals
REMEMBERED = 3  # distances that a rhythm is made of


class Rhythm(NamedTuple):
    """How often a host reports: the distances of its latest samples. The median of three is one that a gap, which is
    rare, does not change and a new interval soon does.
    """

    usual: timedelta
    distances: tuple[timedelta, ...] = ()

    def then(self, distance: timedelta) -> "Rhythm":
        """With one more sample."""
        return Rhythm(self.usual, (*self.distances[1 - REMEMBERED :], distance))

    @property
    def interval(self) -> timedelta:
        """The reporting interval; the usual one until three distances are known."""
        if len(self.distances) < REMEMBERED:
            return self.usual
        return sorted(self.distances)[REMEMBERED // 2]

    @property
    def never_gap(self) -> timedelta:
        """The longest distance that is no gap, however often the host reports."""
        return _GAP * self.usual

    def is_gap(self, distance: timedelta) -> bool:
        """Whether samples are missing in this distance from the last one."""
        return distance > _GAP * max(self.interval, self.usual)
