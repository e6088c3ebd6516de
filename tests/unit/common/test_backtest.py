"""A backtest finds what live alerting would have found in the same samples."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infrawatch_common.alerts.backtest import Backtest, Candidates, Episode, microseconds, moment
from infrawatch_common.alerts.engine import Ended, Fired, Resolved, Rhythm
from infrawatch_common.alerts.rules import Comparison, Metric, Rule, complaints
from infrawatch_common.alerts.watching import Changes, HostWatch, RuleSet
from infrawatch_common.events import Sample, Stamp

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)
USUAL = 10 * SECOND
STAMP = Stamp(uuid4(), 0)

Course = Sequence[tuple[int, float]]  # microseconds, value


def rule(metric: Metric = Metric.CPU, seconds: float = 30, threshold: float | None = 90, **more: object) -> Rule:
    bound = None if metric is Metric.HEARTBEAT else threshold
    return Rule(uuid4(), 1, "r", metric, timedelta(seconds=seconds), threshold=bound, **more)  # type: ignore[arg-type]


def at(seconds: float) -> int:
    return microseconds(START + seconds * SECOND)


def every_ten(*values: float, begin: float = 0) -> list[tuple[int, float]]:
    return [(at(begin + 10 * number), value) for number, value in enumerate(values)]


def backtest(
    rules: Sequence[Rule], course: Course, until: int, cuts: Sequence[int] = (), heard: int | None = None
) -> list[list[Episode]]:
    """By rule, what is found when the samples come in pieces that end at the cuts."""
    tested = Backtest("host-a", Candidates(rules), USUAL, heard)
    found: list[list[Episode]] = [[] for _ in rules]
    bounds = [0, *sorted(cut % (len(course) + 1) for cut in cuts), len(course)]
    for begin, end in pairwise(bounds):
        piece = course[begin:end]
        for number, episode in tested.take([time for time, _ in piece], [value for _, value in piece]):
            found[number].append(episode)
    for number, episode in tested.end(until):
        found[number].append(episode)
    return found


def live(rule: Rule, course: Course, until: int, heard: int | None = None) -> list[tuple[Fired, Resolved | None]]:
    """What live alerting finds, each sample by itself."""
    watch = HostWatch("host-a", RuleSet([rule]), Rhythm(USUAL), None if heard is None else moment(heard))
    found: list[tuple[Fired, Resolved | None]] = []

    def note(changes: Changes | None) -> None:
        for change in changes or ():
            if isinstance(change.transition, Fired):
                found.append((change.transition, None))
            elif isinstance(change.transition, Resolved):
                found[-1] = (found[-1][0], change.transition)

    for time, value in course:
        values = {name: value if rule.metric == name else 0 for name in ("cpu", "memory", "disk", "uptime")}
        note(watch.sample(Sample(uuid4(), "host-a", moment(time), **values, agent=STAMP)))  # type: ignore[arg-type]
    note(watch.silence(moment(until)))
    return found


def plain(episodes: Sequence[Episode]) -> list[tuple[Fired, Resolved | None]]:
    return [(episode.fired, episode.resolved) for episode in episodes]


def test_it_tells_since_when_until_when_and_how_far() -> None:
    [[episode, last]] = backtest([rule()], every_ten(0, 95, 91, 97, 92, 99, 10, 95, 95, 95, 96, 95), at(200))
    assert episode.fired == Fired(START + 40 * SECOND, START + 10 * SECOND, 92)
    assert episode.resolved == Resolved(START + 60 * SECOND, START + 40 * SECOND, 10, Ended.CLEARED)
    assert episode.peak == 99, "of the time that it fired, not of what was pending"
    assert (last.fired.at, last.resolved, last.peak) == (START + 100 * SECOND, None, 96)


def test_the_peak_is_on_the_bad_side() -> None:
    [[episode]] = backtest([rule(seconds=0, threshold=20, comparison=Comparison.BELOW)], every_ten(15, 5, 19), at(30))
    assert episode.peak == 5


def test_a_host_that_was_never_heard_has_no_silence() -> None:
    assert backtest([rule(Metric.HEARTBEAT)], [], at(1000)) == [[]]


def test_silence_counts_from_when_the_host_was_last_heard() -> None:
    [[episode]] = backtest([rule(Metric.HEARTBEAT, 60)], [], at(1000), heard=at(-500))
    assert episode == Episode(Fired(START - 440 * SECOND, START - 500 * SECOND, None), None, None)


values = st.sampled_from([0.0, 49.0, 50.0, 51.0, 79.0, 80.0, 85.0, 90.0, 91.0, 100.0])
# Late ones, repeated ones, ordinary ones, the longest that is no gap, gaps, and the rhythm of a slower host.
distances = st.sampled_from([-20.0, 0.0, 0.000001, 1.0, *[10.0] * 20, 30.0, 30.000001, 31.0, *[60.0] * 3, 181.0, 600.0])
# Runs of one value, so that something lasts.
courses = st.lists(
    st.tuples(values, distances, st.integers(1, 8)).flatmap(
        lambda run: st.lists(distances | st.just(run[1]), min_size=run[2], max_size=run[2]).map(
            lambda steps: [(step, run[0]) for step in steps]
        )
    ),
    max_size=20,
).map(lambda runs: _placed([step for run in runs for step in run]))
durations = st.sampled_from([0.0, 1.0, 10.0, 30.0, 31.0, 60.0, 120.0, 600.0])


def _placed(steps: Sequence[tuple[float, float]]) -> list[tuple[int, float]]:
    placed, now = [], 0.0
    for distance, value in steps:
        now += distance
        placed.append((at(now), value))
    return placed


@st.composite
def candidates(draw: st.DrawFn) -> list[Rule]:
    """Rules of a sweep."""
    metric = draw(st.sampled_from(list(Metric)))
    if metric is Metric.HEARTBEAT:
        return [rule(metric, seconds) for seconds in draw(st.lists(durations.filter(bool), min_size=1, max_size=4))]
    comparison = draw(st.sampled_from(list(Comparison)))
    made = draw(
        st.lists(
            st.builds(
                lambda seconds, threshold, clear: rule(
                    metric, seconds, threshold, comparison=comparison, clear_threshold=clear
                ),
                durations,
                st.sampled_from([50.0, 80.0, 90.0]),
                st.sampled_from([None, 50.0, 80.0, 90.0]),
            ).filter(lambda rule: not complaints(rule)),
            min_size=1,
            max_size=6,
        )
    )
    return list(made)


@given(
    candidates(),
    courses,
    st.lists(st.integers(0, 200), max_size=6),
    st.sampled_from([0, 1, 59, 61, 700]),
    st.booleans(),
)
@settings(max_examples=500)
def test_it_finds_what_live_alerting_finds_sample_by_sample(
    rules: list[Rule], course: list[tuple[int, float]], cuts: list[int], after: int, is_known: bool
) -> None:
    heard = at(-45) if is_known else None
    until = max([at(0), *(time for time, _ in course)]) + after * 1_000_000
    found = backtest(rules, course, until, cuts, heard)
    assert [plain(episodes) for episodes in found] == [live(made, course, until, heard) for made in rules]


@given(candidates(), courses)
def test_the_peak_is_the_farthest_value_while_it_fires(rules: list[Rule], course: list[tuple[int, float]]) -> None:
    if rules[0].metric is Metric.HEARTBEAT:
        return
    judged: list[tuple[int, float]] = []
    for time, value in course:
        if not judged or time > judged[-1][0]:
            judged.append((time, value))
    worst = max if rules[0].comparison.is_upward else min
    for fired, resolved, peak in backtest(rules, course, at(10**6), [7, 20])[0]:
        ended = microseconds(resolved.at) if resolved else at(10**7)
        assert peak == worst(value for time, value in judged if microseconds(fired.at) <= time < ended)


@pytest.mark.parametrize("number", [0, 1, -1, 10**15])
def test_moments_and_numbers_are_the_same(number: int) -> None:
    assert microseconds(moment(number)) == number


def test_what_is_pending_when_a_piece_ends_ends_with_the_next() -> None:
    course = every_ten(95, 95, 0, 95, 95, 95, 95, 95)
    assert plain(backtest([rule(seconds=40)], course, at(80), cuts=[2])[0]) == live(rule(seconds=40), course, at(80))
