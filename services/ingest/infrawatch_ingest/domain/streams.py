"""What a batch says about the runs of agents that sent it: which sequence numbers came, when, and how late."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple, Protocol
from uuid import UUID

from infrawatch_common.events import Sample


class Appended(Protocol):
    """A record as Kafka delivers it; ``timestamp`` is the broker's append time in milliseconds."""

    @property
    def timestamp(self) -> int: ...  # noqa: D102


Arrival = tuple[Sample, Appended]


class Gap(NamedTuple):
    """Numbers that did not come, both ends included, with the times of the records on either side."""

    first: int
    last: int
    after: datetime
    before: datetime


class StreamPart(NamedTuple):
    """One batch of one run of an agent. Append times are the broker's, in milliseconds.

    ``ranges`` are sorted and disjoint, with both ends included; ``gaps`` are what lies between them.
    """

    host_id: str
    instance: UUID
    ranges: Sequence[tuple[int, int]]
    gaps: Sequence[Gap]
    first_at: datetime
    last_at: datetime
    lowest_at: datetime  # of the record with the lowest number
    newest_at: datetime  # of the record with the highest number
    newest_appended: int
    first_appended: int
    last_appended: int


def streams_of(host_id: str, arrivals: Sequence[Arrival]) -> list[StreamPart]:
    """The parts of one host's streams, in the order of instances; ``arrivals`` are all of that host's in a batch."""
    if len(arrivals) == 1:
        return [_single(host_id, *arrivals[0])]
    numbers = [sample.agent.instance.int for sample, _ in arrivals]
    if numbers.count(numbers[0]) == len(numbers):
        return [_part(host_id, arrivals)]
    return [
        _part(host_id, [arrival for arrival, number in zip(arrivals, numbers, strict=True) if number == instance])
        for instance in sorted(set(numbers))
    ]


def _single(host_id: str, sample: Sample, message: Appended) -> StreamPart:
    agent, at, appended = sample.agent, sample.timestamp, message.timestamp
    ranges = ((agent.sequence, agent.sequence),)
    return StreamPart(host_id, agent.instance, ranges, (), at, at, at, at, appended, appended, appended)


def _part(host_id: str, arrivals: Sequence[Arrival]) -> StreamPart:
    sequences = [sample.agent.sequence for sample, _ in arrivals]
    times = [sample.timestamp for sample, _ in arrivals]
    low, high = sequences[0], sequences[-1]
    ranges: Sequence[tuple[int, int]] = ((low, high),)
    gaps: Sequence[Gap] = ()
    lowest, newest = arrivals[0], arrivals[-1]
    # The length first: a host may send any numbers, and those between them must not be counted out.
    if high - low + 1 != len(sequences) or sequences != list(range(low, high + 1)):
        ranges = _united((number, number) for number in sequences)
        at = {sample.agent.sequence: (sample, message) for sample, message in arrivals}
        lowest, newest = at[ranges[0][0]], at[ranges[-1][1]]
        gaps = tuple(
            Gap(end + 1, start - 1, at[end][0].timestamp, at[start][0].timestamp)
            for (_, end), (start, _) in pairwise(ranges)
        )
    early, late = sorted((arrivals[0][1].timestamp, arrivals[-1][1].timestamp))
    return StreamPart(
        *(host_id, newest[0].agent.instance, ranges, gaps, min(times), max(times)),
        *(lowest[0].timestamp, newest[0].timestamp, newest[1].timestamp, early, late),
    )


def join(earlier: StreamPart, later: StreamPart) -> StreamPart:
    """Two parts of one stream as one; joining what is already in it changes nothing."""
    known, new = earlier.ranges[-1][1], later.ranges[0][0]
    ranges: Sequence[tuple[int, int]] = ((earlier.ranges[0][0], later.ranges[-1][1]),)
    gaps = earlier.gaps
    if new != known + 1 or len(earlier.ranges) > 1 or len(later.ranges) > 1:
        ranges = _united([*earlier.ranges, *later.ranges])
        between = [Gap(known + 1, new - 1, earlier.newest_at, later.lowest_at)] if new > known + 1 else []
        gaps = (*earlier.gaps, *between, *(gap for gap in later.gaps if gap.first > known))
    lowest = earlier if earlier.ranges[0][0] <= new else later
    newest = later if later.ranges[-1][1] >= known else earlier
    return StreamPart(
        earlier.host_id,
        earlier.instance,
        ranges,
        gaps,
        min(earlier.first_at, later.first_at),
        max(earlier.last_at, later.last_at),
        lowest.lowest_at,
        newest.newest_at,
        newest.newest_appended,
        min(earlier.first_appended, later.first_appended),
        max(earlier.last_appended, later.last_appended),
    )


def _united(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    united: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if united and low <= united[-1][1] + 1:
            united[-1] = (united[-1][0], max(united[-1][1], high))
        else:
            united.append((low, high))
    return tuple(united)
