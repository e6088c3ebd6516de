"""Arithmetic of measurements."""

import math
import statistics
from collections.abc import Sequence

Point = tuple[float, float]  # when, how much


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of the values do not exceed. Raises ``ValueError`` without values."""
    if not values:
        msg = "there is no percentile of nothing"
        raise ValueError(msg)
    rank = math.ceil(len(values) * percent / 100)
    return sorted(values)[max(rank, 1) - 1]


def slope(points: Sequence[Point]) -> float:
    """How much more there is for each unit of time, by least squares. Raises ``statistics.StatisticsError`` when the
    points lie at fewer than two moments.
    """
    moments, amounts = zip(*points, strict=True) if points else ((), ())
    return statistics.linear_regression(moments, amounts).slope


def after_warm_up(points: Sequence[Point], share: float = 0.25) -> list[Point]:
    """The points that lie after the first ``share`` of the time that they cover."""
    if not points:
        return []
    begin, end = points[0][0], points[-1][0]
    return [point for point in points if point[0] >= begin + (end - begin) * share]
