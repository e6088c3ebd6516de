"""What a preview of an alert rule is about: which time, which rules, how much to read at once."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from infrawatch_api.domain.buckets import Range
from infrawatch_api.domain.durations import iso_8601
from infrawatch_api.domain.inputs import InvalidInputError
from infrawatch_common.alerts.rules import Rule, complaints

DEFAULT_RANGE = timedelta(days=7)
# Read before the range, besides the rule's duration: time for a host's rhythm to show.
_WARM_UP = timedelta(hours=1)
_DAY = timedelta(days=1)
# Samples that are held at a time, of 16 bytes each.
_PART = 2_000_000
# Reading a host's samples alone costs a page for each; beyond this share of the hosts reading all samples costs less.
_LARGE_SHARE = 0.1


def preview_range(start: datetime | None, end: datetime | None, now: datetime, raw_from: datetime | None) -> Range:
    """The time that is asked about: the last seven days by default, never later than now.

    ``raw_from`` is when the samples that are kept begin. Raises ``InvalidInputError``.
    """
    until = min(end or now, now)
    since = start or until - DEFAULT_RANGE
    if raw_from is not None and since < raw_from:
        if start is not None:
            kept = raw_from.isoformat().replace("+00:00", "Z")
            msg = f"should not be before {kept}: of older samples only hourly figures are kept, which cannot tell"
            raise InvalidInputError("from", msg)
        since = raw_from
    if since >= until:
        raise InvalidInputError("from", "should be earlier than to, and than now")
    return Range(since, until)


def check_size(hosts: int, covered: Range, lead: timedelta, interval: timedelta, most: int) -> None:
    """Raises ``InvalidInputError`` when so many hosts have more samples than may be read, in the range and the ``lead``
    before it.
    """
    asked = covered.end - covered.start
    size = int(hosts * ((lead + asked) / interval))
    if size <= most:
        return
    days = (most * interval / hosts - lead) / _DAY
    remedy = f"ask for {days:.2g} days, or for fewer hosts" if days > 0 else "ask for fewer hosts or shorter durations"
    raise InvalidInputError(
        "from",
        f"gives {asked / _DAY:.3g} days of {hosts} hosts, about {size:,} samples with those that lead up to it;"
        f" at most {most:,} are read: {remedy}",
    )


def check_hosts(found: int, most: int) -> None:
    """Raises ``InvalidInputError`` when there are more than ``most``."""
    if found > most:
        raise InvalidInputError("selector", f"matches more than {most} hosts; preview the rule for fewer of them")


def sweep(
    asked: Rule,
    thresholds: Sequence[float] | None,
    durations: Sequence[timedelta] | None,
    longest: timedelta,
    most: int,
) -> list[Rule]:
    """The rule with every threshold and every duration; its own where none are given. A clear threshold keeps its
    distance to the threshold. Raises ``InvalidInputError`` when there are more than ``most``, or one of them cannot be.
    """
    number = len(thresholds or [None]) * len(durations or [None])
    if number > most:
        raise InvalidInputError("sweep", f"gives {number} combinations, at most {most} are tried")
    rules = [
        replace(asked, threshold=threshold, clear_threshold=_moved(asked, threshold), duration=duration)
        for threshold in (thresholds or (asked.threshold,))
        for duration in (durations or (asked.duration,))
    ]
    for rule in rules:
        for field, complaint in complaints(rule).items():
            where = "sweep.durations" if field == "duration" else "sweep.thresholds"
            raise InvalidInputError(where, complaint if field in {"threshold", "duration"} else f"{field}: {complaint}")
        if rule.duration > longest:
            raise InvalidInputError("sweep.durations", f"should be at most {iso_8601(longest)}")
    return rules


def _moved(asked: Rule, threshold: float | None) -> float | None:
    if asked.clear_threshold is None or asked.threshold is None or threshold is None:
        return None
    return threshold + (asked.clear_threshold - asked.threshold)


def lead(rules: Sequence[Rule]) -> timedelta:
    """How long before the range reading begins, so that what is pending or fires when it begins is known."""
    return max(rule.duration for rule in rules) + _WARM_UP


def parts(covered: Range, hosts: int, interval: timedelta) -> Iterator[Range]:
    """The range in parts that are read one after the other; whole days, as the samples lie, where that is enough."""
    width = _PART * interval / max(hosts, 1)
    if width >= _DAY:
        width = width // _DAY * _DAY
    begin = covered.start
    while begin < covered.end:
        midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
        end = min((midnight if width >= _DAY else begin) + width, covered.end)
        yield Range(begin, end)
        begin = end


def is_large_share(hosts: int, of: int) -> bool:
    """Whether reading everybody's samples costs less than reading those of these hosts one by one."""
    return hosts >= of * _LARGE_SHARE
