"""All hosts of a replica and their rules: which are for whom, and what samples, silence and edits make of them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from infrawatch_common.alerts.engine import Ended, Firing, Pending, Rhythm, State, closed
from infrawatch_common.alerts.rules import Rule
from infrawatch_common.alerts.watching import Change, Changes, HostWatch, RuleSet
from infrawatch_common.events import Sample


class Facts(NamedTuple):
    """What is known of a host besides its samples."""

    tags: Mapping[str, str]
    retired: bool


class Rulebook(NamedTuple):
    """The rules that judge, the ids of those that are switched off, the hosts as they are, and those that are deleted.

    A host that is neither among the hosts nor deleted is one that is yet to be registered.
    """

    rules: Sequence[Rule]
    disabled: frozenset[UUID]
    hosts: Mapping[str, Facts]
    deleted: frozenset[str] = frozenset()


class StoredState(NamedTuple):
    """A state that is not ok, as it is kept."""

    alert_id: UUID
    host_id: str
    version: int
    since: datetime
    fired_at: datetime | None

    @property
    def state(self) -> State:
        """As the decision knows it."""
        return Pending(self.since) if self.fired_at is None else Firing(self.since, self.fired_at)


class StoredHost(NamedTuple):
    """What is remembered of a host's samples."""

    host_id: str
    last_at: datetime
    heard_at: datetime
    distances: Sequence[timedelta]


class HostChange(NamedTuple):
    """A change, and whose it is."""

    host_id: str
    change: Change


_UNKNOWN = Facts({}, retired=False)
_NO_RULES = RuleSet(())


class Fleet:
    """The hosts of the partitions that a replica has. A host that nobody has described has no tags."""

    def __init__(self, usual_interval: timedelta) -> None:
        self._usual = Rhythm(usual_interval)
        self._book = Rulebook((), frozenset(), {})
        self._known: frozenset[UUID] = frozenset()
        # Of many hosts with rules of their own, each looks at its own alone.
        self._shared: list[Rule] = []
        self._own: defaultdict[str, list[Rule]] = defaultdict(list)
        self._sets: dict[tuple[UUID, ...], RuleSet] = {}
        self._watches: dict[str, HostWatch] = {}
        self._excused_until: datetime | None = None
        self.undescribed: set[str] = set()

    def __len__(self) -> int:
        return len(self._watches)

    def follow(self, book: Rulebook, at: datetime) -> list[HostChange]:
        """Judge by these rules from now on. What fires under a rule that is not the same any more ends."""
        gone = self._book.hosts.keys() - book.hosts.keys()
        self._book = book._replace(deleted=book.deleted | gone)
        self._known = frozenset(rule.id for rule in book.rules)
        self._shared, self._own = [], defaultdict(list)
        for rule in book.rules:
            (self._shared if rule.host_id is None else self._own[rule.host_id]).append(rule)
        self._sets = {}
        self.undescribed -= book.hosts.keys() | self._book.deleted
        changes = [
            HostChange(host_id, change)
            for host_id, watch in self._watches.items()
            for change in watch.follow(self._rules_of(host_id), at, self._why(host_id))
        ]
        for host_id in self._book.deleted:
            self._watches.pop(host_id, None)
        return changes

    def restore(self, hosts: Iterable[StoredHost], states: Iterable[StoredState], at: datetime) -> list[HostChange]:
        """Take over hosts as they were kept. States of rules that are not the same any more end."""
        for host in hosts:
            rhythm = Rhythm(self._usual.usual, tuple(host.distances))
            watch = HostWatch(host.host_id, self._rules_of(host.host_id), rhythm, host.last_at)
            watch.delay = host.heard_at - host.last_at
            watch.excused_until = self._excused_until
            self._watches[host.host_id] = watch
        changes = []
        for stored in states:
            watch = self._watch(stored.host_id)
            rule = watch.rules.rules.get(stored.alert_id)
            if rule is not None and rule.version == stored.version:
                watch.states[stored.alert_id] = stored.state
                continue
            reason = Ended.RULE_CHANGED if rule is not None else self._why(stored.host_id)(stored.alert_id)
            ended = Change(stored.alert_id, None, None, closed(stored.state, at, reason))
            changes.append(HostChange(stored.host_id, ended))
        return changes

    def forget(self) -> None:
        """Forget all hosts; they belong to others now, or are read again."""
        self._watches.clear()

    def sample(self, sample: Sample, heard_at: datetime) -> Changes | None:
        """One more sample, which the broker got then; None when a newer one of its host came before."""
        watch = self._watches.get(sample.host_id) or self._watch(sample.host_id)
        changes = watch.sample(sample)
        if changes is not None:
            watch.delay = heard_at - sample.timestamp
        return changes

    def silence(self, until: datetime, hosts: Iterable[str] | None = None) -> list[HostChange]:
        """Nothing was heard of these hosts, or of any, between their last samples and then."""
        watches = self._watches.values() if hosts is None else map(self._watches.__getitem__, hosts)
        return [HostChange(watch.host_id, change) for watch in watches for change in watch.silence(until)]

    def excuse(self, until: datetime) -> None:
        """Nobody could be heard until then: silence counts from then on, also of hosts that are read again."""
        self._excused_until = until
        for watch in self._watches.values():
            watch.excused_until = until

    def kept(self, host_ids: Iterable[str]) -> list[StoredHost]:
        """What is to be remembered of these hosts' samples."""
        watches = (self._watches[host_id] for host_id in host_ids if host_id in self._watches)
        return [
            StoredHost(w.host_id, w.last_at, w.last_at + w.delay, w.rhythm.distances)
            for w in watches
            if w.last_at is not None
        ]

    @property
    def hosts(self) -> Iterable[str]:
        """The hosts that were heard, or have a state."""
        return self._watches.keys()

    def _watch(self, host_id: str) -> HostWatch:
        watch = self._watches.get(host_id)
        if watch is None:
            watch = self._watches[host_id] = HostWatch(host_id, self._rules_of(host_id), self._usual)
            if host_id not in self._book.hosts and host_id not in self._book.deleted:
                self.undescribed.add(host_id)
        return watch

    def _rules_of(self, host_id: str) -> RuleSet:
        facts = self._book.hosts.get(host_id, _UNKNOWN)
        if facts.retired or host_id in self._book.deleted:
            return _NO_RULES
        rules = [rule for rule in self._shared if rule.matches(host_id, facts.tags)]
        rules += self._own.get(host_id, ())
        key = tuple(rule.id for rule in rules)
        if key not in self._sets:
            self._sets[key] = RuleSet(rules)
        return self._sets[key]

    def _why(self, host_id: str) -> Callable[[UUID], Ended]:
        def why(alert_id: UUID) -> Ended:
            if alert_id in self._book.disabled:
                return Ended.RULE_DISABLED
            if alert_id not in self._known:
                return Ended.RULE_DELETED
            facts = self._book.hosts.get(host_id)
            if facts is None:
                return Ended.HOST_DELETED
            return Ended.HOST_RETIRED if facts.retired else Ended.HOST_NOT_SELECTED

        return why
