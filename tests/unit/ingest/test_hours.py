"""Which hours are marked, and when a mark is relied upon."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_common.events import Sample, Stamp
from infrawatch_ingest.domain.hours import (
    HOUR,
    MARK_HOLDS,
    Marks,
    begin_of,
    begin_of_day,
    days_ahead,
    days_of,
    extent_of,
    holds_for,
    hour_of,
)
from records import FakeMessage

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TWELVE = hour_of(NOON)


def arrival(host: str, moment: datetime) -> tuple[Sample, FakeMessage]:
    return Sample(uuid4(), host, moment, 0, 0, 0, 0, Stamp(uuid4(), 0)), FakeMessage(b"")


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_an_hour_begins_at_or_less_than_an_hour_before_its_moments(moment: datetime) -> None:
    assert timedelta(0) <= moment - begin_of(hour_of(moment)) < HOUR
    [day] = days_of([hour_of(moment)])
    assert begin_of_day(day) == moment.replace(hour=0, minute=0, second=0, microsecond=0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-200_000, 200_000)), max_size=40))
def test_the_extent_of_a_batch_holds_every_hour_of_each_host(pairs: list[tuple[str, int]]) -> None:
    stamps = [(host, NOON + timedelta(seconds=second)) for host, second in pairs]
    extent = extent_of([arrival(*pair) for pair in stamps])
    assert set(extent.hosts) == {host for host, _ in stamps}
    pairs_of_hours = {(begin_of(hour), host) for hour, hosts in extent.hours.items() for host in hosts}
    assert pairs_of_hours == {(at.replace(minute=0, second=0), host) for host, at in stamps}


def test_the_days_ahead_begin_with_today_in_utc() -> None:
    just_before_midnight = datetime.fromisoformat("2026-11-23T00:30:00+01:00")
    assert [day.day for day in days_ahead(just_before_midnight, 2)] == [22, 23, 24]


@pytest.mark.parametrize(
    ("marked_after", "holds"),
    [(timedelta(0), 3600), (timedelta(minutes=30), 1800), (timedelta(minutes=59, seconds=30), 60), (HOUR * 5, 60)],
)
def test_a_mark_holds_until_its_hour_is_over_and_then_for_a_minute(marked_after: timedelta, holds: float) -> None:
    assert holds_for(TWELVE, NOON + marked_after) == holds


def test_a_mark_is_made_again_only_when_the_last_one_holds_no_more() -> None:
    marks, old = Marks(), {TWELVE - 5: {"a"}}
    assert marks.missing(old, 0.0) == [(TWELVE - 5, "a")]
    marks.remember([(TWELVE - 5, "a")], NOON, 0.0)
    assert marks.missing(old, MARK_HOLDS - 0.1) == []
    assert marks.missing(old, MARK_HOLDS) == [(TWELVE - 5, "a")]


def test_marks_come_in_the_order_in_which_all_writers_take_them() -> None:
    hours = {TWELVE: {"b", "a"}, TWELVE - 1: {"c"}}
    assert Marks().missing(hours, 0.0) == [(TWELVE - 1, "c"), (TWELVE, "a"), (TWELVE, "b")]


def test_what_is_remembered_is_bounded_and_the_hour_that_was_marked_first_goes_first() -> None:
    marks = Marks(most=3)
    for hour in range(5):
        marks.remember([(TWELVE + hour, "a")], NOON, 0.0)
    assert marks.missing({TWELVE + hour: {"a"} for hour in range(5)}, 1.0) == [(TWELVE, "a"), (TWELVE + 1, "a")]
