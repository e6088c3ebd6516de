"""The facts of a snapshot, from those of the one before it and what has changed."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from infrawatch_common.drift.changes import Category, Change, Value
from infrawatch_common.drift.facts import Fact


class Moved(NamedTuple):
    """What a snapshot no longer says, and what it says anew."""

    gone: tuple[Fact, ...]
    come: tuple[Fact, ...]


def moved(changes: Iterable[Change]) -> Moved:
    """What changes do to facts."""
    gone: list[Fact] = []
    come: list[Fact] = []
    for change in changes:
        gone += _facts(change, change.before)
        come += _facts(change, change.after)
    return Moved(tuple(gone), tuple(come))


def _facts(change: Change, value: Value) -> Iterator[Fact]:
    if isinstance(value, Mapping):
        for name, version in value.items():
            yield Fact(Category.PACKAGE, change.source, name, version)
    elif value is not None:
        yield Fact(change.category, change.source, change.name, value)


def recounted(before: Sequence[int], gone: Iterable[int], come: Iterable[int]) -> list[int] | None:
    """The ids, ascending, after some are gone and others have come; None if one that is gone was not there."""
    ids = list(before)
    for identifier in gone:
        index = bisect_left(ids, identifier)
        if index == len(ids) or ids[index] != identifier:
            return None
        del ids[index]
    for identifier in come:
        insort(ids, identifier)
    return ids
