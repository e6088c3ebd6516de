"""From where the samples of a range are read."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_api.domain.buckets import HOUR, Range, plan_sources, raw_range
from infrawatch_api.domain.inputs import InvalidInputError

TEN = datetime(2026, 11, 22, 10, tzinfo=UTC)
moments = st.integers(0, 20_000_000).map(lambda tenths: TEN + timedelta(milliseconds=tenths))


@given(moments, moments, st.integers(1, 48))
def test_whole_hours_come_from_the_rollup_and_the_rest_raw_each_moment_once(
    one: datetime, other: datetime, hours: int
) -> None:
    covered = Range(min(one, other), max(one, other) + timedelta(seconds=1))
    sources = plan_sources(covered, HOUR * hours, None)
    if sources is None:
        assert covered.end - covered.start < 2 * HOUR
        return
    assert covered.start == sources.before.start <= sources.before.end == sources.hours.start < sources.hours.end
    assert sources.hours.end == sources.after.start <= sources.after.end == covered.end
    assert sources.before.end - sources.before.start < HOUR
    assert sources.after.end - sources.after.start < HOUR
    assert (sources.hours.start - TEN) % HOUR == (sources.hours.end - TEN) % HOUR == timedelta(0)


@pytest.mark.parametrize("minutes", [1, 59, 61, 90])
def test_other_widths_need_raw_samples(minutes: int) -> None:
    assert plan_sources(Range(TEN, TEN + 10 * HOUR), timedelta(minutes=minutes), None) is None


def test_hours_without_raw_samples_are_taken_whole() -> None:
    covered = Range(TEN + HOUR / 2, TEN + HOUR * 5 / 2)
    sources = plan_sources(covered, HOUR, raw_from=TEN + 24 * HOUR)
    assert sources is not None
    assert sources.hours == Range(TEN, TEN + 3 * HOUR)
    assert sources.before.start == sources.before.end
    assert sources.after.start == sources.after.end


def test_raw_samples_from_before_they_are_kept_are_refused_with_the_time_and_what_to_ask_for() -> None:
    assert raw_range(Range(TEN, TEN + HOUR), TEN) == Range(TEN, TEN + HOUR)
    with pytest.raises(InvalidInputError, match=r"not be before 2026-11-22T10:00:00Z.*whole hours"):
        raw_range(Range(TEN - HOUR, TEN), TEN)
