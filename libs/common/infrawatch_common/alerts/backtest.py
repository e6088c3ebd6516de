"""A rule over stored history: when it would have fired for one host.

The decision is ``HostWatch``'s, as for live samples. It is given only samples that can change something: the others are
passed over by functions that run over whole lists, and what it remembers of them is told to it. A test holds the two
ways together. Times are microseconds since ``EPOCH``, as PostgreSQL has them.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import islice, pairwise
from operator import sub
from typing import Any, NamedTuple
from uuid import UUID

from infrawatch_common.alerts.engine import REMEMBERED, Fired, Pending, Resolved, Rhythm, Transition
from infrawatch_common.alerts.rules import Metric, Rule
from infrawatch_common.alerts.watching import HostWatch, RuleSet
from infrawatch_common.events import Sample, Stamp

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# A rhythm is made of distances, each of which lies between two samples.
_TAIL = REMEMBERED + 1
_ANY_ID = UUID(int=0)
_ANY_STAMP = Stamp(_ANY_ID, 0)


def microseconds(moment: datetime) -> int:
    """A moment as a number."""
    return (moment - EPOCH) // _MICROSECOND


def moment(number: int) -> datetime:
    """The moment that a number stands for."""
    return EPOCH + timedelta(microseconds=number)


class Episode(NamedTuple):
    """One time that a rule fired; ``resolved`` is None while it did not end. ``peak`` is the value farthest beyond the
    threshold; None for a heartbeat, and for rules after the first.
    """

    fired: Fired
    resolved: Resolved | None
    peak: float | None


class Found(NamedTuple):
    """An episode of the rule with that number."""

    rule: int
    episode: Episode


class Candidates:
    """Rules that differ in threshold, clear threshold and duration alone; the first is the one that is asked about."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self.sets = [RuleSet([rule]) for rule in rules]
        self.is_heartbeat = rules[0].metric is Metric.HEARTBEAT
        # Which rules are compared with the same values.
        self.lines: dict[tuple[float | None, float | None], list[int]] = {}
        for number, rule in enumerate(rules):
            self.lines.setdefault((rule.threshold, rule.clear_threshold), []).append(number)


class Backtest:
    """One host. Give it samples in the order of time, any number at once, and then the end.

    ``heard`` is when it was last heard before the first of them, if that is known.
    """

    def __init__(self, host_id: str, candidates: Candidates, usual: timedelta, heard: int | None = None) -> None:
        self._candidates = candidates
        self._usual = Rhythm(usual)
        self._times: list[int] = [] if heard is None else [heard]
        self._values: list[float] = [] if heard is None else [0.0]
        self._plays = [
            _Play(number, rule, HostWatch(host_id, of, self._usual))
            for number, (rule, of) in enumerate(zip(candidates.rules, candidates.sets, strict=True))
        ]

    def take(self, times: Sequence[int], values: Sequence[float]) -> list[Found]:
        """What has ended with these samples. Of samples that are not newer than one before nothing comes."""
        stretch = _Stretch(self._usual, [*self._times, *times], [*self._values, *values], len(self._times))
        if self._candidates.is_heartbeat:
            for play in self._plays:
                play.listen(stretch)
        else:
            for numbers in self._candidates.lines.values():
                _follow([self._plays[number] for number in numbers], stretch)
        self._times, self._values = stretch.times[-_TAIL:], stretch.values[-_TAIL:]
        return self._found()

    def end(self, until: int) -> list[Found]:
        """What still fires when all samples were taken; nothing came after them until then."""
        last = self._times[-1] if self._times else None
        for play in self._plays:
            play.end(last, until)
        return self._found()

    def _found(self) -> list[Found]:
        found = [one for play in self._plays for one in play.found]
        for play in self._plays:
            play.found.clear()
        return found


class _Stretch:
    """Samples in the order of time. Those before ``begin`` are judged already; they tell how often the host reports."""

    def __init__(self, usual: Rhythm, times: list[int], values: list[float], begin: int) -> None:
        distances = _distances(times)
        if distances and min(distances) <= 0:
            times, values = _each_newer(times, values)
            distances = _distances(times)
        self.times, self.values, self.begin = times, values, begin
        self.distances = distances
        self.longest = max(distances, default=0)
        self._usual = usual
        self._never = never = usual.never_gap // _MICROSECOND
        self._suspects = [at for at, far in enumerate(distances, 1) if far > never] if self.longest > never else []
        self._gaps: dict[int, bool] = {}

    def __len__(self) -> int:
        return len(self.times)

    def rhythm(self, at: int) -> Rhythm:
        """What was known of the host's rhythm when that sample came; where that cannot matter, what is usual."""
        if not at or self.distances[at - 1] <= self._never:
            return self._usual
        before = pairwise(self.times[max(0, at - _TAIL) : at])
        return reduce(Rhythm.then, (timedelta(microseconds=late - early) for early, late in before), self._usual)

    def gaps(self, begin: int, end: int) -> Iterable[int]:
        """Samples from ``begin`` up to ``end`` before which others are missing."""
        suspects = self._suspects
        for place in range(bisect_left(suspects, begin), bisect_left(suspects, end)):
            if self._is_gap(suspects[place]):
                yield suspects[place]

    def _is_gap(self, at: int) -> bool:
        if at not in self._gaps:
            distance = timedelta(microseconds=self.distances[at - 1])
            self._gaps[at] = self.rhythm(at).is_gap(distance)
        return self._gaps[at]


