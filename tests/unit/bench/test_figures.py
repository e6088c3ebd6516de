import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figures import after_warm_up, percentile, slope


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([30, 10, 20, 40], 50) == 20
    assert percentile([30, 10, 20, 40], 75) == 30
    assert percentile([30, 10, 20, 40], 99) == 40
    assert percentile([7], 1) == 7


@given(st.lists(st.integers(), min_size=1), st.integers(1, 100))
def test_as_many_percent_of_the_values_as_asked_do_not_exceed_the_percentile(values: list[int], percent: int) -> None:
    bound = percentile(values, percent)
    assert sum(value <= bound for value in values) >= len(values) * percent / 100
    assert sum(value < bound for value in values) < len(values) * percent / 100


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)


def test_a_slope_is_what_comes_with_each_unit_of_time() -> None:
    assert slope([(10, 1), (12, 5), (14, 9)]) == pytest.approx(2)
    assert slope([(0, 3), (1, 3), (9, 3)]) == 0
    with pytest.raises(statistics.StatisticsError):
        slope([(1, 2), (1, 3)])


def test_the_warm_up_is_a_share_of_the_time_not_of_the_points() -> None:
    points = [(0, 1), (1, 2), (2, 3), (3, 4), (100, 5)]
    assert after_warm_up(points) == [(100, 5)]
    assert after_warm_up(points, 0.02) == [(2, 3), (3, 4), (100, 5)]
    assert after_warm_up([]) == []
