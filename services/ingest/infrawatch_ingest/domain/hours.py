"""What a batch touches, and which of its hours have to be marked for the rollup.

Hours are counted since 1970, in UTC: whole numbers are ten times as fast to compare and look up as times with zone.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from infrawatch_ingest.domain.streams import Arrival, StreamPart, streams_of

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = _EPOCH.toordinal()

# How long a mark of an hour that is over is relied upon, in seconds. The rollup leaves marks alone for longer.
MARK_HOLDS = 60.0

HostHour = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Extent:
    """What a batch touches: its hosts, the hosts that have samples in each hour, and the streams that it continues."""

    hosts: Collection[str]
    hours: Mapping[int, Set[str]]
    streams: Sequence[StreamPart]


def extent_of(arrivals: Iterable[Arrival]) -> Extent:
    """The extent of a batch."""
    hosts: dict[str, list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        hosts[arrival[0].host_id].append(arrival)
    hours: dict[int, set[str]] = defaultdict(set)
    streams: list[StreamPart] = []
    for host_id, arrived in hosts.items():
        parts = streams_of(host_id, arrived)
        streams += parts
        for part in parts:
            first = hour_of(part.first_at)
            hours[first].add(host_id)
            if part.last_at is not part.first_at and hour_of(part.last_at) != first:
                for sample, _ in arrived:
                    hours[hour_of(sample.timestamp)].add(host_id)
    return Extent(hosts.keys(), hours, streams)


def hour_of(moment: datetime) -> int:
    """The hour that a moment, given in UTC, lies in."""
    return (moment.toordinal() - _EPOCH_ORDINAL) * 24 + moment.hour


def begin_of(hour: int) -> datetime:
    """When an hour begins."""
    return _EPOCH + HOUR * hour


def days_of(hours: Iterable[int]) -> set[int]:
    """The UTC days, counted since 1970, that the hours lie in."""
    return {hour // 24 for hour in hours}


def begin_of_day(day: int) -> datetime:
    """When a day begins."""
    return _EPOCH + DAY * day


def days_ahead(now: datetime, count: int) -> list[datetime]:
    """Today and the days after it, in UTC."""
    today = hour_of(now.astimezone(UTC)) // 24
    return [begin_of_day(day) for day in range(today, today + count + 1)]


def holds_for(hour: int, marked_at: datetime) -> float:
    """Seconds for which a mark made then is relied upon: until its hour is over, and then for a minute at a time."""
    return max((begin_of(hour + 1) - marked_at).total_seconds(), MARK_HOLDS)


class Marks:
    """Which marks this process relies on; a mark that it forgets is made again, which changes nothing.

    ``now`` is monotonic, in seconds, and read before the mark was sent, so that a mark never seems younger than it is.
    """

    def __init__(self, most: int = 200_000) -> None:
        self._most = most
        self._until: dict[int, dict[str, float]] = {}
        self._count = 0

    def missing(self, hours: Mapping[int, Set[str]], now: float) -> list[HostHour]:
        """The hours to mark, in the order of writers."""
        missing = []
        for hour, hosts in hours.items():
            until = self._until.get(hour, _NONE)
            missing += [(hour, host_id) for host_id in hosts if until.get(host_id, now) <= now]
        return sorted(missing)

    def remember(self, marked: Iterable[HostHour], marked_at: datetime, now: float) -> None:
        """The hours are marked, and the transaction that did it has committed."""
        for hour, host_id in marked:
            hosts = self._until.setdefault(hour, {})
            self._count += host_id not in hosts
            hosts[host_id] = now + holds_for(hour, marked_at)
        while self._count > self._most:
            self._count -= len(self._until.pop(next(iter(self._until))))


_NONE: Mapping[str, float] = {}