class _Line:
    """A stretch against a threshold: where it holds, in which runs, and where what fires goes on."""

    def __init__(self, rule: Rule, stretch: _Stretch) -> None:
        self._stretch = stretch
        self._holds = bytes(rule.which_hold(stretch.values))
        same = rule.clear_threshold in (None, rule.threshold)
        self._goes_on = self._holds if same else bytes(rule.which_go_on(stretch.values))
        self._runs = list(self._all_runs())

    def _all_runs(self) -> Iterable[tuple[int, int]]:
        begin = self._holds.find(1, self._stretch.begin)
        while begin >= 0:
            end = self.end_of_hold(begin)
            yield begin, end
            begin = self._holds.find(1, end)

    def starts(self, duration: int) -> list[int]:
        """Where runs begin that last so long, or may go on after the stretch: nothing comes of the others."""
        times, size = self._stretch.times, len(self._stretch)
        return [begin for begin, end in self._runs if end == size or times[end - 1] - times[begin] >= duration]

    def end_of_hold(self, begin: int) -> int:
        """The first sample from there on for which the condition is not true."""
        return self._found(self._holds.find(0, begin))

    def end_of_firing(self, begin: int) -> int:
        """The first sample from there on that ends what fires."""
        return self._found(self._goes_on.find(0, begin))

    def _found(self, at: int) -> int:
        return at if at >= 0 else len(self._stretch)


class _Play:
    """One rule on one host."""

    def __init__(self, number: int, rule: Rule, watch: HostWatch) -> None:
        self.number = number
        self.rule = rule
        self.duration = rule.duration // _MICROSECOND
        self.watch = watch
        self.found: list[Found] = []
        self._worst = max if rule.comparison.is_upward else min
        self._fired: Fired | None = None
        self._peak: float | None = None

    def follow(self, stretch: _Stretch, line: _Line) -> None:
        """Give the watch all samples that can change its state."""
        starts, at = line.starts(self.duration), stretch.begin
        while (following := self._next(stretch, line, starts, at)) < len(stretch):
            self._give(stretch, following)
            at = following + 1

    def listen(self, stretch: _Stretch) -> None:
        """As ``follow``, for a heartbeat: samples that came after a longer silence than it bears."""
        if stretch.longest > self.duration:
            for at, distance in enumerate(stretch.distances, 1):
                if distance > self.duration and at >= stretch.begin:
                    self._give(stretch, at)

    def end(self, last: int | None, until: int) -> None:
        """Nothing came after the last sample until then; what still fires is an episode without end."""
        self.watch.last_at = None if last is None else moment(last)
        for change in self.watch.silence(moment(until)):
            self._become(change.transition)
        if self._fired is not None:
            self.found.append(Found(self.number, Episode(self._fired, None, self._peak)))

    def _next(self, stretch: _Stretch, line: _Line, starts: Sequence[int], at: int) -> int:
        state = self.watch.states.get(self.rule.id)
        if state is None:
            place = bisect_left(starts, at)
            return starts[place] if place < len(starts) else len(stretch)
        if isinstance(state, Pending):
            ripe = bisect_left(stretch.times, microseconds(state.since) + self.duration, at)
            soonest = min(ripe, line.end_of_hold(at))
            return next(iter(stretch.gaps(at, soonest)), soonest)
        end = line.end_of_firing(at)
        if self.number == 0 and end > at:
            worst = self._worst(stretch.values[at:end])
            self._peak = worst if self._peak is None else self._worst(self._peak, worst)
        return end

    def _give(self, stretch: _Stretch, at: int) -> None:
        watch, value = self.watch, stretch.values[at]
        watch.last_at = moment(stretch.times[at - 1]) if at else None
        watch.rhythm = stretch.rhythm(at)
        # It reads one of the four values, whichever that is.
        fields: tuple[Any, ...] = (value, value, value, value, _ANY_STAMP)
        for change in watch.sample(Sample(_ANY_ID, watch.host_id, moment(stretch.times[at]), *fields)) or ():
            self._become(change.transition)

    def _become(self, transition: Transition | None) -> None:
        if isinstance(transition, Fired):
            self._fired, self._peak = transition, transition.value if self.number == 0 else None
        elif isinstance(transition, Resolved) and self._fired is not None:
            self.found.append(Found(self.number, Episode(self._fired, transition, self._peak)))
            self._fired = None


def _follow(plays: Sequence[_Play], stretch: _Stretch) -> None:
    """Rules with the same threshold. Where none of them is at work and no value is beyond it, nothing happens."""
    rule, new = plays[0].rule, stretch.values[stretch.begin :]
    if not new:
        return
    worst = max(new) if rule.comparison.is_upward else min(new)
    if not rule.holds(worst) and not any(play.watch.states for play in plays):
        return
    line = _Line(rule, stretch)
    for play in plays:
        play.follow(stretch, line)


def _distances(times: Sequence[int]) -> list[int]:
    return list(map(sub, islice(times, 1, None), times))


def _each_newer(times: Sequence[int], values: Sequence[float]) -> tuple[list[int], list[float]]:
    kept_times, kept_values = [times[0]], [values[0]]
    for at, value in zip(times, values, strict=True):
        if at > kept_times[-1]:
            kept_times.append(at)
            kept_values.append(value)
    return kept_times, kept_values
