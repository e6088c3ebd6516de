"""What a preview found, counted as it is found."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from infrawatch_api.domain.buckets import Range
from infrawatch_common.alerts.backtest import Episode, Found

# What fires again so soon after it ended is flapping.
FLAPPING = timedelta(minutes=5)
_DAY = timedelta(days=1)


@dataclass(slots=True)
class Count:
    """Of one rule, for one host or for all. What fired already when the range began is in ``ongoing`` and no event.
    ``seconds`` are those within the range.
    """

    events: int = 0
    ongoing: int = 0
    hosts: int = 0
    seconds: float = 0.0
    flapping: int = 0
    events_per_day: float = 0.0


@dataclass(slots=True)
class HostCount:
    """What the rule did for one host."""

    host_id: str
    events: int
    ongoing: bool
    firing: bool
    seconds: float
    flapping: int


@dataclass(frozen=True, slots=True)
class Event:
    """One time that the rule fired. ``seconds`` are those within the range, up to its end where it did not end."""

    host_id: str
    since: datetime
    fired_at: datetime
    value: float | None
    peak: float | None
    resolved_at: datetime | None
    resolved_value: float | None
    seconds: float


@dataclass(slots=True)
class _OfHost:
    count: Count = field(default_factory=Count)
    ended: datetime | None = None
    firing: bool = False


class Tally:
    """Counts everything, for each rule; of the first it also keeps hosts, and the newest events, up to ``most``.

    Episodes of a host must come in the order of time.
    """

    def __init__(self, covered: Range, rules: int, most: int) -> None:
        self._covered = covered
        self._most = most
        self._of_host: dict[str, list[_OfHost]] = defaultdict(lambda: [_OfHost() for _ in range(rules)])
        self._newest: list[tuple[datetime, str, Event]] = []
        self.counts = [Count() for _ in range(rules)]
        self.hosts: list[HostCount] = []

    def add_all(self, host_id: str, found: Iterable[Found]) -> None:
        """Count episodes of a host. One that ended before the range does not count."""
        for one in found:
            self._add(host_id, one)

    def _add(self, host_id: str, found: Found) -> None:
        episode, covered = found.episode, self._covered
        ended = episode.resolved.at if episode.resolved is not None else None
        of_host = self._of_host[host_id][found.rule]
        before, of_host.ended = of_host.ended, ended
        if ended is not None and ended <= covered.start:
            return
        seconds = (min(ended or covered.end, covered.end) - max(episode.fired.at, covered.start)).total_seconds()
        of_host.count.seconds += seconds
        if episode.fired.at < covered.start:
            of_host.count.ongoing += 1
        else:
            of_host.count.events += 1
            of_host.count.flapping += before is not None and episode.fired.at - before < FLAPPING
        of_host.firing = ended is None
        if found.rule == 0:
            self._list(host_id, episode, seconds)

    def finish(self) -> None:
        """No more comes. The hosts are those that fired longest first."""
        for host_id, of_rules in self._of_host.items():
            self._add_up(host_id, of_rules)
        days = (self._covered.end - self._covered.start) / _DAY
        for count in self.counts:
            count.events_per_day = count.events / days
        self.hosts.sort(key=lambda host: (-host.seconds, host.host_id))

    def _add_up(self, host_id: str, of_rules: Sequence[_OfHost]) -> None:
        for number, of_host in enumerate(of_rules):
            count, total = of_host.count, self.counts[number]
            if count.events or count.ongoing:
                total.hosts += 1
                total.events += count.events
                total.ongoing += count.ongoing
                total.seconds += count.seconds
                total.flapping += count.flapping
                if number == 0:
                    self.hosts.append(_host_count(host_id, of_host))

    @property
    def events(self) -> Sequence[Event]:
        """The newest events of the first rule, the newest first."""
        return [event for _, _, event in sorted(self._newest, key=lambda item: item[:2], reverse=True)]

    def _list(self, host_id: str, episode: Episode, seconds: float) -> None:
        fired, resolved, peak = episode
        key = (fired.at, host_id)
        if len(self._newest) == self._most and (not self._most or key < self._newest[0][:2]):
            return
        at, value = (resolved.at, resolved.value) if resolved is not None else (None, None)
        event = Event(host_id, fired.since, fired.at, fired.value, peak, at, value, seconds)
        if len(self._newest) == self._most:
            heapq.heapreplace(self._newest, (*key, event))
        else:
            heapq.heappush(self._newest, (*key, event))


def _host_count(host_id: str, of_host: _OfHost) -> HostCount:
    count = of_host.count
    return HostCount(host_id, count.events, bool(count.ongoing), of_host.firing, count.seconds, count.flapping)
