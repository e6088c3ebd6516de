"""Which stretch of time a request covers, and into how many buckets it falls."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from infrawatch_api.domain.durations import read_duration
from infrawatch_api.domain.inputs import InvalidInputError, parse_time

HOUR = timedelta(hours=1)
DEFAULT_RANGE = HOUR
# A Monday at midnight, from which every width that divides a week is counted; TimescaleDB's own origin.
_ORIGIN = datetime(2000, 1, 3, tzinfo=UTC)
_LONGEST = timedelta(days=366)
_SHORTEST = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Range:
    """From ``start`` up to but not including ``end``, in UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Buckets:
    """``count`` buckets of equal ``width``; the first begins at ``first``, at or before the start of the range."""

    first: datetime
    width: timedelta
    count: int


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the samples of a range are read: whole hours from the rollup, what lies before and after them raw."""

    hours: Range
    before: Range
    after: Range


def plan_sources(covered: Range, width: timedelta, raw_from: datetime | None) -> Sources | None:
    """What the rollup can answer, or None when the buckets need raw samples alone.

    Hours before ``raw_from`` have no raw samples any more and cannot be cut: the range is widened to hold them whole.
    """
    if width % HOUR:
        return None
    start, end = _floor_hour(covered.start), _floor_hour(covered.end)
    if start < covered.start and not _is_dropped(start, raw_from):
        start += HOUR
    if end < covered.end and _is_dropped(end, raw_from):
        end += HOUR
    if start >= end:
        return None
    return Sources(Range(start, end), Range(min(covered.start, start), start), Range(end, max(covered.end, end)))


def raw_range(covered: Range, raw_from: datetime | None) -> Range:
    """The range, if there are raw samples for all of it. Raises ``InvalidInputError``."""
    if raw_from is not None and covered.start < raw_from:
        since = raw_from.isoformat().replace("+00:00", "Z")
        msg = f"should not be before {since}: older samples are kept by the hour only; ask for buckets of whole hours"
        raise InvalidInputError("from", msg)
    return covered


def _floor_hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _is_dropped(hour: datetime, raw_from: datetime | None) -> bool:
    return raw_from is not None and hour < raw_from


def parse_range(start: str | None, end: str | None, now: datetime, longest: timedelta) -> Range:
    """The requested range; the last hour by default. Raises ``InvalidInputError``."""
    until = parse_time("to", end) if end is not None else now
    since = parse_time("from", start) if start is not None else until - DEFAULT_RANGE
    if since >= until:
        raise InvalidInputError("from", "should be earlier than to")
    if until - since > longest:
        raise InvalidInputError("from", f"should be at most {longest.days} days before to")
    return Range(since, until)


def parse_bucket(text: str) -> timedelta:
    """A width in whole seconds: ``PT5M``, ``5m``, ``300``. Raises ``InvalidInputError``."""
    width = read_duration(text)
    if width is None:
        raise InvalidInputError("bucket", "should be a duration such as PT5M, 5m, 1h, or whole seconds")
    if not _SHORTEST <= width <= _LONGEST:
        raise InvalidInputError("bucket", f"should be at least 1 second and at most {_LONGEST.days} days")
    return width


def plan_buckets(covered: Range, width: timedelta, most: int) -> Buckets:
    """The buckets that the range touches. Raises ``InvalidInputError`` when there are more than ``most``."""
    first = _ORIGIN + (covered.start - _ORIGIN) // width * width
    count = -((first - covered.end) // width)
    if count > most:
        raise InvalidInputError(
            "bucket", f"gives {count} buckets, at most {most} are answered; widen it or narrow from and to"
        )
    return Buckets(first, width, count)
