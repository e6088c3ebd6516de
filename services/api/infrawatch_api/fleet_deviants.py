"""The hosts that have something else than most of their group, page by page, however many they are."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from infrawatch_api.api import Api
from infrawatch_api.contract.fleet import Deviation
from infrawatch_api.domain.fleet import Accepted, Majority, shown
from infrawatch_api.domain.fleet_order import DeviationRank, deviation_rank
from infrawatch_api.fleet_views import Comparison, Question, compare
from infrawatch_api.store.fleet import reading
from infrawatch_api.store.fleet_deviations import Detail, Entry, Held, Silent, details, find
from infrawatch_common.database import Connection
from infrawatch_common.drift.changes import Category, Key
from infrawatch_common.drift.facts import subject

# Hosts times subjects of one statement.
_MOST_PAIRS = 200_000

# The rank of a subject in a group, and a host's id.
Position = tuple[DeviationRank, str]


class Deviant(NamedTuple):
    """A host that has another fact than most of its group; None is absence."""

    majority: Majority
    host_id: str
    fact: int | None
    accepted: bool


class Which(NamedTuple):
    """Which deviants are wanted: of one host, of groups that have a label or not, of the group with this one, and only
    what is, or is not, accepted; None is no matter.
    """

    host_id: str | None = None
    group: str | None = None
    grouped: bool | None = None
    accepted: bool | None = None

    def covers(self, label: str | None) -> bool:
        """Whether a group is wanted."""
        return self.group in {None, label} and self.grouped in {None, label is not None}


class Deviants:
    """By group, subject and host."""

    def __init__(self, comparison: Comparison, which: Which) -> None:
        fleet = comparison.fleet
        self._comparison = comparison
        self._accepted, self._host_id = which.accepted, which.host_id
        self._hosts: list[list[int]] = [[] for _ in fleet.labels]
        for number, member in enumerate(fleet.members):
            if which.host_id in {None, member.host_id}:
                self._hosts[fleet.cells[member.cell].group].append(number)
        wanted = (one for one in comparison.majorities if which.covers(fleet.labels[one.group]) and self._expected(one))
        self._majorities = sorted(wanted, key=self._rank)
        self._ranks = list(map(self._rank, self._majorities))

    async def fetch(self, connection: Connection, after: Position | None, limit: int) -> list[Deviant]:
        """At most ``limit`` of them, from the one after ``after``."""
        found: list[Deviant] = []
        place = bisect_left(self._ranks, after[0]) if after else 0
        while len(found) < limit and place < len(self._majorities):
            chunk = self._chunk(place, limit - len(found))
            rows = await self._find(connection, chunk)
            found += [one for one in rows if after is None or self._position(one) > after]
            place += len(chunk)
        return found[:limit]

    async def count(self, connection: Connection, after: Position | None, limit: int) -> int:
        """How many there are after ``after``, or about ``limit`` if there are more."""
        if self._host_id is not None:
            return len(await self.fetch(connection, after, limit))
        place = bisect_left(self._ranks, after[0]) if after else 0
        begun = self._majorities[place : place + 1] if after else []
        first = [one for one in await self._find(connection, begun) if after and self._position(one) > after]
        return len(first) + sum(map(self._expected, self._majorities[place + len(begun) :]))

    def _expected(self, one: Majority) -> int:
        """How many deviants a majority has; of one host alone it is not known."""
        return {None: one.others, True: one.accepted, False: one.deviating}[self._accepted]

    def _rank(self, one: Majority) -> DeviationRank:
        return deviation_rank(self._comparison.fleet.labels[one.group], one.key)

    def _position(self, one: Deviant) -> Position:
        return self._rank(one.majority), one.host_id

    def _chunk(self, place: int, wanted: int) -> Sequence[Majority]:
        """What is looked for at once, of one group: enough, as far as that is known, and not too much."""
        first = self._majorities[place]
        most = max(1, _MOST_PAIRS // max(1, len(self._hosts[first.group])))
        chunk: list[Majority] = []
        for one in self._majorities[place : place + most]:
            if one.group != first.group or wanted <= 0:
                break
            chunk.append(one)
            wanted -= 0 if self._host_id is not None else self._expected(one)
        return chunk

    async def _find(self, connection: Connection, chunk: Sequence[Majority]) -> list[Deviant]:
        hosts = self._hosts[chunk[0].group] if chunk else []
        if not hosts:
            return []
        members = [self._comparison.fleet.members[host] for host in hosts]
        sources = {source: number for number, source in enumerate(sorted({one.key.source for one in chunk}))}
        entries = [
            Entry(one.fact, sources[one.key.source], [fact for fact in one.facts if fact is not None]) for one in chunk
        ]
        silent = [
            Silent(place, number)
            for source, number in sources.items()
            for place, host in enumerate(hosts)
            if not self._comparison.reporters.include(host, source)
        ]
        rows = await find(connection, [member.snapshot_id for member in members], entries, silent)
        return list(self._judged(chunk, hosts, rows))

    def _judged(
        self, chunk: Sequence[Majority], hosts: Sequence[int], rows: Sequence[tuple[int, int, int | None]]
    ) -> Iterator[Deviant]:
        fleet = self._comparison.fleet
        spared = [{cell for cell, one in enumerate(fleet.cells) if one.spares(entry.key)} for entry in chunk]
        for entry, place, fact in rows:
            majority, host = chunk[entry], hosts[place]
            accepted = Accepted(host, majority.subject, fact) in self._comparison.accepted
            if fleet.members[host].cell not in spared[entry] and self._accepted in {None, accepted}:
                yield Deviant(majority, fleet.members[host].host_id, fact, accepted)


class DeviationList:
    """What is told of deviants, in pages; the fleet is compared once for all of them."""

    def __init__(self, api: Api, question: Question, which: Which) -> None:
        self._api = api
        self._question = question
        self._which = which
        self._compared: tuple[Comparison, Deviants] | None = None

    async def fetch(self, after: tuple[Any, ...] | None, limit: int) -> list[Deviation]:
        """At most ``limit``, from the one after ``after``: the time, a subject's rank and a host's id."""
        async with reading(self._api.database) as connection:
            comparison, deviants = await self._compare(connection)
            found = await deviants.fetch(connection, _position(after), limit)
            held = [_held(comparison, one) for one in found]
            known = await details(connection, self._question.at, held)
        return [_told(comparison, one, detail) for one, detail in zip(found, known, strict=True)]

    async def count(self, after: tuple[Any, ...] | None, limit: int) -> int:
        """How many there are after ``after``, or about ``limit`` if there are more."""
        async with reading(self._api.database) as connection:
            _, deviants = await self._compare(connection)
            return await deviants.count(connection, _position(after), limit)

    async def _compare(self, connection: Connection) -> tuple[Comparison, Deviants]:
        if self._compared is None:
            comparison = await compare(connection, self._api.settings, self._question)
            self._compared = comparison, Deviants(comparison, self._which)
        return self._compared


def _position(after: tuple[Any, ...] | None) -> Position | None:
    return (after[1:-1], after[-1]) if after else None


def _value(comparison: Comparison, fact: int | None) -> str | None:
    return None if fact is None else comparison.values[fact]


def _held(comparison: Comparison, one: Deviant) -> Held:
    source = subject(Key(Category.SOURCE, one.majority.key.source, ""))
    return Held(one.host_id, one.majority.subject, source, _value(comparison, one.fact))


def _told(comparison: Comparison, one: Deviant, detail: Detail) -> Deviation:
    majority, key = one.majority, one.majority.key
    return Deviation(
        host_id=one.host_id,
        group=comparison.fleet.labels[majority.group],
        category=key.category,
        source=key.source,
        name=key.name,
        value=shown(key, _value(comparison, one.fact)),
        majority=shown(key, majority.value),
        since=detail.since,
        accepted=one.accepted,
        accepted_at=detail.accepted_at,
        accepted_by=detail.accepted_by,
        accepted_until=detail.accepted_until,
        accepted_reason=detail.reason,
    )
