"""What an alert rule is, and what it says of one value."""

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import repeat
from uuid import UUID


class Metric(StrEnum):
    """What a rule watches; ``HEARTBEAT`` is that samples come at all."""

    CPU = "cpu"
    MEMORY = "memory"
    DISK = "disk"
    UPTIME = "uptime"
    HEARTBEAT = "heartbeat"


class Comparison(StrEnum):
    """How a value is compared with the threshold, which stands on the right."""

    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="

    @property
    def is_upward(self) -> bool:
        """Whether large values are the bad ones."""
        return self in (Comparison.ABOVE, Comparison.AT_LEAST)


class Severity(StrEnum):
    """How bad it is, from the least to the worst."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule in one version. ``threshold`` is None for heartbeats alone; ``clear_threshold`` is the same by default.

    It is for the host ``host_id``, or else for every host whose tags have all pairs of ``selector``. It judges samples
    from ``valid_from`` on, when this version was made; all if that is None.
    """

    id: UUID
    version: int
    name: str
    metric: Metric
    duration: timedelta
    comparison: Comparison = Comparison.AT_LEAST
    threshold: float | None = None
    clear_threshold: float | None = None
    severity: Severity = Severity.WARNING
    host_id: str | None = None
    selector: Mapping[str, str] | None = None
    valid_from: datetime | None = None

    def matches(self, host_id: str, tags: Mapping[str, str]) -> bool:
        """Whether it is for this host."""
        if self.host_id is not None:
            return host_id == self.host_id
        return all(tags.get(name) == value for name, value in (self.selector or {}).items())

    def judges(self, at: datetime) -> bool:
        """Whether a sample of that time is for it to judge."""
        return self.valid_from is None or at >= self.valid_from

    def holds(self, value: float) -> bool:
        """Whether the value is on the bad side of the threshold."""
        return _compare(value, self.comparison, self.threshold)

    def goes_on(self, value: float) -> bool:
        """Whether what fires goes on firing: the value is still on the bad side of the clear threshold."""
        bound = self.threshold if self.clear_threshold is None else self.clear_threshold
        return _compare(value, self.comparison, bound)

    def which_hold(self, values: Iterable[float]) -> Iterator[bool]:
        """``holds`` for each of many values, without a call for each."""
        return _compare_all(values, self.comparison, self.threshold)

    def which_go_on(self, values: Iterable[float]) -> Iterator[bool]:
        """``goes_on`` for each of many values."""
        bound = self.threshold if self.clear_threshold is None else self.clear_threshold
        return _compare_all(values, self.comparison, bound)


def _compare_all(values: Iterable[float], comparison: Comparison, bound: float | None) -> Iterator[bool]:
    if bound is None:
        return (False for _ in values)
    return map(_OPERATORS[comparison], values, repeat(bound))


def _compare(value: float, comparison: Comparison, bound: float | None) -> bool:
    return bound is not None and _OPERATORS[comparison](value, bound)


_OPERATORS: Mapping[Comparison, Callable[[float, float], bool]] = {
    Comparison.ABOVE: operator.gt,
    Comparison.AT_LEAST: operator.ge,
    Comparison.BELOW: operator.lt,
    Comparison.AT_MOST: operator.le,
}


# What samples hold, least and most.
_PERCENT = (0.0, 100.0)
_RANGES: Mapping[Metric, tuple[float, float]] = {
    Metric.CPU: _PERCENT,
    Metric.MEMORY: _PERCENT,
    Metric.DISK: _PERCENT,
    Metric.UPTIME: (0.0, math.inf),
}


def complaints(rule: Rule) -> dict[str, str]:
    """What is wrong with a rule as a whole, by field; a sentence each."""
    if rule.metric is Metric.HEARTBEAT:
        return _complaints_of_heartbeat(rule)
    if rule.threshold is None:
        return {"threshold": f"metric {rule.metric} needs a threshold"}
    found = {}
    if (senseless := _senseless(rule.metric, rule.comparison, rule.threshold)) is not None:
        found["threshold"] = senseless
    if rule.clear_threshold is not None and _is_beyond(rule.clear_threshold, rule.threshold, rule.comparison):
        side = "above" if rule.comparison.is_upward else "below"
        found["clear_threshold"] = (
            f"it must not be {side} the threshold ({rule.threshold:g}): what fires would end before it began"
        )
    elif rule.clear_threshold is not None and _always(rule.metric, rule.comparison, rule.clear_threshold):
        found["clear_threshold"] = (
            f"what fires would never end: {rule.metric} is always {rule.comparison} {rule.clear_threshold:g}"
        )
    return found


def _complaints_of_heartbeat(rule: Rule) -> dict[str, str]:
    found = {
        name: "a heartbeat has no value to compare; its duration says how long a host may be silent"
        for name in ("threshold", "clear_threshold")
        if getattr(rule, name) is not None
    }
    if rule.duration <= timedelta(0):
        found["duration"] = "a heartbeat needs a duration above 0: how long a host may be silent"
    return found


def _senseless(metric: Metric, comparison: Comparison, threshold: float) -> str | None:
    least, most = _RANGES[metric]
    if _always(metric, comparison, threshold):
        return f"it would fire for ever: {metric} is always {comparison} {threshold:g}"
    if not _compare(most if comparison.is_upward else least, comparison, threshold):
        return f"it would never fire: {metric} is never {comparison} {threshold:g}"
    return None


def _always(metric: Metric, comparison: Comparison, bound: float) -> bool:
    least, most = _RANGES[metric]
    return _compare(least if comparison.is_upward else most, comparison, bound)


def _is_beyond(clear: float, threshold: float, comparison: Comparison) -> bool:
    return clear > threshold if comparison.is_upward else clear < threshold
