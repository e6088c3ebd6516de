"""Changes that go back and forth, told as one."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from infrawatch_common.drift.changes import Change, Key, Value


class Dated(NamedTuple):
    """A change of a host, and when the snapshot that showed it was taken."""

    at: datetime
    change: Change


class Story(NamedTuple):
    """Changes of one thing on one host, each within the window of the one before, by time; never empty."""

    key: Key
    steps: tuple[Dated, ...]

    @property
    def since(self) -> datetime:
        """When the first change was seen."""
        return self.steps[0].at

    @property
    def until(self) -> datetime:
        """When the last change was seen."""
        return self.steps[-1].at

    @property
    def first(self) -> Value:
        """What was there before the first change."""
        return self.steps[0].change.before

    @property
    def last(self) -> Value:
        """What is there after the last change."""
        return self.steps[-1].change.after

    @property
    def returned(self) -> bool:
        """Whether all is as it was before."""
        return self.first == self.last

    @property
    def values(self) -> tuple[Value, ...]:
        """Every value that was seen, once, by when it was first seen."""
        seen: list[Value] = []
        for step in self.steps:
            # A change before may be unknown, so that the value before is news as well.
            seen += [value for value in (step.change.before, step.change.after) if value not in seen]
        return tuple(seen)


def stories(changes: Iterable[Dated], window: timedelta, earlier: Iterable[Story] = ()) -> tuple[Story, ...]:
    """The stories that the changes of one host make, by beginning and key; with ``earlier``, those go on.

    A change within ``window`` of another of the same thing is part of its story; one that joins two makes them one.
    What is given twice counts once, so that batches may overlap. The result is that of all changes at once.
    """
    steps: dict[Key, list[Dated]] = {}
    for story in earlier:
        steps.setdefault(story.key, []).extend(story.steps)
    for dated in changes:
        steps.setdefault(dated.change.key, []).append(dated)
    told = [story for key, of_key in steps.items() for story in _told(key, of_key, window)]
    return tuple(sorted(told, key=lambda story: (story.since, story.key)))


def _told(key: Key, dated: list[Dated], window: timedelta) -> list[Story]:
    told: list[list[Dated]] = []
    for step in sorted(dated, key=_rank):
        if not told or step.at - told[-1][-1].at > window:
            told.append([step])
        elif step != told[-1][-1]:
            told[-1].append(step)
    return [Story(key, tuple(steps)) for steps in told]


def _rank(dated: Dated) -> tuple[datetime, str]:
    """Sorts by time, and what happened at one time always in the same way."""
    return dated.at, json.dumps(dated.change.as_json(), sort_keys=True)
