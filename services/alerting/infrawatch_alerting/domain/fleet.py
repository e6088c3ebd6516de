"""All hosts of a replica and their rules: which are for whom, and what samples, silence and edits make of them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from infrawatch_common.alerts.engine import Ended, Firing, Resolved, Rhythm, State, closed, state_of
from infrawatch_common.alerts.history import History
from infrawatch_common.alerts.rules import Metric, Rule
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
        return state_of(self.since, self.fired_at)


class StoredHost(NamedTuple):
    """What is remembered of a host's samples."""

    host_id: str
    last_at: datetime
    heard_at: datetime
    distances: Sequence[timedelta]


class StoredHistory(NamedTuple):
    """The gaps of a host; None when it has none any more."""

    host_id: str
    history: History | None


class StoredEvent(NamedTuple):
    """An event that has not ended, as it is kept."""

    alert_id: UUID
    host_id: str
    version: int
    fired_at: datetime


class HostChange(NamedTuple):
    """A change, and whose it is."""

    host_id: str
    change: Change


_UNKNOWN = Facts({}, retired=False)
_NO_RULES = RuleSet(())
# Usual intervals that what is kept of a host that is well may be behind: fewer than a gap has.
_BEHIND = 2
_LOOK_BACK = timedelta(hours=1)


class Fleet:
    """The hosts of the partitions that a replica has. A host that nobody has described has no tags.

    For samples that fill a gap it ``waits`` until new ones have come for so long without them.
    """

    def __init__(self, usual_interval: timedelta, waits: timedelta = timedelta(minutes=5)) -> None:
        self._usual = Rhythm(usual_interval)
        self._waits = waits
        self._book = Rulebook((), frozenset(), {})
        self._known: frozenset[UUID] = frozenset()
        # Of many hosts with rules of their own, each looks at its own alone.
        self._shared: list[Rule] = []
        self._own: defaultdict[str, list[Rule]] = defaultdict(list)
        self._sets: dict[tuple[UUID, ...], RuleSet] = {}
        self._sets_before: Mapping[tuple[UUID, ...], RuleSet] = {}
        self._watches: dict[str, HostWatch] = {}
        self._excused_until: datetime | None = None
        self._pauses: Sequence[tuple[datetime, datetime]] = ()
        self._kept_at: dict[str, datetime] = {}
        self._with_history: set[str] = set()
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
        self._sets_before, self._sets = self._sets, {}
        self.undescribed -= book.hosts.keys() | self._book.deleted
        changes = [
            HostChange(host_id, change)
            for host_id, watch in self._watches.items()
            for change in watch.follow(self._rules_of(host_id), at, self._why(host_id))
        ]
        self._sets_before = {}
        for host_id in self._book.deleted:
            self._watches.pop(host_id, None)
        return changes

    def restore(
        self,
        hosts: Iterable[StoredHost],
        states: Iterable[StoredState],
        at: datetime,
        histories: Iterable[StoredHistory] = (),
        events: Iterable[StoredEvent] = (),
    ) -> list[HostChange]:
        """Take over hosts as they were kept.

        States of rules that are not the same any more end, and so do those of the ``events`` that have no state.
        """
        for host in hosts:
            rhythm = Rhythm(self._usual.usual, tuple(host.distances))
            watch = HostWatch(host.host_id, self._rules_of(host.host_id), rhythm, host.last_at, self._waits)
            watch.heard_ms, watch.heard_of = host.heard_at.timestamp() * 1000, host.last_at
            watch.excused_until = self._excused_until
            watch.pauses = self._pauses
            self._watches[host.host_id] = watch
            self._kept_at[host.host_id] = host.last_at
        changes = self._restore_states(states, at) + self._restore_histories(histories, at)
        return changes + self._end_stateless(events, changes, at)

    def _restore_states(self, states: Iterable[StoredState], at: datetime) -> list[HostChange]:
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

    def _restore_histories(self, histories: Iterable[StoredHistory], at: datetime) -> list[HostChange]:
        changes = []
        for host_id, history in histories:
            watch = self._watch(host_id)
            self._with_history.add(host_id)
            if history is not None:
                watch.remember(history)
                ended = history.follow(watch.rules, at, self._why(host_id))
                changes += [HostChange(host_id, change) for change in ended]
        return changes

    def _end_stateless(
        self, events: Iterable[StoredEvent], changes: Iterable[HostChange], at: datetime
    ) -> list[HostChange]:
        known = {
            (alert_id, host_id, state.fired_at)
            for host_id, watch in self._watches.items()
            for alert_id, state in (*watch.states.items(), *(watch.history.states.items() if watch.history else ()))
            if isinstance(state, Firing)
        } | {
            (change.alert_id, host_id, change.transition.fired_at)
            for host_id, change in changes
            if isinstance(change.transition, Resolved)
        }
        return [
            HostChange(event.host_id, Change(event.alert_id, None, None, self._ended(event, at), back_filled=True))
            for event in events
            if (event.alert_id, event.host_id, event.fired_at) not in known
        ]

    def _ended(self, event: StoredEvent, at: datetime) -> Resolved:
        rule = self._rules_of(event.host_id).rules.get(event.alert_id)
        if rule is None:
            reason = self._why(event.host_id)(event.alert_id)
        else:
            reason = Ended.STATE_LOST if rule.version == event.version else Ended.RULE_CHANGED
        return Resolved(max(at, event.fired_at), event.fired_at, None, reason)

    def forget(self) -> None:
        """Forget all hosts; they belong to others now, or are read again."""
        self._watches.clear()
        self._kept_at.clear()
        self._with_history.clear()

    def sample(self, sample: Sample, heard_ms: float) -> Changes | None:
        """One more sample, which the broker got then, in milliseconds of Unix time; None when a newer one of its host
        came before.
        """
        watch = self._watches.get(sample.host_id) or self._watch(sample.host_id)
        changes = watch.sample(sample)
        if changes is not None:
            watch.heard_ms, watch.heard_of = heard_ms, sample.timestamp
        return changes

    def fill(self, sample: Sample) -> Changes | None:
        """One more sample, when a newer one of its host came before; None when it fills no gap."""
        return self._watches[sample.host_id].fill(sample)

    def silence(self, until: datetime, hosts: Iterable[str] | None = None) -> list[HostChange]:
        """Nothing was heard of these hosts, or of any, between their last samples and then."""
        watches = self._watches.values() if hosts is None else map(self._watches.__getitem__, hosts)
        return [HostChange(watch.host_id, change) for watch in watches for change in watch.silence(until)]

    def excuse(self, until: datetime) -> None:
        """Nobody could be heard until then: silence counts from then on, also of hosts that are read again."""
        self._excused_until = until
        for watch in self._watches.values():
            watch.excused_until = until

    @property
    def excusable_from(self) -> datetime | None:
        """Since when a pause of the topic may matter: as long before the newest sample as a heartbeat is patient.

        An hour of patience is enough: what is more patient bears the pauses that lie before.
        """
        heard_at = [w.last_at + w.delay for w in self._watches.values() if w.last_at is not None]
        patience = [rule.duration for rule in self._book.rules if rule.metric is Metric.HEARTBEAT]
        return max(heard_at) - min(max(patience), _LOOK_BACK) if heard_at and patience else None

    def excuse_pauses(self, pauses: Sequence[tuple[datetime, datetime]]) -> None:
        """Nobody was heard in these times: silence counts from their ends, also of hosts that are read again."""
        self._pauses = pauses
        for watch in self._watches.values():
            watch.pauses = pauses

    def kept(self, host_ids: Iterable[str]) -> list[StoredHost]:
        """What is to be remembered of these hosts' samples."""
        stored = []
        for host_id in host_ids:
            watch = self._watches.get(host_id)
            if watch is not None and watch.last_at is not None:
                self._kept_at[host_id] = watch.last_at
                heard_at = watch.last_at + watch.delay
                stored.append(StoredHost(host_id, watch.last_at, heard_at, watch.rhythm.distances))
        return stored

    def kept_now(self, host_ids: Iterable[str]) -> list[StoredHost]:
        """Of these hosts, what is to be remembered together with the states.

        It is all but those without heartbeats that are well and report often, while what is kept of them is not too old
        to tell a gap.
        """
        return self.kept([host_id for host_id in host_ids if self._matters(self._watches[host_id])])

    def _matters(self, watch: HostWatch) -> bool:
        kept_at, usual = self._kept_at.get(watch.host_id), self._usual.usual
        return (
            kept_at is None
            or bool(watch.rules.heartbeats)  # what was heard last says when they fire
            or bool(watch.states)
            or watch.history is not None
            or (watch.last_at is not None and watch.last_at - kept_at > _BEHIND * usual)
            or watch.rhythm.interval > usual
        )

    def histories(self, host_ids: Iterable[str]) -> list[StoredHistory]:
        """The gaps of those of these hosts that have some, or had."""
        found = []
        for host_id in host_ids:
            watch = self._watches.get(host_id)
            history = watch.history if watch is not None else None
            if history is not None or host_id in self._with_history:
                found.append(StoredHistory(host_id, history))
                (self._with_history.discard if history is None else self._with_history.add)(host_id)
        return found

    @property
    def hosts(self) -> Iterable[str]:
        """The hosts that were heard, or have a state."""
        return self._watches.keys()

    def _watch(self, host_id: str) -> HostWatch:
        watch = self._watches.get(host_id)
        if watch is None:
            watch = self._watches[host_id] = HostWatch(host_id, self._rules_of(host_id), self._usual, None, self._waits)
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
            before = self._sets_before.get(key)
            is_same = before is not None and all(before.rules[rule.id] is rule for rule in rules)
            self._sets[key] = before if before is not None and is_same else RuleSet(rules)
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
