"""Samples that come after newer ones: the gaps that they fill, judged as if they had come in time.

After an outage an agent sends its newest sample first, and between new ones what it kept, oldest first. The distance
to the newest one is a gap. What later fills a gap is judged from the states in which the gap began; at its end they
are sewn to what was judged behind it meanwhile. Samples that lie in no gap, or are not newer than the last one that
filled it, change nothing: repetitions, clones, a few samples in the wrong order.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from infrawatch_common.alerts.engine import (
    Ended,
    Fired,
    Firing,
    Pending,
    Resolved,
    Rhythm,
    State,
    Transition,
    closed,
    heard,
    silent,
    step,
)
from infrawatch_common.alerts.rule_sets import Change, Changes, RuleSet
from infrawatch_common.alerts.rules import Metric, Rule
from infrawatch_common.events import Sample

# Gaps of one host that are remembered at a time.
MOST_GAPS = 8


@dataclass(slots=True)
class Seam:
    """One rule on both sides of a gap.

    ``pending_since`` is of when the gap began. Behind it: ``held_until`` is the last sample of those, from the first
    one on, for which the condition was true (``holds``: for all so far), ``value`` that first one's; ``fired_at`` when
    it fired; ``cleared_at`` the first sample beyond the clear threshold. After that nothing more is noted.
    """

    version: int
    pending_since: datetime | None = None
    value: float | None = None
    held_until: datetime | None = None
    holds: bool = False
    fired_at: datetime | None = None
    cleared_at: datetime | None = None
    cleared_value: float | None = None

    def note(self, rule: Rule, at: datetime, value: float, *, follows: bool, fired: bool) -> None:
        """One more sample behind the gap; ``follows`` says that it is the first, or that none before it is missing."""
        if self.cleared_at is not None:
            return
        self.holds = (self.holds or self.value is None) and follows and rule.holds(value)
        if self.value is None:
            self.value = value
        if self.holds:
            self.held_until = at
        if fired and self.fired_at is None:
            self.fired_at = at
        if not rule.goes_on(value):
            self.cleared_at, self.cleared_value = at, value


@dataclass(slots=True)
class Gap:
    """From the last sample before it to the first behind it; ``seams`` are of the rules that judge what fills it."""

    after: datetime
    before: datetime
    seams: dict[UUID, Seam]


class Sewn(NamedTuple):
    """What becomes, at the end of a filled gap, of the state that it leaves; ``taken_over`` is present from now on."""

    transitions: list[Transition]
    taken_over: State


def seams_of(rules: RuleSet, states: Mapping[UUID, State], changes: Changes, before: datetime) -> dict[UUID, Seam]:
    """The rules that judge what fills a gap that ends at ``before``: all but those whose present event covers it.

    ``states`` are from before the gap, ``changes`` what its end brought about. A rule that fired when the gap began
    fires through it, and silence that was told is told.
    """
    told = {change.alert_id for change in changes if isinstance(change.transition, Fired)}
    seams = {}
    for rule in rules.rules.values():
        state = states.get(rule.id)
        covered = isinstance(state, Firing) or (rule.metric is Metric.HEARTBEAT and rule.id in told)
        if covered or not rule.judges(before):
            continue
        seams[rule.id] = Seam(rule.version, state.since if state is not None else None)
    return seams


def sew(rule: Rule, seam: Seam, state: State, before: datetime, *, continuous: bool) -> Sewn:
    """Go on with ``state`` behind the gap; ``continuous`` says that no sample is missing before its end."""
    transitions: list[Transition] = []
    if isinstance(state, Pending):
        if not continuous or seam.held_until is None or _fired_by(seam, seam.held_until):
            return Sewn([], None)
        if seam.held_until - state.since < rule.duration:
            return Sewn([], state if seam.holds else None)
        fired = Fired(max(before, state.since + rule.duration), state.since, seam.value)
        transitions.append(fired)
        state = Firing(fired.since, fired.at)
    if isinstance(state, Firing):
        if seam.fired_at is not None:
            transitions.append(Resolved(seam.fired_at, state.fired_at, None, Ended.CONTINUED))
        elif seam.cleared_at is not None:
            transitions.append(Resolved(seam.cleared_at, state.fired_at, seam.cleared_value, Ended.CLEARED))
        else:
            return Sewn(transitions, state)
    return Sewn(transitions, None)


def _fired_by(seam: Seam, at: datetime) -> bool:
    return seam.fired_at is not None and seam.fired_at <= at


@dataclass(slots=True)
class History:
    """The gaps of a host, oldest first, and how far the first of them is filled.

    ``at`` is of the last sample that filled one, ``states`` are those of the first gap's rules then, ``rhythm`` is the
    one that those samples have; ``idle`` is how long new samples have come without a gap since.
    """

    rhythm: Rhythm
    gaps: list[Gap] = field(default_factory=list)
    at: datetime | None = None
    states: dict[UUID, State] = field(default_factory=dict)
    idle: timedelta = timedelta(0)

    def open(self, gap: Gap, rules: RuleSet) -> list[Change]:
        """Remember one more gap; of too many the oldest ends."""
        self.gaps.append(gap)
        return self._finish(rules) if len(self.gaps) > MOST_GAPS else []

    def note(self, sample: Sample, rules: RuleSet, changes: Changes, distance: timedelta, *, continuous: bool) -> None:
        """What a new sample behind the gaps says of each rule; ``changes`` are what it brought about."""
        at = sample.timestamp
        fired = {change.alert_id for change in changes if isinstance(change.transition, Fired)}
        if continuous:
            self.idle += distance
        for gap in self.gaps:
            for rule, value in rules.thresholds:
                seam = gap.seams.get(rule.id)
                if seam is not None:
                    follows = continuous or at == gap.before
                    seam.note(rule, at, value(sample), follows=follows, fired=rule.id in fired)

    def fill(self, sample: Sample, rules: RuleSet) -> list[Change] | None:
        """A sample that is not newer than the host's last one; None when it fills no gap."""
        at = sample.timestamp
        if (self.at is not None and at <= self.at) or not any(gap.after < at < gap.before for gap in self.gaps):
            return None
        changes: list[Change] = []
        while self.gaps[0].before <= at:
            changes += self._finish(rules)
        changes += self._judge(sample, rules)
        # Samples do not come at the very second: one that is nearly an interval from the end is the last.
        if 2 * (self.gaps[0].before - at) < 3 * self.rhythm.interval:
            changes += self._finish(rules)
        return changes

    def close(self, rules: RuleSet) -> list[Change]:
        """Nothing more comes."""
        return [change for _ in list(self.gaps) for change in self._finish(rules)]

    def follow(self, rules: RuleSet, at: datetime, why: Callable[[UUID], Ended]) -> list[Change]:
        """From now on these are the rules; what one that changed left firing ends, and it judges no gap any more."""
        changes = []
        for gap in self.gaps:
            for alert_id, seam in list(gap.seams.items()):
                now = rules.rules.get(alert_id)
                if now is not None and now.version == seam.version:
                    continue
                del gap.seams[alert_id]
                reason = Ended.RULE_CHANGED if now is not None else why(alert_id)
                ended = closed(self.states.pop(alert_id, None), at, reason)
                if ended is not None:
                    changes.append(Change(alert_id, None, None, ended, back_filled=True))
        return changes

    def _judge(self, sample: Sample, rules: RuleSet) -> list[Change]:
        gap, at = self.gaps[0], sample.timestamp
        begins = self.at is None or self.at <= gap.after
        if begins:
            self.states = {
                alert_id: Pending(seam.pending_since)
                for alert_id, seam in gap.seams.items()
                if seam.pending_since is not None
            }
        last = gap.after if self.at is None or begins else self.at
        distance = at - last
        # What is missing at the beginning may have been dropped by an agent that could keep no more: not silence.
        changes = [] if begins else _silences(rules, gap, last, at)
        continuous = not self.rhythm.is_gap(distance)
        for rule, value in rules.thresholds:
            if rule.id in gap.seams and rule.judges(at):
                state, transition = step(rule, self.states.get(rule.id), at, value(sample), continuous=continuous)
                self._become(rule.id, state)
                if transition is not None:
                    changes.append(_found(rule, transition))
        self.rhythm = self.rhythm.then(distance)
        self.at, self.idle = at, timedelta(0)
        return changes

    def _become(self, alert_id: UUID, state: State) -> None:
        if state is None:
            self.states.pop(alert_id, None)
        else:
            self.states[alert_id] = state

    def _finish(self, rules: RuleSet) -> list[Change]:
        """The first gap ends: its states go on behind it, or become the present ones."""
        gap, states = self.gaps.pop(0), self.states
        if self.at is None or self.at <= gap.after:
            return []
        self.states = {}
        changes = _silences(rules, gap, self.at, gap.before)
        continuous = not self.rhythm.is_gap(gap.before - self.at)
        for alert_id, state in states.items():
            rule, seam = rules.rules[alert_id], gap.seams[alert_id]
            transitions, taken_over = sew(rule, seam, state, gap.before, continuous=continuous)
            changes += [_found(rule, transition) for transition in transitions]
            if taken_over is not None:
                changes.append(Change(alert_id, rule, taken_over, None))
            self._cover(alert_id, taken_over, transitions)
        return changes

    def _cover(self, alert_id: UUID, taken_over: State, transitions: list[Transition]) -> None:
        """What goes on behind the gap covers later ones, as what fires when a gap begins does."""
        last = transitions[-1] if transitions else None
        end = last.at if isinstance(last, Resolved) else None
        for gap in self.gaps:
            if isinstance(taken_over, Firing) or (end is not None and end > gap.after):
                gap.seams.pop(alert_id, None)


def _silences(rules: RuleSet, gap: Gap, last: datetime, at: datetime) -> list[Change]:
    """Heartbeats between two samples of a gap."""
    changes = []
    for rule in rules.heartbeats:
        if rule.id in gap.seams and rule.judges(at):
            state, fired = silent(rule, None, last, at)
            ended = heard(state, at)[1]
            changes += [_found(rule, transition) for transition in (fired, ended) if transition is not None]
    return changes


def _found(rule: Rule, transition: Transition) -> Change:
    return Change(rule.id, rule, None, transition, back_filled=True)
