"""One host and all rules for it: most samples change nothing, and are done after a few comparisons."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from infrawatch_common.alerts.engine import (
    Ended,
    Firing,
    Rhythm,
    State,
    Transition,
    closed,
    heard,
    silent,
    step,
)
from infrawatch_common.alerts.rules import Metric, Rule
from infrawatch_common.events import Sample


class Change(NamedTuple):
    """What became of one rule for a host; without ``transition`` only what is pending changed.

    ``rule`` is None when it was closed because the rule is no longer there, or no longer the same.
    """

    alert_id: UUID
    rule: Rule | None
    state: State
    transition: Transition | None


Changes = Sequence[Change]
NOTHING: Changes = ()
_READ: Mapping[Metric, Callable[[Sample], float]] = {
    metric: attrgetter(metric.value) for metric in (Metric.CPU, Metric.MEMORY, Metric.DISK, Metric.UPTIME)
}


class RuleSet:
    """The enabled rules of a host; hosts with the same rules share one.

    While nothing is pending or fires, a sample whose four values lie strictly inside ``quiet`` changes nothing.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = {rule.id: rule for rule in rules}
        self.thresholds = [
            (rule, _READ[rule.metric]) for rule in self.rules.values() if rule.metric is not Metric.HEARTBEAT
        ]
        self.heartbeats = [rule for rule in self.rules.values() if rule.metric is Metric.HEARTBEAT]
        self.patience = min((rule.duration for rule in self.heartbeats), default=timedelta.max)
        self.quiet = tuple(bound for metric in _READ for bound in self._quiet(metric))

    def _quiet(self, metric: Metric) -> tuple[float, float]:
        low, high = -math.inf, math.inf
        for rule, _ in self.thresholds:
            if rule.metric is metric and rule.threshold is not None:
                if rule.comparison.is_upward:
                    high = min(high, rule.threshold)
                else:
                    low = max(low, rule.threshold)
        return low, high


class HostWatch:
    """The rules' states for one host, and when it was last heard; of its samples only what is newer counts.

    ``states`` are those that are not ok, by rule. ``delay`` is by how much the broker's clock was ahead of the last
    sample's time when it got it: what lies between the clocks, and the way. Until ``excused_until`` silence is ours.
    """

    __slots__ = ("delay", "excused_until", "host_id", "last_at", "rhythm", "rules", "states")

    def __init__(self, host_id: str, rules: RuleSet, rhythm: Rhythm, last_at: datetime | None = None) -> None:
        self.host_id = host_id
        self.rules = rules
        self.rhythm = rhythm
        self.last_at = last_at
        self.states: dict[UUID, State] = {}
        self.delay = timedelta(0)
        self.excused_until: datetime | None = None

    def sample(self, sample: Sample) -> Changes | None:
        """One more sample; None when it is not newer than the last one, which changes nothing."""
        at, last = sample.timestamp, self.last_at
        if last is None:
            self.last_at = at
            return self._judge(sample, last, continuous=False)
        if at <= last:
            return None
        distance = at - last
        rules = self.rules
        a, b, c, d, e, f, g, h = rules.quiet
        if (
            not self.states
            and a < sample.cpu < b
            and c < sample.memory < d
            and e < sample.disk < f
            and g < sample.uptime < h
            and distance <= rules.patience
        ):
            self.last_at = at
            self.rhythm = self.rhythm.then(distance)
            return NOTHING
        continuous = not self.rhythm.is_gap(distance)
        self.last_at = at
        self.rhythm = self.rhythm.then(distance)
        return self._judge(sample, last, continuous=continuous)

    def silence(self, until: datetime) -> Changes:
        """Nothing was heard since the last sample, until then by the broker's clock."""
        until -= self.delay
        if self.last_at is None or until - self.last_at <= self.rules.patience:
            return NOTHING
        last = self._heard_or_excused(self.last_at)
        changes: list[Change] = []
        for rule in self.rules.heartbeats:
            before = self.states.get(rule.id)
            after, transition = silent(rule, before, last, until)
            if after is not before:
                self._become(changes, rule, after, transition)
        return changes

    def follow(self, rules: RuleSet, at: datetime, why: Callable[[UUID], Ended]) -> Changes:
        """From now on these are the rules; what a rule that changed has pending or firing ends.

        ``why`` tells why a rule is no longer there for this host.
        """
        if rules is self.rules:
            return NOTHING
        changes: list[Change] = []
        for alert_id, state in list(self.states.items()):
            before, now = self.rules.rules.get(alert_id), rules.rules.get(alert_id)
            if now is None or before is None or now.version != before.version:
                reason = Ended.RULE_CHANGED if now is not None else why(alert_id)
                del self.states[alert_id]
                changes.append(Change(alert_id, None, None, closed(state, at, reason)))
        self.rules = rules
        return changes

    def _judge(self, sample: Sample, last: datetime | None, *, continuous: bool) -> Changes:
        at = sample.timestamp
        changes: list[Change] = []
        for rule in self.rules.heartbeats:
            if last is not None and at - last > rule.duration and rule.judges(at):
                since = self._heard_or_excused(last)
                self._become(changes, rule, *silent(rule, self.states.get(rule.id), since, at))
            if rule.id in self.states:
                self._become(changes, rule, *heard(self.states[rule.id], at))
        for rule, value in self.rules.thresholds:
            if not rule.judges(at):
                continue
            state = self.states.get(rule.id)
            after, transition = step(rule, state, at, value(sample), continuous=continuous)
            if after is not state or transition is not None:
                self._become(changes, rule, after, transition)
        return changes

    def _heard_or_excused(self, last: datetime) -> datetime:
        return last if self.excused_until is None else max(last, self.excused_until - self.delay)

    def _become(self, changes: list[Change], rule: Rule, state: State, transition: Transition | None) -> None:
        if state is None:
            self.states.pop(rule.id, None)
        else:
            self.states[rule.id] = state
        changes.append(Change(rule.id, rule, state, transition))

    @property
    def is_firing(self) -> bool:
        """Whether anything fires."""
        return any(isinstance(state, Firing) for state in self.states.values())
