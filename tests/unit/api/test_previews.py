"""Previews: what is asked, how it is read, how it is counted."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from struct import pack
from uuid import uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from infrawatch_api.domain.buckets import Range
from infrawatch_api.domain.inputs import InvalidInputError
from infrawatch_api.domain.preview_tally import Count, Tally
from infrawatch_api.domain.previews import (
    check_hosts,
    check_size,
    is_large_share,
    lead,
    parts,
    preview_range,
    sweep,
)
from infrawatch_api.store.previews import Columns, MalformedError, TooManyError
from infrawatch_common.alerts.backtest import Episode, Found
from infrawatch_common.alerts.engine import Ended, Fired, Resolved
from infrawatch_common.alerts.rules import Metric, Rule

NOW = datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
TEN = 10 * SECOND
WEEK = Range(NOW - 7 * DAY, NOW)
RULE = Rule(uuid4(), 1, "r", Metric.CPU, 5 * MINUTE, threshold=90, clear_threshold=80)
HEARTBEAT = Rule(uuid4(), 1, "r", Metric.HEARTBEAT, 5 * MINUTE)


def test_the_last_seven_days_are_asked_about_or_those_that_are_kept() -> None:
    assert preview_range(None, None, NOW, None) == WEEK
    assert preview_range(None, NOW - HOUR, NOW, None) == Range(NOW - HOUR - 7 * DAY, NOW - HOUR)
    assert preview_range(None, None, NOW, NOW - 2 * DAY) == Range(NOW - 2 * DAY, NOW)
    assert preview_range(NOW - HOUR, None, NOW, NOW - 2 * DAY) == Range(NOW - HOUR, NOW)


def test_nothing_is_told_about_the_future() -> None:
    assert preview_range(NOW - HOUR, NOW + DAY, NOW, None) == Range(NOW - HOUR, NOW)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (NOW - 3 * DAY, None),
        (NOW - HOUR, NOW - HOUR),
        (NOW + HOUR, NOW + DAY),
        (None, NOW - 3 * DAY),
    ],
)
def test_a_range_that_cannot_be_answered_is_refused(start: datetime | None, end: datetime | None) -> None:
    with pytest.raises(InvalidInputError) as refused:
        preview_range(start, end, NOW, NOW - 2 * DAY)
    assert refused.value.field == "from"


def test_too_many_samples_are_refused_with_what_may_be_asked() -> None:
    check_size(100, WEEK, HOUR, TEN, 10_000_000)
    with pytest.raises(InvalidInputError, match=r"7 days of 100 hosts, about 6,084,000 .* ask for 4.6 days, or"):
        check_size(100, WEEK, HOUR, TEN, 4_000_000)
    with pytest.raises(InvalidInputError, match="ask for fewer hosts or shorter durations"):
        check_size(1000, WEEK, 30 * DAY, TEN, 4_000_000)
    check_hosts(100, 100)
    with pytest.raises(InvalidInputError, match="more than 100 hosts"):
        check_hosts(101, 100)


def test_a_sweep_tries_each_threshold_with_each_duration() -> None:
    found = sweep(RULE, [90, 95], [MINUTE, HOUR], DAY, 4)
    assert [(rule.threshold, rule.clear_threshold, rule.duration) for rule in found] == [
        (90, 80, MINUTE),
        (90, 80, HOUR),
        (95, 85, MINUTE),
        (95, 85, HOUR),
    ]
    assert [rule.threshold for rule in sweep(RULE, [11], None, DAY, 4)] == [11]
    assert [rule.duration for rule in sweep(HEARTBEAT, None, [MINUTE], DAY, 4)] == [MINUTE]
    assert lead([RULE, *found]) == 2 * HOUR


@pytest.mark.parametrize(
    ("rule", "thresholds", "durations", "field"),
    [
        (RULE, [91, 92, 93], [MINUTE, HOUR], "sweep"),
        (RULE, None, [2 * DAY], "sweep.durations"),
        (RULE, [120], None, "sweep.thresholds"),
        (RULE, [9], None, "sweep.thresholds"),  # it would end at -1
        (HEARTBEAT, [1], None, "sweep.thresholds"),
        (HEARTBEAT, None, [timedelta(0)], "sweep.durations"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(
    rule: Rule, thresholds: Sequence[float] | None, durations: Sequence[timedelta] | None, field: str
) -> None:
    with pytest.raises(InvalidInputError) as refused:
        sweep(rule, thresholds, durations, DAY, 5)
    assert refused.value.field == field


@given(
    st.timedeltas(-300 * DAY, 300 * DAY).map(lambda ago: NOW - ago),
    st.timedeltas(SECOND, 40 * DAY),
    st.integers(0, 2000),
)
def test_parts_cover_the_range_once_and_are_small_enough(start: datetime, length: timedelta, hosts: int) -> None:
    found = list(parts(Range(start, start + length), hosts, TEN))
    assert (found[0].start, found[-1].end) == (start, start + length)
    assert [one.end for one in found[:-1]] == [one.start for one in found[1:]]
    assert all(one.start < one.end and (one.end - one.start) / TEN * hosts <= 2_000_001 for one in found)


def test_parts_end_at_midnight_where_a_day_is_small_enough() -> None:
    found = list(parts(WEEK, 100, TEN))
    assert [one.end for one in found[:-1]] == [datetime(2026, 11, day, tzinfo=UTC) for day in (17, 19, 21)]


def test_samples_of_all_are_read_where_these_hosts_are_many_of_them() -> None:
    assert is_large_share(1, 1)
    assert is_large_share(100, 1000)
    assert not is_large_share(99, 1000)


Row = tuple[int, int, float]


def copied(rows: Sequence[Row]) -> bytes:
    """What the database sends."""
    head = b"PGCOPY\n\xff\r\n\0" + bytes(8)
    return head + b"".join(pack("!hiiiqid", 3, 4, n, 8, at, 8, value) for n, at, value in rows) + b"\xff\xff"


async def taken(data: bytes, cuts: Sequence[int], hosts: int, room: int = 1000) -> Columns:
    columns = Columns(hosts, room)
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for begin, end in zip(bounds, bounds[1:], strict=False):  # noqa: RUF007 - empty pieces too
        await columns.take(data[begin:end])
    return columns


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)), max_size=30),
    st.lists(st.integers(0, 2000), max_size=10),
)
@example([(1, 0, 1.0), (1, 0, 0.5)], [])
def test_rows_are_read_wherever_the_data_is_cut(rows: list[Row], cuts: list[int]) -> None:
    columns = asyncio.run(taken(copied(rows), cuts, 3))
    columns.close(f"COPY {len(rows)}")
    for number in range(3):
        expected = sorted((at, value) for n, at, value in rows if n == number + 1)
        assert list(zip(*columns.of(number), strict=True)) == expected


async def test_what_is_no_copy_is_noticed() -> None:
    rows = [(1, 5, 0.5), (1, 6, 0.5)]
    for data, status in ((copied(rows)[:-1], "COPY 2"), (copied(rows), "COPY 3"), (copied(rows)[:-36], "COPY 2")):
        columns = await taken(data, [], 1)
        with pytest.raises(MalformedError):
            columns.close(status)


async def test_more_samples_than_there_is_room_for_are_not_kept() -> None:
    with pytest.raises(TooManyError):
        await taken(copied([(1, at, 0.0) for at in range(11)]), [100, 200], 1, room=10)


def episode(fired: timedelta, ended: timedelta | None, rule: int = 0) -> Found:
    """By the time since the range began."""
    at = WEEK.start + fired
    resolved = None if ended is None else Resolved(WEEK.start + ended, at, 10, Ended.CLEARED)
    return Found(rule, Episode(Fired(at, at - MINUTE, 95), resolved, 99))


def tallied(most: int = 10, **hosts: Sequence[Found]) -> Tally:
    tally = Tally(WEEK, 2, most)
    for host, found in hosts.items():
        tally.add_all(host, found)
    tally.finish()
    return tally


def test_what_fires_is_counted_within_the_range() -> None:
    found = tallied(
        a=[episode(-2 * HOUR, -HOUR), episode(-MINUTE, HOUR), episode(2 * HOUR, 3 * HOUR)],
        b=[],
        c=[episode(7 * DAY - HOUR, None)],
    )
    assert found.counts == [Count(2, 1, 2, 3 * 3600, 0, 2 / 7), Count()]
    assert [(host.host_id, host.events, host.ongoing, host.firing, host.seconds) for host in found.hosts] == [
        ("a", 1, True, False, 2 * 3600),
        ("c", 1, False, True, 3600),
    ]


def test_flapping_is_what_comes_again_within_five_minutes_on_the_same_host() -> None:
    soon, late = HOUR + 5 * MINUTE - SECOND, HOUR + 5 * MINUTE
    assert tallied(a=[episode(0 * HOUR, HOUR), episode(soon, 2 * HOUR)]).counts[0].flapping == 1
    assert tallied(a=[episode(0 * HOUR, HOUR), episode(late, 2 * HOUR)]).counts[0].flapping == 0
    assert tallied(a=[episode(0 * HOUR, HOUR)], b=[episode(soon, 2 * HOUR)]).counts[0].flapping == 0
    assert tallied(a=[episode(-HOUR, -SECOND), episode(SECOND, HOUR)]).counts[0].flapping == 1


def test_hosts_may_take_turns() -> None:
    apart, taking_turns = tallied(a=(a := [episode(0 * HOUR, HOUR), episode(2 * HOUR, None)]), b=a), Tally(WEEK, 2, 10)
    for one in a:
        for host in "ab":
            taking_turns.add_all(host, [one])
    taking_turns.finish()
    assert (taking_turns.counts, taking_turns.hosts) == (apart.counts, apart.hosts)


def test_the_newest_events_are_listed_and_all_are_counted() -> None:
    many = {
        f"h{n}": [episode(n * HOUR + m * MINUTE, n * HOUR + m * MINUTE + SECOND) for m in (0, 9)] for n in range(20)
    }
    found = tallied(3, **many)
    assert found.counts[0].events == 40
    assert [event.fired_at - WEEK.start for event in found.events] == [
        19 * HOUR + 9 * MINUTE,
        19 * HOUR,
        18 * HOUR + 9 * MINUTE,
    ]
    assert tallied(0, **many).events == []


def test_of_rules_beside_the_first_there_are_counts_alone() -> None:
    found = tallied(a=[episode(HOUR, None, rule=1)])
    assert (found.hosts, found.events, found.counts[1].events, found.counts[0].events) == ([], [], 1, 0)
