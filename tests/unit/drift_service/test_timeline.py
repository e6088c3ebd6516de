"""Where sightings belong: rows are a function of the set of sightings, in whatever order and batches they come."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid5

from hypothesis import given, settings
from hypothesis import strategies as st

from infrawatch_drift.domain.timeline import (
    Place,
    Run,
    Sighting,
    Step,
    Stretch,
    rearrange,
    runs_of,
    stretches,
)

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def sighting(minute: int, identifier: int, content: str) -> Sighting:
    return Sighting(START + timedelta(minutes=minute), UUID(int=identifier), content.encode())


# Few times and contents, so that sightings at one time and runs of many are usual.
SIGHTINGS = st.builds(sighting, st.integers(0, 12), st.integers(1, 40), st.sampled_from("ABC"))
HOSTS = st.lists(SIGHTINGS, max_size=16, unique_by=lambda one: one.id)


class Rows:
    """What a database holds of one host, kept by what ``rearrange`` says."""

    def __init__(self) -> None:
        self.runs: dict[UUID, Run] = {}
        self.sightings: set[Sighting] = set()
        self.changes: dict[UUID, tuple[bytes, datetime]] = {}  # of a run: content and end of the one before it

    def add(self, batch: Iterable[Sighting]) -> list[Step]:
        fresh = {one for one in batch if one not in self.sightings}
        self.sightings |= fresh
        steps: list[Step] = []
        for stretch in stretches([self._place(one) for one in fresh]):
            made = rearrange(stretch)
            for run in made.gone:
                del self.runs[run.id]
                self.changes.pop(run.id, None)
            for step in made.steps:
                assert step.is_new is (step.run.id not in self.runs)
                self.runs[step.run.id] = step.run
                if step.before is not None:
                    self.changes[step.run.id] = step.before.digest, step.before.confirmed_at
            for run in made.confirmed:
                self.runs[run.id] = run
            assert {step.replaced for step in made.steps} - {None} == set(made.gone)
            steps += made.steps
        return steps

    def _place(self, one: Sighting) -> Place:
        """As the store asks for it."""
        runs = sorted(self.runs.values())
        before = max((run for run in runs if run.begin <= one[:2]), default=None)
        after = min((run for run in runs if run.begin > one[:2]), default=None)
        between = [
            other
            for other in self.sightings
            if before is not None and before.begin < other[:2] and (after is None or other[:2] < after.begin)
        ]
        beside = (
            max((other for other in between if other[:2] < one[:2]), default=None),
            min((other for other in between if other[:2] > one[:2]), default=None),
        )
        return Place(one, before, after, tuple(other for other in beside if other is not None))

    def forget(self, within_runs: Sequence[Sighting]) -> None:
        self.sightings -= set(within_runs)

    @property
    def prunable(self) -> list[Sighting]:
        """What lies between the first and the last sighting of a run."""
        begun = {one: [run for run in self.runs.values() if run.timestamp < one.timestamp] for one in self.sightings}
        return [one for one, runs in begun.items() if runs and max(runs).confirmed_at > one.timestamp]


def check(rows: Rows, sightings: Iterable[Sighting]) -> None:
    wanted = runs_of(sightings)
    assert sorted(rows.runs.values()) == wanted
    assert rows.changes == {run.id: (before.digest, before.confirmed_at) for before, run in pairwise(wanted)}


@st.composite
def batches(draw: st.DrawFn, sightings: Sequence[Sighting]) -> list[list[Sighting]]:
    """All of them, some more than once, in any order, cut anywhere."""
    again = draw(st.lists(st.sampled_from(sightings), max_size=6)) if sightings else []
    order = draw(st.permutations([*sightings, *again]))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=8)))
    return [list(order[start:end]) for start, end in pairwise([0, *cuts, len(order)])]


@given(HOSTS, st.data())
def test_any_order_and_any_batches_end_in_the_runs_of_all_sightings(
    sightings: list[Sighting], data: st.DataObject
) -> None:
    rows = Rows()
    seen: set[Sighting] = set()
    for batch in data.draw(batches(sightings)):
        rows.add(batch)
        seen |= set(batch)
        check(rows, seen)


@settings(max_examples=60)
@given(HOSTS, HOSTS, st.data())
def test_sightings_within_runs_can_be_forgotten(
    early: list[Sighting], late: list[Sighting], data: st.DataObject
) -> None:
    rows = Rows()
    rows.add(early)
    ids = {one.id for one in early}
    forgotten = set(rows.prunable)
    rows.forget(list(forgotten))
    new = [one for one in late if one.id not in ids]
    for batch in data.draw(batches(new)):
        rows.add(batch)
        forgotten |= set(rows.prunable)
        rows.forget(rows.prunable)
    check(rows, {*early, *new} - forgotten)


def test_where_no_sighting_is_left_the_ends_of_a_run_stand_for_them() -> None:
    a, x, b = sighting(0, 1, "A"), sighting(5, 2, "X"), sighting(20, 3, "B")
    rows = Rows()
    rows.add([a, sighting(10, 4, "A"), b])
    rows.forget(list(rows.sightings))
    rows.add([x])
    end = START + timedelta(minutes=10)
    assert sorted(rows.runs.values()) == [
        Run(a.timestamp, a.id, b"A", a.timestamp),
        Run(x.timestamp, x.id, b"X", x.timestamp),
        Run(end, uuid5(a.id, end.isoformat()), b"A", end),
        Run(b.timestamp, b.id, b"B", b.timestamp),
    ]


def test_the_end_of_a_run_comes_before_a_run_that_begins_at_the_same_time() -> None:
    rows = Rows()
    rows.add([sighting(0, 1, "A"), sighting(10, 2, "A"), sighting(10, 3, "B")])
    rows.forget(list(rows.sightings))
    rows.add([sighting(5, 4, "A")])
    assert [run.digest for run in sorted(rows.runs.values())] == [b"A", b"B"]
    assert rows.runs[UUID(int=1)].confirmed_at == START + timedelta(minutes=10)


def test_the_end_of_a_run_is_not_a_sighting_of_a_later_one_at_the_same_time() -> None:
    rows = Rows()
    later = sighting(10, 50, "A")
    rows.add([sighting(0, 10, "A"), sighting(10, 20, "A"), sighting(10, 30, "B"), sighting(10, 40, "A"), later])
    rows.add([sighting(12, 60, "A")])
    rows.forget([one for one in rows.sightings if one != later])
    rows.add([sighting(5, 70, "C"), sighting(10, 35, "B"), sighting(11, 80, "C")])
    runs = [(run.digest[0], run.timestamp - START) for run in sorted(rows.runs.values())]
    assert runs == [
        (name, timedelta(minutes=m)) for name, m in zip(b"ACABACA", (0, 5, 10, 10, 10, 11, 12), strict=True)
    ]


def test_what_follows_what_is_known_is_not_late_and_what_precedes_it_is() -> None:
    rows = Rows()
    assert [step.late for step in rows.add([sighting(0, 1, "A"), sighting(5, 2, "B"), sighting(6, 3, "B")])] == [
        False,
        False,
    ]
    assert [step.late for step in rows.add([sighting(7, 4, "C"), sighting(8, 5, "D")])] == [False, False]
    assert [step.late for step in rows.add([sighting(4, 6, "E")])] == [True, True]
    assert all(step.late for step in rows.add([sighting(1, 7, "B")]))


def test_a_host_is_looked_at_only_where_something_comes() -> None:
    """However long its history is, a late sighting costs what is next to it."""
    rows = Rows()
    rows.add([sighting(minute, minute + 1, "AB"[minute % 2]) for minute in range(1000)])
    assert len(rows.add([sighting(500, 5000, "C"), sighting(200, 5001, "C")])) == 4


def test_sightings_far_apart_are_stretches_of_their_own() -> None:
    first, second, third = (
        Run(START + timedelta(minutes=m), UUID(int=m + 1), b"ABC"[m : m + 1], START) for m in range(3)
    )
    places = [
        Place(sighting(0, 10, "X"), first, second),
        Place(sighting(1, 11, "X"), second, third),
        Place(sighting(60, 12, "X"), Run(START + timedelta(minutes=50), UUID(int=9), b"A", START), None),
    ]
    assert [(len(part.runs), len(part.new)) for part in stretches(reversed(places))] == [(3, 2), (1, 1)]
    assert stretches([]) == []
    assert isinstance(stretches(places)[0], Stretch)
