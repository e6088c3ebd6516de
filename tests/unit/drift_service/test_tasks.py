"""Steps are taken piece by piece, and nothing is read that an earlier one brings along."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_common.drift.reading import Snapshot
from infrawatch_drift.domain.timeline import Run, Step
from infrawatch_drift.tasks import Task, needed, pieces

START = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
A_COPY = 64 * 1024


def run(number: int) -> Run:
    at = START + timedelta(minutes=number)
    return Run(at, UUID(int=number), bytes([number]), at)


def task(number: int, size: int | None = 0, *, before: int | None = None, is_new: bool = True) -> Task:
    """Run ``number``, said by a record of so many bytes; of none: as a stored row says, whose id is 1,000 more."""
    step = Step(None if before is None else run(before), run(number), is_new, late=False, replaced=None)
    if not is_new:
        return Task("host-a", step, None, None)
    if size is None:
        return Task("host-a", step, UUID(int=1000 + number), None)
    snapshot = Snapshot(UUID(int=number), "host-a", START, bytes([number]), "host-a", {}, None)
    record = ConsumerRecord("topic", 0, number, 0, 0, b"host-a", b"x" * size, None, 0, size, ())
    return Task("host-a", step, None, (snapshot, record))


@given(st.lists(st.none() | st.integers(0, 2000), max_size=30), st.integers(1, 5000))
def test_pieces_are_all_tasks_in_their_order_and_no_larger_than_they_may_be(sizes: list[int | None], most: int) -> None:
    tasks = [task(number, size) for number, size in enumerate(sizes)]
    made = list(pieces(tasks, most))
    assert [one for piece in made for one in piece] == tasks
    assert all(made)
    assert all(len(piece) == 1 or sum(one.size for one in piece) <= most for piece in made)
    following = [sum(one.size for one in piece) + then[0].size for piece, then in pairwise(made)]
    assert all(size > most for size in following)


def test_a_run_that_a_stored_row_says_counts_as_a_usual_snapshot() -> None:
    assert task(1, None).size == A_COPY
    assert task(1, 7).size == 7


def test_a_row_before_is_needed_unless_it_is_made_by_these_tasks_or_just_before_them() -> None:
    tasks = [task(2, before=1), task(3, before=2), task(7, before=6)]
    assert needed(tasks, None) == {UUID(int=1), UUID(int=6)}
    assert needed(tasks, task(1)) == {UUID(int=6)}


def test_a_row_is_needed_whose_content_is_copied_or_compared_anew() -> None:
    assert needed([task(2, None, before=1)], task(1)) == {UUID(int=1002)}
    assert needed([task(2, before=1, is_new=False)], None) == {UUID(int=1), UUID(int=2)}
