"""Silence that is nobody's but ours: what the topic tells of the time in which nobody looked."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from infrawatch_alerting.domain.fleet import Facts, Fleet, Rulebook, StoredHost
from infrawatch_alerting.domain.positions import Pauses
from infrawatch_common.alerts.engine import Fired
from infrawatch_common.alerts.rules import Metric, Rule
from infrawatch_common.events import Sample, Stamp
from records import NOW

SECOND = timedelta(seconds=1)
SILENT = Rule(UUID(int=2), 1, "silent", Metric.HEARTBEAT, 60 * SECOND)


def found(records: Sequence[float], end: float, longest: float = 30) -> list[tuple[float, float]]:
    """The pauses of a topic with records of these times, the first of which is where the search begins."""
    search = Pauses(records[0], end, longest)
    while search.probe is not None:
        place = bisect_left(records, search.probe)
        search.answer(records[place] if place < len(records) else None)
    return search.found


def test_a_pause_is_told_with_its_end() -> None:
    records = [*range(0, 100, 5), *range(400, 500, 5)]
    assert [end for _, end in found(records, 500)] == [400]
    assert found(list(range(0, 500, 5)), 500) == []
    assert [end for _, end in found([0], 100)] == [100], "nothing came since"
    assert found([0], 20) == []


@given(st.lists(st.integers(1, 200), min_size=1, max_size=40), st.integers(0, 200))
def test_every_long_pause_is_found_and_no_short_one(distances: list[int], rest: int) -> None:
    records = [0.0]
    for distance in distances:
        records.append(records[-1] + distance)
    end = records[-1] + rest
    pauses = found(records, end)
    for begin, until in pairwise([*records, end]):
        inside = [one for one in pauses if one[0] <= begin < one[1] <= until]
        assert len(inside) == 1 if until - begin > 45 else until - begin > 30 or not inside
    assert {until for _, until in pauses} <= {*records, end}
    assert all(begin <= until - 30 for begin, until in pauses)


def test_a_long_time_is_asked_about_a_bounded_number_of_times() -> None:
    search, asked = Pauses(0, 30 * 86_400, 30), 0
    while search.probe is not None:
        asked += 1
        search.answer(search.probe + 1)
    assert asked <= 2001


def fleet(*pauses: tuple[float, float]) -> Fleet:
    """One host that was heard until then, and a rule that minds a minute of silence."""
    made = Fleet(10 * SECOND)
    made.follow(Rulebook((SILENT,), frozenset(), {"a": Facts({}, retired=False)}), NOW)
    made.excuse_pauses([(NOW + begin * SECOND, NOW + end * SECOND) for begin, end in pauses])
    made.restore([StoredHost("a", NOW, NOW, ())], [], NOW)
    return made


def fired(changes: Any) -> list[float]:
    return [(change.transition.at - NOW).total_seconds() for change in changes if isinstance(change.transition, Fired)]


def heard(made: Fleet, second: float) -> list[float]:
    at = NOW + second * SECOND
    one = Sample(UUID(int=7), "a", at, 1.0, 1.0, 1.0, 1, Stamp(UUID(int=1), 1))
    return fired(made.sample(one, at.timestamp() * 1000) or ())


def test_a_host_is_not_silent_while_nothing_came_of_any() -> None:
    assert heard(fleet(), 1000) == [60]
    assert heard(fleet((0, 995)), 1000) == []
    assert heard(fleet((5, 400), (450, 995)), 1000) == []


def test_a_host_that_had_been_silent_too_long_already_is_not_excused() -> None:
    assert heard(fleet((70, 995)), 1000) == [60]
    assert heard(fleet((5, 400), (700, 995)), 1000) == [460]


def test_what_is_silent_after_a_pause_counts_from_its_end() -> None:
    assert heard(fleet((0, 500)), 1000) == [560]
    assert heard(fleet((0, 500), (1500, 1600)), 1000) == [560], "a later one is not its matter"
    made = fleet((0, 500))
    assert [fired([change]) for _, change in made.silence(NOW + 560 * SECOND)] == []
    assert [fired([change]) for _, change in made.silence(NOW + 561 * SECOND)] == [[560]]


def test_a_pause_matters_as_long_before_the_newest_sample_as_a_heartbeat_is_patient() -> None:
    assert fleet().excusable_from == NOW - 60 * SECOND
    patient = fleet()
    facts = {"a": Facts({}, retired=False)}
    patient.follow(Rulebook((replace(SILENT, duration=timedelta(days=7)),), frozenset(), facts), NOW)
    assert patient.excusable_from == NOW - timedelta(hours=1)
    made = Fleet(10 * SECOND)
    made.follow(Rulebook((), frozenset(), {}), NOW)
    made.restore([StoredHost("a", NOW, NOW, ())], [], NOW)
    assert made.excusable_from is None, "no heartbeat"
