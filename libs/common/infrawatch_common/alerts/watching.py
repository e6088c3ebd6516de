"""One host and all rules for it: most samples change nothing, and are done after a few comparisons."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
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
from infrawatch_common.alerts.history import Gap, History, seams_of
from infrawatch_common.alerts.rule_sets import NOTHING, Change, Changes, RuleSet
from infrawatch_common.alerts.rules import Rule
from infrawatch_common.events import Sample

__all__ = ("NOTHING", "Change", "Changes", "HostWatch", "RuleSet")

_NEVER = timedelta(-1)


class HostWatch:
    """The rules' states for one host, and when it was last heard; of its samples only what is newer changes them.

    ``states`` are those that are not ok, by rule. ``heard_ms`` is when the broker got the sample of ``heard_of``, the
    last one, in milliseconds of Unix time. Silence until ``excused_until`` is ours, and so is that of ``pauses``,
    oldest first, from when to when by the broker's clock.

    With ``waits``, gaps are remembered in ``history``, until new samples have come for so long and none that fills one.
    """

    __slots__ = (
        "_calm",
        "_waits",
        "excused_until",
        "heard_ms",
        "heard_of",
        "history",
        "host_id",
        "last_at",
        "pauses",
        "rhythm",
        "rules",
        "states",
    )

    def __init__(
        self,
        host_id: str,
        rules: RuleSet,
        rhythm: Rhythm,
        last_at: datetime | None = None,
        waits: timedelta | None = None,
    ) -> None:
        self.host_id = host_id
        self.rules = rules
        self.rhythm = rhythm
        self.last_at = last_at
        self.states: dict[UUID, State] = {}
        self.history: History | None = None
        self.heard_ms = 0.0
        self.heard_of: datetime | None = None
        self.excused_until: datetime | None = None
        self.pauses: Sequence[tuple[datetime, datetime]] = ()
        self._waits = waits
        self._calm = self._longest_calm()

    @property
    def delay(self) -> timedelta:
        """By how much the broker's clock was ahead of the last sample's time when it got it: what lies between the
        clocks, and the way.
        """
        if self.heard_of is None:
            return timedelta(0)
        return datetime.fromtimestamp(self.heard_ms / 1000, UTC) - self.heard_of

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
            and distance <= self._calm
        ):
            self.last_at = at
            self.rhythm = self.rhythm.then(distance)
            return NOTHING
        if self._waits is not None and (self.history is not None or self.rhythm.is_gap(distance)):
            return self._with_history(sample, last, distance, self._waits)
        continuous = not self.rhythm.is_gap(distance)
        self.last_at = at
        self.rhythm = self.rhythm.then(distance)
        return self._judge(sample, last, continuous=continuous)

    def fill(self, sample: Sample) -> Changes | None:
        """A sample that is not newer than the last one; None when it fills no gap, which changes nothing."""
        if self.history is None:
            return None
        changes = self.history.fill(sample, self.rules)
        if changes is not None:
            self._take_over(changes)
        return changes

    def remember(self, history: History | None) -> None:
        """Go on with these gaps."""
        self.history = history if history is not None and history.gaps else None
        self._calm = self._longest_calm()

    def silence(self, until: datetime) -> Changes:
        """Nothing was heard since the last sample, until then by the broker's clock."""
        until -= self.delay
        if self.last_at is None or until - self.last_at <= self.rules.patience:
            return NOTHING
        changes: list[Change] = []
        for rule in self.rules.heartbeats:
            before = self.states.get(rule.id)
            since = self._heard_or_excused(self.last_at, until, rule.duration)
            after, transition = silent(rule, before, since, until)
            if after is not before:
                self._become(changes, rule, after, transition)
        return changes

    def follow(self, rules: RuleSet, at: datetime, why: Callable[[UUID], Ended]) -> Changes:
        """From now on these are the rules; what a rule that changed has pending or firing ends.

        ``why`` tells why a rule is no longer there for this host.
        """
        if rules is self.rules:
            return NOTHING
        changes: list[Change] = [] if self.history is None else self.history.follow(rules, at, why)
        for alert_id, state in list(self.states.items()):
            before, now = self.rules.rules.get(alert_id), rules.rules.get(alert_id)
            if now is None or before is None or now.version != before.version:
                reason = Ended.RULE_CHANGED if now is not None else why(alert_id)
                del self.states[alert_id]
                changes.append(Change(alert_id, None, None, closed(state, at, reason)))
        self.rules = rules
        self._calm = self._longest_calm()
        return changes

    def _longest_calm(self) -> timedelta:
        """The longest distance of a sample that can change nothing but the last time, if it is quiet."""
        if self._waits is None:
            return self.rules.patience
        return _NEVER if self.history is not None else min(self.rules.patience, self.rhythm.never_gap)

    def _with_history(self, sample: Sample, last: datetime, distance: timedelta, waits: timedelta) -> Changes:
        """One more sample when there are gaps, or behind one."""
        continuous = not self.rhythm.is_gap(distance)
        history = self.history or History(self.rhythm)
        before = dict(self.states)
        self.last_at = sample.timestamp
        self.rhythm = self.rhythm.then(distance)
        changes = self._judge(sample, last, continuous=continuous)
        found: list[Change] = []
        if not continuous:
            gap = Gap(last, sample.timestamp, seams_of(self.rules, before, changes, sample.timestamp))
            found = history.open(gap, self.rules)
        history.note(sample, self.rules, changes, distance, continuous=continuous)
        if history.idle > waits:
            found += history.close(self.rules)
        self.history = history
        self._take_over(found)
        return [*changes, *found]

    def _take_over(self, changes: Changes) -> None:
        for change in changes:
            if change.state is not None and not change.back_filled:
                self.states[change.alert_id] = change.state
        self.remember(self.history)

    def _judge(self, sample: Sample, last: datetime | None, *, continuous: bool) -> list[Change]:
        at = sample.timestamp
        changes: list[Change] = []
        for rule in self.rules.heartbeats:
            if last is not None and at - last > rule.duration and rule.judges(at):
                since = self._heard_or_excused(last, at, rule.duration)
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

    def _heard_or_excused(self, last: datetime, at: datetime, patience: timedelta) -> datetime:
        """Since when silence counts; a pause that began when it had been too long already does not excuse it."""
        if self.excused_until is not None:
            last = max(last, self.excused_until - self.delay)
        for begin, end in self.pauses:
            if begin - self.delay <= last + patience and end - self.delay <= at:
                last = max(last, end - self.delay)
        return last

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
