"""A change of a host's configuration, as a value, as JSON, and in words."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from infrawatch_common.drift.content import Packages
from infrawatch_common.drift.hiding import hidden


class Category(StrEnum):
    """What has changed. ``SOURCE`` is a whole source of packages that came or went, with all that it lists."""

    OS = "os"
    KERNEL = "kernel"
    SOURCE = "source"
    PACKAGE = "package"
    ENV = "env"


class Action(StrEnum):
    """What happened to it."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class Direction(StrEnum):
    """Which way a package's version went."""

    UPGRADED = "upgraded"
    DOWNGRADED = "downgraded"


class Key(NamedTuple):
    """What a change is about. ``source`` is empty for os, kernel and env; ``name`` for a source."""

    category: Category
    source: str
    name: str


# A text, or all packages of a source; None where there is nothing.
Value = str | Packages | None


class Change(NamedTuple):
    """One difference. ``direction`` is None where versions have no order, or have not moved in it."""

    category: Category
    source: str
    name: str
    action: Action
    before: Value
    after: Value
    direction: Direction | None = None

    @property
    def key(self) -> Key:
        """What it is about."""
        return Key(self.category, self.source, self.name)

    def as_json(self) -> dict[str, Any]:
        """All fields, enums as texts; values as they are, hidden or not."""
        fields = self._asdict()
        return {name: str(value) if isinstance(value, StrEnum) else value for name, value in fields.items()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Change":
        """What ``as_json`` made."""
        direction = stored["direction"]
        return cls(
            Category(stored["category"]),
            stored["source"],
            stored["name"],
            Action(stored["action"]),
            stored["before"],
            stored["after"],
            None if direction is None else Direction(direction),
        )


def shown(change: Change) -> Change:
    """The change as people and other systems may see it: without secret values, or their digests."""
    if change.category is not Category.ENV:
        return change
    before, after = (
        hidden(change.name, value) if isinstance(value, str) else value for value in (change.before, change.after)
    )
    return change._replace(before=before, after=after)


_SUBJECTS = {Category.OS: "the operating system", Category.KERNEL: "the kernel"}


def sentence(change: Change) -> str:
    """What happened, on one line, without secrets."""
    subject, before, after = _subject(change), _text(shown(change).before), _text(shown(change).after)
    if change.action is Action.ADDED:
        told = f"{subject} came: {after}"
    elif change.action is Action.REMOVED:
        told = f"{subject} went: {before}"
    elif before == after:
        told = f"{subject} changed"
    else:
        told = f"{subject} {change.direction or 'changed'}: {before} to {after}"
    # Names and values come from agents, which may write whatever they like, line ends too.
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in told)


def _subject(change: Change) -> str:
    if change.category is Category.PACKAGE:
        return f"{change.name} ({change.source})"
    if change.category is Category.SOURCE:
        return f"all of {change.source}"
    return _SUBJECTS.get(change.category, change.name)


def _text(value: Value) -> str:
    if isinstance(value, Mapping):
        return "1 package" if len(value) == 1 else f"{len(value)} packages"
    return value or '""'
