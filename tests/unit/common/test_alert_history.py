"""Samples that come after newer ones: what they would have brought about in time is found, once."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_common.alerts.engine import Ended, Fired, Firing, Resolved, Rhythm
from infrawatch_common.alerts.history import MOST_GAPS
from infrawatch_common.alerts.rules import Metric, Rule
from infrawatch_common.alerts.watching import HostWatch, RuleSet
from infrawatch_common.events import Sample, Stamp

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TEN = 10 * SECOND
WAITS = 300 * SECOND
AGENT = Stamp(uuid4(), 0)


def rule(metric: Metric = Metric.CPU, seconds: float = 30, **more: object) -> Rule:
    threshold = None if metric is Metric.HEARTBEAT else 90.0
    made = {"id": uuid4(), "version": 1, "name": "r", "metric": metric, "threshold": threshold} | more
    return Rule(duration=timedelta(seconds=seconds), **made)  # type: ignore[arg-type]


def sample(seconds: float, cpu: float = 0.0) -> Sample:
    return Sample(uuid4(), "host-a", START + seconds * SECOND, cpu, 0.0, 0.0, 1000, AGENT)


def every_ten(begin: float, *cpu: float) -> list[Sample]:
    return [sample(begin + 10 * number, value) for number, value in enumerate(cpu)]


@dataclass
class Event:
    alert_id: UUID
    fired: float
    back_filled: bool
    ended: float | None = None
    why: Ended | None = None


@dataclass
class Played:
    """A watch, and what it found: one event for each firing, however often it is found."""

    watch: HostWatch
    events: dict[tuple[UUID, datetime], Event] = field(default_factory=dict)

    def take(self, samples: Iterable[Sample]) -> "Played":
        for one in samples:
            changes = self.watch.sample(one)
            if changes is None:
                changes = self.watch.fill(one) or ()
            for change in changes:
                self.note(change.alert_id, change.transition, back_filled=change.back_filled)
        return self

    def note(self, alert_id: UUID, transition: Fired | Resolved | None, *, back_filled: bool) -> None:
        if isinstance(transition, Fired):
            fired = (transition.at - START).total_seconds()
            self.events.setdefault((alert_id, transition.at), Event(alert_id, fired, back_filled))
        if isinstance(transition, Resolved):
            event = self.events[alert_id, transition.fired_at]
            assert event.ended is None, "it ends once"
            event.ended, event.why = (transition.at - START).total_seconds(), transition.reason

    @property
    def found(self) -> list[tuple[float, float | None, Ended | None]]:
        return [(one.fired, one.ended, one.why) for one in sorted(self.events.values(), key=lambda one: one.fired)]


def played(*rules: Rule, waits: timedelta | None = WAITS) -> Played:
    return Played(HostWatch("host-a", RuleSet(rules), Rhythm(TEN), waits=waits))


QUIET = (0.0,) * 5


def test_what_should_have_fired_during_an_outage_is_found() -> None:
    world = played(rule()).take(every_ten(0, *QUIET)).take([sample(200)])
    world.take(every_ten(50, 0, 95, 95, 95, 95, 95, 0, *[0] * 8))
    assert world.found == [(90, 110, Ended.CLEARED)]
    assert all(event.back_filled for event in world.events.values())
    assert world.watch.history is None, "the gap is filled"


def test_what_was_pending_when_the_gap_began_goes_on_in_it() -> None:
    world = played(rule()).take(every_ten(0, 0, 95, 95)).take([sample(200)])
    world.take(every_ten(30, 95, 95, 0))
    assert world.found == [(40, 50, Ended.CLEARED)]


def test_the_present_state_is_not_rewound_and_nothing_ends_falsely() -> None:
    fires = rule(seconds=0)
    world = played(fires).take(every_ten(0, *QUIET)).take(every_ten(200, 95, 95))
    before = dict(world.watch.states)
    world.take(every_ten(50, *[0] * 15))
    assert world.watch.states == before == {fires.id: Firing(START + 200 * SECOND, START + 200 * SECOND)}
    assert world.found == [(200, None, None)]


def test_what_fires_when_the_gap_begins_fires_through_it() -> None:
    world = played(rule(seconds=0)).take(every_ten(0, 0, 95)).take([sample(200, 95)])
    world.take(every_ten(20, 0, 0, 95, 0)).take([sample(210, 0)])
    assert world.found == [(10, 210, Ended.CLEARED)]


def test_what_fires_at_the_end_of_the_gap_and_goes_on_is_one_event() -> None:
    world = played(rule()).take(every_ten(0, *QUIET)).take(every_ten(200, 95, 95))
    world.take(every_ten(50, 0, *[95] * 14))
    assert world.found == [(90, None, None)]
    world.take(every_ten(220, 95, 95, 95, 0))
    assert world.found == [(90, 250, Ended.CLEARED)]


def test_what_went_on_in_an_event_that_fired_meanwhile_ends_where_that_began() -> None:
    world = played(rule()).take(every_ten(0, *QUIET)).take(every_ten(200, *[95] * 5))
    world.take(every_ten(50, 0, *[95] * 14)).take([sample(250, 0)])
    assert world.found == [(90, 230, Ended.CONTINUED), (230, 250, Ended.CLEARED)]


def test_what_had_ended_behind_the_gap_ends_where_it_did() -> None:
    world = played(rule(clear_threshold=50)).take(every_ten(0, *QUIET)).take(every_ten(200, 95, 60, 0, 95))
    world.take(every_ten(50, 0, *[95] * 14))
    assert world.found == [(90, 220, Ended.CLEARED)]


def test_what_is_pending_at_the_end_of_the_gap_goes_on_behind_it() -> None:
    world = played(rule(seconds=60)).take(every_ten(0, *QUIET)).take([sample(200, 95)])
    world.take(every_ten(50, *[0] * 13, 95, 95)).take(every_ten(210, 95, 95, 95, 95, 0))
    assert world.found == [(240, 250, Ended.CLEARED)]


def test_what_would_have_fired_behind_the_gap_is_found_at_its_end() -> None:
    world = played(rule(seconds=60)).take(every_ten(0, *QUIET)).take(every_ten(200, 95, 95, 95, 95, 95, 0))
    world.take(every_ten(50, *[0] * 13, 95, 95))
    assert world.found == [(240, 250, Ended.CLEARED)]


def test_samples_that_are_missing_before_the_end_of_the_gap_break_what_is_pending() -> None:
    world = played(rule(seconds=60)).take(every_ten(0, *QUIET)).take([sample(200, 95)])
    world.take(every_ten(50, 0, *[95] * 4)).take(every_ten(210, *[0.0] * 31))
    assert world.found == []
    assert world.watch.history is None


def test_a_stretch_of_which_no_more_comes_ends_when_new_samples_have_come_for_so_long() -> None:
    world = played(rule()).take(every_ten(0, *QUIET)).take([sample(1000)])
    world.take(every_ten(50, *[95] * 6)).take(every_ten(1010, *[0.0] * 30))
    assert world.found == [(80, None, None)]
    world.take([sample(1310)])
    assert world.found == [(80, 1000, Ended.CLEARED)]
    assert world.watch.history is None
    assert world.take(every_ten(110, *[95] * 6)).found == [(80, 1000, Ended.CLEARED)], "too late"


def test_two_gaps_are_filled_one_after_the_other() -> None:
    world = played(rule()).take(every_ten(0, *QUIET)).take(every_ten(200, *QUIET)).take([sample(400)])
    world.take(every_ten(50, *[0] * 5, *[95] * 5, *[0] * 5)).take(every_ten(250, *[0] * 5, *[95] * 5, *[0] * 5))
    assert world.found == [(130, 150, Ended.CLEARED), (330, 350, Ended.CLEARED)]


def test_a_gap_is_given_up_when_a_later_one_is_filled() -> None:
    world = played(rule()).take(every_ten(0, *QUIET)).take(every_ten(200, *QUIET)).take([sample(400)])
    world.take(every_ten(50, *[95] * 5)).take(every_ten(250, 0, 0))
    assert world.found == [(80, 200, Ended.CLEARED)]
    assert world.take(every_ten(110, *[95] * 6)).found == [(80, 200, Ended.CLEARED)]


def test_an_event_that_goes_on_through_the_next_gap_covers_it() -> None:
    world = played(rule(clear_threshold=50)).take(every_ten(0, *QUIET)).take(every_ten(200, *[60] * 3))
    world.take(every_ten(50, 0, *[95] * 10)).take([sample(400, 60)])
    world.take(every_ten(160, *[95] * 4)).take(every_ten(230, 0, *[95] * 10, *[0] * 6)).take([sample(410, 0)])
    assert world.found == [(90, 410, Ended.CLEARED)]


@pytest.mark.parametrize(
    "strange",
    [
        every_ten(0, 95, 95, 95, 95, 95),
        every_ten(1, 95, 95, 95, 95),
        [sample(-3600, 95), sample(-3590, 95)],
        [sample(35, 95), sample(25, 95)],
    ],
    ids=["sent again", "a clone's", "from before the first", "in the wrong order"],
)
def test_what_fills_no_gap_changes_nothing(strange: list[Sample]) -> None:
    world = played(rule(seconds=0)).take(every_ten(0, *QUIET)).take(strange)
    assert (world.found, world.watch.history) == ([], None)
    world.take([sample(200)]).take(strange)
    assert world.found == []
    assert world.watch.last_at == START + 200 * SECOND


def test_what_filled_a_gap_fills_it_once() -> None:
    filling = every_ten(50, *[0] * 2, *[95] * 5, 0, 0)
    world = played(rule()).take(every_ten(0, *QUIET)).take([sample(400)]).take([*filling, *filling, *filling[3:6]])
    assert world.found == [(100, 120, Ended.CLEARED)]


def test_silence_inside_a_stretch_is_found_unless_it_was_told() -> None:
    heartbeat = rule(Metric.HEARTBEAT, 60)
    stretch = [*every_ten(50, *QUIET), *every_ten(300, *QUIET)]
    told = played(heartbeat).take(every_ten(0, *QUIET)).take([sample(400)]).take(stretch)
    assert told.found == [(100, 400, Ended.HEARD)]
    excused = played(heartbeat).take(every_ten(0, *QUIET))
    excused.watch.excused_until = START + 400 * SECOND
    assert excused.take([sample(400)]).take(stretch).found == [(150, 300, Ended.HEARD)]


def test_what_is_missing_at_the_beginning_of_a_stretch_is_no_silence() -> None:
    world = played(rule(Metric.HEARTBEAT, 60)).take(every_ten(0, *QUIET))
    world.watch.excused_until = START + 400 * SECOND
    assert world.take([sample(400)]).take(every_ten(300, *[0] * 10)).found == []


@pytest.mark.parametrize(("now", "why"), [("changed", Ended.RULE_CHANGED), ("gone", Ended.RULE_DELETED)])
def test_a_rule_that_changes_ends_what_it_left_firing_in_a_stretch(now: str, why: Ended) -> None:
    fires = rule(seconds=0)
    world = played(fires).take(every_ten(0, *QUIET)).take([sample(400)]).take(every_ten(50, 95, 95))
    rules = RuleSet([rule(id=fires.id, version=2, seconds=0)] if now == "changed" else [])
    for change in world.watch.follow(rules, START + 405 * SECOND, lambda _: Ended.RULE_DELETED):
        world.note(change.alert_id, change.transition, back_filled=change.back_filled)
    assert world.take(every_ten(70, 95, 95)).found == [(50, 405, why)]


def test_gaps_are_bounded() -> None:
    world = played(rule())
    for number in range(3 * MOST_GAPS):
        world.take(every_ten(200 * number, *QUIET))
        if world.watch.history is not None:
            world.watch.history.idle = timedelta(0)
    assert world.watch.history is not None
    assert len(world.watch.history.gaps) == MOST_GAPS


def test_whoever_does_not_wait_remembers_nothing() -> None:
    world = (
        played(rule(), waits=None).take(every_ten(0, *QUIET)).take([sample(400)]).take(every_ten(50, 95, 95, 95, 95))
    )
    assert (world.found, world.watch.history) == ([], None)


runs = st.lists(st.tuples(st.sampled_from([0.0, 60.0, 95.0]), st.integers(1, 6)), min_size=4, max_size=14)


def in_the_order_of_an_agent(draw: st.DrawFn, samples: Sequence[Sample]) -> tuple[list[Sample], list[tuple[int, int]]]:
    """Two outages; behind each the newest sample comes first, and between new ones what was kept."""
    first = draw(st.integers(1, len(samples) - 8))
    again = draw(st.integers(first + 5, len(samples) - 3))
    last = draw(st.integers(again + 1, len(samples) - 1))
    kept, order = list(samples[first:again]), list(samples[:first])
    gaps = [(first, again)]
    new = list(samples[again:last])
    cut = draw(st.sampled_from([last, *range(last + 3, len(samples))]))
    if cut > last:
        gaps.append((last, cut))
    for one in new:
        order.append(one)
        for _ in range(draw(st.integers(0, 4))):
            order += [kept.pop(0)] if kept else []
    kept += samples[last:cut]
    for one in samples[cut:]:
        order.append(one)
        for _ in range(draw(st.integers(0, 4))):
            order += [kept.pop(0)] if kept else []
    return order + kept, gaps


@given(st.data(), runs, st.sampled_from([0, 20, 40]), st.sampled_from([None, 50.0]))
def test_an_outage_leaves_what_would_have_fired_without_it(
    data: st.DataObject, runs: list[tuple[float, int]], seconds: int, clear: float | None
) -> None:
    """Whether it fires is the same at every sample, except where an event's gap is its own, or behind one where it
    may begin later by no more than the duration. No event is there twice.
    """
    values = [0.0, *(cpu for cpu, length in runs for _ in range(length)), *[0.0] * 8]
    samples = every_ten(0, *values)
    one = rule(seconds=seconds, clear_threshold=clear)
    order, gaps = data.draw(st.composite(in_the_order_of_an_agent)(samples))
    expected, found = played(one).take(samples), played(one).take(order)
    assert found.watch.is_firing == expected.watch.is_firing
    spans = sorted((fired, ended or math.inf) for fired, ended, _ in found.found)
    assert all(before[1] <= after[0] for before, after in pairwise(spans)), "one at a time"
    through = [(10 * start, ended) for start, _ in gaps for fired, ended in spans if fired < 10 * start <= ended]
    behind = [(10 * end, 10 * end + seconds) for _, end in gaps]
    for at in range(0, 10 * len(samples), 10):
        if not any(begin <= at <= end for begin, end in [*through, *behind]):
            assert fires_at(found, at) == fires_at(expected, at), (at, gaps, found.found, expected.found)


def fires_at(world: Played, at: float) -> bool:
    return any(fired <= at and (ended is None or at < ended) for fired, ended, _ in world.found)
