"""How the hosts of a fleet differ: what most of a group have, and how many have something else."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from infrawatch_api.domain.fleet_hosts import Fleet
from infrawatch_common.drift.changes import Category, Key
from infrawatch_common.drift.hiding import hidden
from infrawatch_common.drift.versions import Order, order


class Decided(StrEnum):
    """What made a value the majority: no other is as frequent; or, of several that are equally frequent, it is there
    while the other is absence, it is the newest version, or it is the first by its characters.
    """

    COUNT = "count"
    PRESENCE = "presence"
    VERSION = "version"
    TEXT = "text"


class Counted(NamedTuple):
    """A fact, and in which cells it is on how many hosts."""

    fact: int
    subject: bytes
    key: Key
    value: str
    cells: Sequence[int]
    counts: Sequence[int]


class Accepted(NamedTuple):
    """A host, by its number in the fleet, that may have this fact of a subject, and has it; None is absence."""

    host: int
    subject: bytes
    fact: int | None


class Wanted(NamedTuple):
    """Which subjects are asked for; None is no matter. ``everything``: those too that nobody deviates in."""

    category: Category | None = None
    source: str | None = None
    name: str | None = None
    everything: bool = False

    def covers(self, key: Key) -> bool:
        """Whether a subject is asked for."""
        return (
            (self.category is None or key.category is self.category)
            and (self.source is None or key.source == self.source)
            and (self.name is None or key.name == self.name)
        )


_DEVIATING = Wanted()


@dataclass(frozen=True, slots=True)
class Majority:
    """A subject in a group: what most of the ``asked`` hosts have (None: it is not there), how many have it, how many
    of the others may be as they are, and how many values there are, absence among them. ``facts``: the group's.
    """

    group: int
    key: Key
    subject: bytes
    fact: int | None
    value: str | None
    decided: Decided
    asked: int
    have: int
    accepted: int
    facts: tuple[int | None, ...]

    @property
    def others(self) -> int:
        """How many hosts have something else, accepted or not."""
        return self.asked - self.have

    @property
    def deviating(self) -> int:
        """How many hosts have something else that nobody has accepted."""
        return self.others - self.accepted


def shown(key: Key, value: str | None) -> str | None:
    """The value of a subject as people may see it."""
    return hidden(key.name, value) if value is not None and key.category is Category.ENV else value


class Reporters:
    """Which hosts report which source of packages. A host that does not report a source is not asked for what is
    listed there: a machine without dpkg lacks no Debian package, nor does one whose dpkg could not be read.
    """

    def __init__(self, fleet: Fleet, found: Mapping[str, Iterable[int]]) -> None:
        """``found``: the numbers of the hosts that report a source; of sources that are not in it, all do."""
        self._sizes = _sizes(fleet, range(len(fleet.members)))
        self._hosts = {source: frozenset(hosts) for source, hosts in found.items()}
        self._by_cell = {source: _sizes(fleet, hosts) for source, hosts in self._hosts.items()}

    def number(self, cells: Iterable[int], source: str) -> int:
        """How many hosts of the cells report the source."""
        return sum(map(self._by_cell.get(source, self._sizes).__getitem__, cells))

    def include(self, host: int, source: str) -> bool:
        """Whether this host does."""
        return source not in self._hosts or host in self._hosts[source]

    @property
    def silent(self) -> Iterator[tuple[str, frozenset[int]]]:
        """The sources that some hosts do not report, with those that do."""
        yield from self._hosts.items()


def doubtful(fleet: Fleet, counted: Iterable[Counted]) -> list[str]:
    """The sources of which counting alone does not show that every host of every group reports them."""
    sizes = _group_sizes(fleet)
    sources: set[str] = set()
    whole: set[tuple[str, int]] = set()
    for one in counted:
        if one.key.category is Category.PACKAGE:
            sources.add(one.key.source)
            whole |= {(one.key.source, group) for group, n in _by_group(fleet, one).items() if n == sizes[group]}
    return sorted(source for source in sources if any((source, group) not in whole for group in range(len(sizes))))


def majorities(
    fleet: Fleet,
    counted: Iterable[Counted],
    reporters: Reporters,
    accepted: Iterable[Accepted],
    wanted: Wanted = _DEVIATING,
) -> list[Majority]:
    """The subjects that are asked for, once for each group that has any fact of them, in no particular order."""
    allowed: dict[bytes, list[Accepted]] = {}
    for one in accepted:
        allowed.setdefault(one.subject, []).append(one)
    subjects: dict[bytes, list[Counted]] = {}
    for fact in counted:
        if wanted.covers(fact.key):
            subjects.setdefault(fact.subject, []).append(fact)
    judge = _Judge(fleet, reporters)
    found = (one for subject, facts in subjects.items() for one in judge.judge(facts, allowed.get(subject, ())))
    return [one for one in found if wanted.everything or one.deviating]


class _Judge:
    """Judges one subject after the other."""

    def __init__(self, fleet: Fleet, reporters: Reporters) -> None:
        self._fleet = fleet
        self._reporters = reporters
        self._cells = [fleet.cells_of(group) for group in range(len(fleet.labels))]
        self._spares = any(cell.ignores for cell in fleet.cells)

    def judge(self, facts: Sequence[Counted], accepted: Iterable[Accepted]) -> Iterator[Majority]:
        key, values = facts[0].key, {one.fact: one.value for one in facts}
        spared = self._spared(key)
        there: dict[int, dict[int | None, int]] = {}
        for one in facts:
            for group, number in _by_group(self._fleet, one, spared).items():
                there.setdefault(group, {})[one.fact] = number
        for group, counts in there.items():
            cells = [cell for cell in self._cells[group] if cell not in spared]
            asked = self._reporters.number(cells, key.source)
            if absent := asked - sum(counts.values()):
                counts[None] = absent
            fact, decided = _decide(key.source, counts, values)
            others = (one for one in accepted if one.fact != fact and self._asked(one.host, cells, key.source))
            yield Majority(
                group=group,
                key=key,
                subject=facts[0].subject,
                fact=fact,
                value=None if fact is None else values[fact],
                decided=decided,
                asked=asked,
                have=counts[fact],
                accepted=sum(1 for _ in others),
                facts=tuple(counts),
            )

    def _spared(self, key: Key) -> frozenset[int]:
        if not self._spares:
            return frozenset()
        return frozenset(number for number, cell in enumerate(self._fleet.cells) if cell.spares(key))

    def _asked(self, host: int, cells: Sequence[int], source: str) -> bool:
        return self._fleet.members[host].cell in cells and self._reporters.include(host, source)


def _decide(source: str, counts: Mapping[int | None, int], values: Mapping[int, str]) -> tuple[int | None, Decided]:
    most = max(counts.values())
    first = [fact for fact, count in counts.items() if count == most]
    if len(first) == 1:
        return first[0], Decided.COUNT
    there = sorted((fact for fact in first if fact is not None), key=values.__getitem__)
    if len(there) == 1:
        return there[0], Decided.PRESENCE
    newest = there[0]
    for fact in there[1:]:
        compared = order(source, values[fact], values[newest])
        if compared not in {Order.NEWER, Order.OLDER}:
            return there[0], Decided.TEXT
        if compared is Order.NEWER:
            newest = fact
    return newest, Decided.VERSION


def _by_group(fleet: Fleet, one: Counted, spared: frozenset[int] = frozenset()) -> dict[int, int]:
    numbers: dict[int, int] = {}
    for cell, count in zip(one.cells, one.counts, strict=True):
        if cell not in spared:
            group = fleet.cells[cell].group
            numbers[group] = numbers.get(group, 0) + count
    return numbers


def _sizes(fleet: Fleet, hosts: Iterable[int]) -> list[int]:
    sizes = [0] * len(fleet.cells)
    for host in hosts:
        sizes[fleet.members[host].cell] += 1
    return sizes


def _group_sizes(fleet: Fleet) -> list[int]:
    sizes = [0] * len(fleet.labels)
    for member in fleet.members:
        sizes[fleet.cells[member.cell].group] += 1
    return sizes
