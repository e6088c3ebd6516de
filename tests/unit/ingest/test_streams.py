"""What batches say about the runs of agents, however they are cut, ordered and repeated."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import groupby
from random import Random
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from infrawatch_common.events import Sample, Stamp
from infrawatch_common.events.records import MAX_SEQUENCE
from infrawatch_ingest.domain.streams import Gap, StreamPart, join, streams_of
from records import FakeMessage

BEGIN = datetime(2026, 11, 22, 10, tzinfo=UTC)
INSTANCE = UUID("5f0c5d2e-8d5a-4c39-9a39-2f2f7b0f7a11")


def at(sequence: int) -> datetime:
    return BEGIN + timedelta(seconds=10 * sequence)


def arrival(sequence: int, instance: UUID = INSTANCE, late: float = 1.0) -> tuple[Sample, FakeMessage]:
    sample = Sample(uuid4(), "host-a", at(sequence), 0, 0, 0, 0, Stamp(instance, sequence))
    return sample, FakeMessage(b"", appended_at=at(sequence) + timedelta(seconds=late))


def part(*sequences: int) -> StreamPart:
    [only] = streams_of("host-a", [arrival(number) for number in sequences])
    return only


def numbers(ranges: Sequence[tuple[int, int]]) -> list[int]:
    return [number for low, high in ranges for number in range(low, high + 1)]


batches = st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=12), min_size=1, max_size=8)


@given(batches, st.randoms())
def test_any_cut_order_and_repetition_gives_the_same_numbers_and_bounds(
    batches: list[list[int]], random: Random
) -> None:
    expected = sorted({number for batch in batches for number in batch})
    again = [*batches, *batches[::2]]
    random.shuffle(again)
    joined = reduce(join, [part(*batch) for batch in again])
    assert numbers(joined.ranges) == expected
    assert all(high + 1 < low for (_, high), (low, _) in zip(joined.ranges, joined.ranges[1:], strict=False))
    assert (joined.first_at, joined.last_at) == (at(expected[0]), at(expected[-1]))
    assert (joined.lowest_at, joined.newest_at) == (at(expected[0]), at(expected[-1]))
    assert joined.newest_appended == int((at(expected[-1]).timestamp() + 1) * 1000)


def test_numbers_as_far_apart_as_can_be_cost_no_more_than_others() -> None:
    def numbered(sequence: int) -> tuple[Sample, FakeMessage]:
        return Sample(uuid4(), "host-a", BEGIN, 0, 0, 0, 0, Stamp(INSTANCE, sequence)), FakeMessage(b"")

    [far] = streams_of("host-a", [numbered(0), numbered(MAX_SEQUENCE)])
    assert far.ranges == ((0, 0), (MAX_SEQUENCE, MAX_SEQUENCE))
    assert [(gap.first, gap.last) for gap in far.gaps] == [(1, MAX_SEQUENCE - 1)]
    assert join(part(0), far).ranges == far.ranges


@given(batches)
def test_joining_what_is_already_in_it_changes_nothing(batches: list[list[int]]) -> None:
    parts = [part(*batch) for batch in batches]
    joined = reduce(join, parts)
    for again in parts:
        assert join(joined, again) == joined


@given(st.sets(st.integers(0, 60), min_size=1), st.integers(1, 12))
def test_numbers_in_order_leave_exactly_the_gaps_between_them_with_the_times_on_both_sides(
    received: set[int], size: int
) -> None:
    ordered = sorted(received)
    joined = reduce(join, [part(*ordered[start : start + size]) for start in range(0, len(ordered), size)])
    missing = sorted(set(range(ordered[0], ordered[-1])) - received)
    runs = [[m for _, m in run] for _, run in groupby(enumerate(missing), lambda pair: pair[1] - pair[0])]
    assert list(joined.gaps) == [Gap(run[0], run[-1], at(run[0] - 1), at(run[-1] + 1)) for run in runs]


def test_the_runs_of_a_host_are_told_apart_and_come_in_one_order() -> None:
    instances = sorted((uuid4() for _ in range(3)), key=lambda instance: instance.int)
    mixed = [arrival(number, instances[number % 3]) for number in range(9)]
    parts = streams_of("host-a", mixed[::-1])
    assert [found.instance for found in parts] == instances
    assert [numbers(found.ranges) for found in parts] == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
