"""The judges of drift: what is kept of snapshots, and how they differ, against what had to be. Pure, able to say no.

What had to be is a function of the sightings alone, whatever the order in which they came, and how often.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby, pairwise
from typing import NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

from faults.verdicts import Check
from infrawatch_common.drift.changes import Value
from infrawatch_common.drift.content import Content, digest
from infrawatch_common.drift.diff import diff
from infrawatch_common.drift.facts import subject


class Sighting(NamedTuple):
    """A snapshot that the broker acknowledged; sightings sort in the order in which they count."""

    host_id: str
    at: datetime
    id: UUID
    content: Content


class Row(NamedTuple):
    """A row of ``snapshots``: a content that was seen from one time to another, and at no time between another one."""

    id: UUID
    host_id: str
    begin: datetime
    end: datetime
    digest: bytes


class Kept(NamedTuple):
    """A row of ``drift_changes``, but for what depends on when it was found."""

    id: UUID
    host_id: str
    snapshot_id: UUID
    not_before: datetime
    at: datetime
    category: str
    source: str
    name: str
    action: str
    direction: str | None
    before: Hashable
    after: Hashable


class Event(NamedTuple):
    """A message on the topic of drift events."""

    kind: str
    id: UUID
    host_id: str
    snapshot_id: UUID
    category: str
    source: str
    name: str
    action: str


def expected(sightings: Iterable[Sighting]) -> tuple[list[Row], list[Kept]]:
    """The rows and changes that these sightings make."""
    each = {_place(one): one for one in sightings}
    rows: list[Row] = []
    changes: list[Kept] = []
    for host, seen in groupby(sorted(each.values(), key=_place), key=lambda one: one.host_id):
        runs = list(_runs(seen))
        rows += [Row(run[0].id, host, run[0].at, run[-1].at, digest(run[0].content)) for run in runs]
        for before, after in pairwise(runs):
            changes += _changes(before[-1], after[0])
    return rows, changes


def _place(one: Sighting) -> tuple[str, datetime, UUID]:
    return one[:3]


def _runs(seen: Iterable[Sighting]) -> Iterator[list[Sighting]]:
    for _, run in groupby(seen, key=lambda one: digest(one.content)):
        yield list(run)


def _changes(before: Sighting, after: Sighting) -> Iterator[Kept]:
    for change in diff(before.content, after.content):
        yield Kept(
            uuid5(NAMESPACE_URL, f"infrawatch:{after.id}:{subject(change.key).hex()}"),
            *(after.host_id, after.id, before.at, after.at, change.category, change.source, change.name),
            *(change.action, change.direction, comparable(change.before), comparable(change.after)),
        )


def comparable(value: Value) -> Hashable:
    """A value as one that can be compared and counted: a source's packages in order."""
    return tuple(sorted(value.items())) if isinstance(value, Mapping) else value


def as_expected(what: str, found: Sequence[Row | Kept], due: Collection[Row | Kept]) -> Check:
    """D1: these rows, each exactly once; ``what`` names them."""
    counts, wanted = Counter(found), Counter(due)
    missing, more = list((wanted - counts).elements()), list((counts - wanted).elements())
    seen = "".join(
        f"; {kind} {_told(one)}"
        for kind, some in (("missing", missing), ("too many", more))
        for one in sorted(some, key=lambda one: one[:2])[:2]
    )
    return Check(
        f"D1 {what}",
        bool(due) and not (missing or more),
        f"{len(missing)} missing, {len(more)} too many of {len(due):,}{seen}",
        "0, 0",
    )


def _told(one: Row | Kept) -> str:
    if isinstance(one, Row):
        return f"{one.host_id} from {one.begin:%H:%M:%S.%f} to {one.end:%H:%M:%S.%f} ({one.id})"
    return f"{one.host_id} at {one.at:%H:%M:%S.%f}, {one.category} {one.name} {one.action} ({one.id})"


WITHDRAWN = "withdrawn"


def told(events: Sequence[Event], kept: Collection[Kept]) -> Check:
    """D1: the last that is told of each change that is kept is that change, and of any other that it is withdrawn.

    ``events`` are in the order of the topic.
    """
    last = {event.id: event for event in events}
    standing = {event[1:] for event in last.values() if event.kind != WITHDRAWN}
    due = {(one.id, one.host_id, one.snapshot_id, one.category, one.source, one.name, one.action) for one in kept}
    missing, unknown = len(due - standing), len(standing - due)
    return Check(
        "D1 told",
        bool(due) and not (missing or unknown),
        f"{missing} missing, {unknown} unknown of {len(due):,}; {len(events):,} events of {len(last):,} changes",
        "0 missing, 0 unknown",
    )


def refused(letters: Sequence[tuple[str, int, int, str]], sent: Collection[tuple[str, int, int, str]]) -> Check:
    """L0: what was sent to be refused, and nothing else, is a dead letter once: topic, partition, offset, reason."""
    counts = Counter(letters)
    missing, more = len(set(sent) - counts.keys()), counts.total() - len(set(sent) & counts.keys())
    wrong = sorted(counts.keys() - set(sent))
    seen = f"; among them {wrong[0]}" if wrong else ""
    return Check(
        "letters", not missing and not more, f"{missing} missing, {more} too many of {len(sent):,}{seen}", "0, 0"
    )
