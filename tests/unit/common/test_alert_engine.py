"""What fires, when, and why it ends: the decision alone."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_common.alerts.engine import Ended, Fired, Firing, Pending, Resolved, Rhythm, State, Transition, step
from infrawatch_common.alerts.rules import Comparison, Metric, Rule, complaints
from infrawatch_common.alerts.watching import Changes, HostWatch, RuleSet
from infrawatch_common.events import Sample, Stamp

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TEN = 10 * SECOND
INSTANCE = Stamp(uuid4(), 0)


def rule(metric: Metric = Metric.CPU, seconds: float = 30, threshold: float | None = 90, **more: object) -> Rule:
    bound = None if metric is Metric.HEARTBEAT else threshold
    made = {"id": uuid4(), "version": 1, "name": "r", "metric": metric, "threshold": bound} | more
    return Rule(duration=timedelta(seconds=seconds), **made)  # type: ignore[arg-type]


def sample(seconds: float, cpu: float = 0.0, **more: float) -> Sample:
    values = {"cpu": cpu, "memory": 0.0, "disk": 0.0, "uptime": 1000} | more
    return Sample(uuid4(), "host-a", START + seconds * SECOND, **values, agent=INSTANCE)  # type: ignore[arg-type]


def watch(*rules: Rule) -> HostWatch:
    return HostWatch("host-a", RuleSet(rules), Rhythm(TEN))


def transitions(changes: Changes | None) -> list[Transition]:
    return [change.transition for change in changes or () if change.transition is not None]


def play(watched: HostWatch, samples: Sequence[Sample]) -> list[Transition]:
    return [transition for one in samples for transition in transitions(watched.sample(one))]


def every_ten(*values: float, begin: float = 0) -> list[Sample]:
    return [sample(begin + 10 * number, value) for number, value in enumerate(values)]


def test_it_fires_once_the_condition_was_true_for_as_long_as_the_rule_asks() -> None:
    fired, resolved = play(watch(rule(seconds=30)), every_ten(0, 95, 95, 95, 95, 95, 10))
    assert fired == Fired(START + 40 * SECOND, START + 10 * SECOND, 95)
    assert resolved == Resolved(START + 60 * SECOND, START + 40 * SECOND, 10, Ended.CLEARED)


def test_a_duration_of_nothing_fires_at_once() -> None:
    assert play(watch(rule(seconds=0)), every_ten(95)) == [Fired(START, START, 95)]


def test_what_is_true_for_less_than_the_duration_never_fires() -> None:
    assert play(watch(rule(seconds=30)), every_ten(95, 95, 95, 0, 95, 95, 95, 0)) == []


def test_what_lies_between_the_thresholds_goes_on_and_never_begins() -> None:
    flapping = rule(seconds=0, threshold=90, clear_threshold=80)
    found = play(watch(flapping), every_ten(85, 95, 85, 89, 95, 80, 79.9, 85))
    assert [type(one) for one in found] == [Fired, Resolved]
    assert found[1].at == START + 60 * SECOND


@pytest.mark.parametrize(
    ("comparison", "bad", "good"),
    [
        (Comparison.ABOVE, 50.1, 50),
        (Comparison.AT_LEAST, 50, 49.9),
        (Comparison.BELOW, 49.9, 50),
        (Comparison.AT_MOST, 50, 50.1),
    ],
)
def test_each_comparison_ends_where_it_says(comparison: Comparison, bad: float, good: float) -> None:
    found = play(watch(rule(seconds=0, threshold=50, comparison=comparison)), every_ten(good, bad, good))
    assert [one.at for one in found] == [START + TEN, START + 2 * TEN]


def test_missing_samples_break_what_is_pending() -> None:
    found = play(watch(rule(seconds=30)), [*every_ten(95, 95), *every_ten(95, 95, 95, 95, begin=60)])
    assert found == [Fired(START + 90 * SECOND, START + 60 * SECOND, 95)]


def test_three_intervals_without_a_sample_are_no_gap() -> None:
    found = play(watch(rule(seconds=30)), [sample(0, 95), sample(30, 95)])
    assert [one.at for one in found] == [START + 30 * SECOND]


def test_missing_samples_end_nothing_that_fires() -> None:
    found = play(watch(rule(seconds=0)), [sample(0, 95), sample(4000, 95), sample(4010, 0)])
    assert [one.at for one in found] == [START, START + 4010 * SECOND]


def test_a_host_that_reports_every_minute_has_no_gaps_once_that_is_known() -> None:
    samples = [sample(60 * number, 95 if number > 4 else 0) for number in range(11)]
    assert [one.at for one in play(watch(rule(seconds=180)), samples)] == [START + 60 * 8 * SECOND]


def test_a_late_sample_and_one_that_comes_again_change_nothing() -> None:
    watched = watch(rule(seconds=30, clear_threshold=10))
    play(watched, every_ten(95, 95, 95, 95))
    before = dict(watched.states)
    for late in (sample(30, 0), sample(20, 0), sample(-3600, 0), sample(29.9, 95)):
        assert watched.sample(late) is None
    assert watched.states == before
    assert watched.last_at == START + 30 * SECOND


def test_silence_longer_than_the_duration_fires_at_the_end_of_the_duration() -> None:
    watched = watch(rule(Metric.HEARTBEAT, 60))
    play(watched, every_ten(0, 0))
    assert transitions(watched.silence(START + 70 * SECOND)) == []
    assert transitions(watched.silence(START + 71 * SECOND)) == [Fired(START + 70 * SECOND, START + 10 * SECOND, None)]
    assert transitions(watched.silence(START + 99 * SECOND)) == [], "once"
    [resolved] = play(watched, [sample(100)])
    assert resolved == Resolved(START + 100 * SECOND, START + 70 * SECOND, None, Ended.HEARD)


def test_silence_counts_from_when_it_is_the_hosts_own() -> None:
    watched = watch(rule(Metric.HEARTBEAT, 60))
    play(watched, every_ten(0))
    watched.excused_until = START + 300 * SECOND
    assert transitions(watched.silence(START + 360 * SECOND)) == []
    assert [one.at for one in transitions(watched.silence(START + 361 * SECOND))] == [START + 360 * SECOND]
    found = play(watched, [sample(400)])
    assert [one.at for one in found] == [START + 400 * SECOND]


def test_silence_that_nobody_watched_is_found_with_the_next_sample() -> None:
    found = play(watch(rule(Metric.HEARTBEAT, 60)), [sample(0), sample(100)])
    assert [(type(one), one.at) for one in found] == [
        (Fired, START + 60 * SECOND),
        (Resolved, START + 100 * SECOND),
    ]


@pytest.mark.parametrize(
    ("after", "reason"),
    [("changed", Ended.RULE_CHANGED), ("gone", Ended.RULE_DELETED)],
)
def test_a_rule_that_changes_or_goes_ends_what_it_fires(after: str, reason: Ended) -> None:
    fires, other = rule(seconds=0), rule(seconds=0, threshold=50)
    watched = watch(fires, other)
    play(watched, every_ten(95))
    edited = Rule(fires.id, 2, "r", Metric.CPU, SECOND, threshold=99)
    rules = RuleSet([other, edited] if after == "changed" else [other])
    later = START + 5 * SECOND
    assert transitions(watched.follow(rules, later, lambda _: Ended.RULE_DELETED)) == [
        Resolved(later, START, None, reason)
    ]
    assert set(watched.states) == {other.id}
    assert transitions(watched.follow(rules, later, lambda _: Ended.RULE_DELETED)) == []


def test_what_was_pending_under_an_older_version_begins_anew() -> None:
    pending = rule(seconds=30)
    watched = watch(pending)
    play(watched, every_ten(95, 95, 95))
    newer = Rule(pending.id, 2, "r", Metric.CPU, 30 * SECOND, threshold=80)
    [change] = watched.follow(RuleSet([newer]), START + 20 * SECOND, lambda _: Ended.RULE_DELETED)
    assert (change.state, change.transition) == (None, None)
    assert [one.at for one in play(watched, every_ten(95, 95, 95, 95, begin=30))] == [START + 60 * SECOND]


def test_a_rule_judges_nothing_from_before_its_version() -> None:
    newer = rule(seconds=30, valid_from=START + 25 * SECOND)
    assert [one.at for one in play(watch(newer), every_ten(95, 95, 95, 95, 95, 95, 95))] == [START + 60 * SECOND]


def test_a_host_that_was_silent_before_there_was_the_rule_has_its_duration_to_be_heard() -> None:
    watched = watch(rule(Metric.HEARTBEAT, 60, valid_from=START + 500 * SECOND))
    play(watched, every_ten(0))
    assert transitions(watched.silence(START + 560 * SECOND)) == []
    [fired] = transitions(watched.silence(START + 561 * SECOND))
    assert (fired.at, fired.since) == (START + 560 * SECOND, START + 500 * SECOND)  # type: ignore[union-attr]


values = st.sampled_from([0.0, 49.0, 50.0, 51.0, 79.0, 80.0, 85.0, 90.0, 91.0, 100.0])
steps = st.lists(st.tuples(st.sampled_from([-20, 0, 1, 10, 10, 10, 10, 31, 600]), values, values), max_size=60)
rules = st.lists(
    st.builds(
        lambda metric, seconds, comparison, threshold, clear: Rule(
            uuid4(), 1, "r", metric, timedelta(seconds=seconds), comparison, threshold, clear
        ),
        st.sampled_from([Metric.CPU, Metric.MEMORY]),
        st.sampled_from([0, 10, 30, 60]),
        st.sampled_from(list(Comparison)),
        st.sampled_from([50.0, 90.0]),
        st.sampled_from([None, 50.0, 80.0]),
    ).filter(lambda made: not complaints(made)),
    max_size=5,
)


def course(steps: Sequence[tuple[int, float, float]]) -> list[Sample]:
    made, at = [], 0
    for distance, cpu, memory in steps:
        at += distance
        made.append(sample(at, cpu, memory=memory))
    return made


@given(rules, steps)
def test_the_short_way_for_quiet_samples_decides_as_every_step_by_itself(
    rules: list[Rule], steps: list[tuple[int, float, float]]
) -> None:
    watched, rhythm, last = watch(*rules), Rhythm(TEN), None
    states: dict[UUID, State] = {made.id: None for made in rules}
    for one in course(steps):
        if last is not None and one.timestamp <= last:
            assert watched.sample(one) is None
            continue
        continuous = last is not None and not rhythm.is_gap(one.timestamp - last)
        if last is not None:
            rhythm = rhythm.then(one.timestamp - last)
        last = one.timestamp
        expected = {}
        for made in rules:
            value = one.cpu if made.metric is Metric.CPU else one.memory
            states[made.id], transition = step(made, states[made.id], one.timestamp, value, continuous=continuous)
            if transition is not None:
                expected[made.id] = transition
        found = watched.sample(one)
        assert found is not None
        assert {change.alert_id: change.transition for change in found if change.transition} == expected
        assert watched.states == {made: state for made, state in states.items() if state is not None}


@given(rules, steps)
def test_what_fires_was_true_all_the_while_and_ends_once(
    rules: list[Rule], steps: list[tuple[int, float, float]]
) -> None:
    for made in rules:
        samples = course([(max(distance, 1), cpu, memory) for distance, cpu, memory in steps])
        found = play(watch(made), samples)
        assert [type(one) for one in found] == [Fired, Resolved] * (len(found) // 2) + [Fired] * (len(found) % 2)
        value = {one.timestamp: one.cpu if made.metric is Metric.CPU else one.memory for one in samples}
        for one in found:
            if isinstance(one, Fired):
                assert one.at - one.since >= made.duration
                assert all(made.holds(v) for at, v in value.items() if one.since <= at <= one.at)
        for fired, resolved in zip(found[::2], found[1::2], strict=False):
            assert isinstance(resolved, Resolved)
            assert resolved.fired_at == fired.at
            assert all(made.goes_on(v) for at, v in value.items() if fired.at < at < resolved.at)


def test_states_tell_since_when() -> None:
    watched = watch(pending := rule(seconds=30), fires := rule(seconds=0))
    play(watched, every_ten(95, 95))
    assert watched.states == {pending.id: Pending(START), fires.id: Firing(START, START)}
    assert watched.is_firing


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (rule(threshold=None), "threshold"),
        (rule(threshold=90, clear_threshold=91), "clear_threshold"),
        (rule(threshold=90, clear_threshold=89, comparison=Comparison.BELOW), "clear_threshold"),
        (Rule(uuid4(), 1, "r", Metric.HEARTBEAT, SECOND, threshold=1), "threshold"),
        (Rule(uuid4(), 1, "r", Metric.HEARTBEAT, SECOND, clear_threshold=1), "clear_threshold"),
        (Rule(uuid4(), 1, "r", Metric.HEARTBEAT, timedelta(0)), "duration"),
    ],
)
def test_a_rule_that_contradicts_itself_is_told_where(wrong: Rule, field: str) -> None:
    assert list(complaints(wrong)) == [field]


PERCENT = (Metric.CPU, Metric.MEMORY, Metric.DISK)


@given(
    st.sampled_from([*PERCENT, Metric.UPTIME]),
    st.sampled_from(list(Comparison)),
    st.floats(-200, 300) | st.sampled_from([-1.0, 0.0, 100.0, 101.0]),
    st.none() | st.floats(-200, 300) | st.sampled_from([0.0, 100.0]),
)
def test_what_is_not_complained_of_can_fire_and_end(
    metric: Metric, comparison: Comparison, threshold: float, clear: float | None
) -> None:
    made = Rule(uuid4(), 1, "r", metric, SECOND, comparison, threshold, clear)
    # The ends of what is measured, and beside each bound.
    most = 100.0 if metric in PERCENT else 1e9
    bounds = [0.0, most, threshold, clear or 0.0]
    values = [value for bound in bounds for value in (bound - 1e-9, bound, bound + 1e-9) if 0 <= value <= most]
    can_fire, can_end = any(map(made.holds, values)), not all(map(made.goes_on, values))
    fires_always = all(map(made.holds, values))
    beyond = clear is not None and (clear > threshold if comparison.is_upward else clear < threshold)

    assert (complaints(made) == {}) == (can_fire and can_end and not fires_always and not beyond)


@pytest.mark.parametrize(
    ("metric", "comparison", "threshold", "clear", "said"),
    [
        (Metric.CPU, ">=", 150, None, {"threshold": "it would never fire: cpu is never >= 150"}),
        (Metric.CPU, ">", 100, None, {"threshold": "it would never fire: cpu is never > 100"}),
        (Metric.DISK, ">=", -5, None, {"threshold": "it would fire for ever: disk is always >= -5"}),
        (Metric.MEMORY, "<", 0, None, {"threshold": "it would never fire: memory is never < 0"}),
        (Metric.MEMORY, "<=", 100, None, {"threshold": "it would fire for ever: memory is always <= 100"}),
        (Metric.UPTIME, "<", -1, None, {"threshold": "it would never fire: uptime is never < -1"}),
        (Metric.UPTIME, ">", -1, None, {"threshold": "it would fire for ever: uptime is always > -1"}),
        (Metric.CPU, ">=", 90, -1, {"clear_threshold": "what fires would never end: cpu is always >= -1"}),
        (Metric.CPU, "<", 5, 120, {"clear_threshold": "what fires would never end: cpu is always < 120"}),
        (Metric.CPU, ">=", 100, 0.5, {}),
        (Metric.CPU, ">", 0, None, {}),
        (Metric.CPU, "<=", 0, 99, {}),
        (Metric.UPTIME, "<", 300, 10_000_000, {}),
    ],
)
def test_a_threshold_that_nothing_or_everything_passes_is_refused(
    metric: Metric, comparison: str, threshold: float, clear: float | None, said: dict[str, str]
) -> None:
    assert complaints(Rule(uuid4(), 1, "r", metric, SECOND, Comparison(comparison), threshold, clear)) == said


def test_a_rule_is_for_its_host_or_for_the_hosts_that_have_all_its_tags() -> None:
    assert rule(host_id="host-a").matches("host-a", {})
    assert not rule(host_id="host-a", selector={}).matches("host-b", {})
    chosen = rule(selector={"env": "prod", "role": "db"})
    assert chosen.matches("host-b", {"env": "prod", "role": "db", "more": "x"})
    assert not chosen.matches("host-b", {"env": "prod"})
    assert rule(selector={}).matches("any", {})
