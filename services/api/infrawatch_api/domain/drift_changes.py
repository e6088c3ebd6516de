"""What is told of a change: no secrets, of whole sources no more than numbers, and what people say of it by now."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from infrawatch_common.drift.changes import Category, Change, Value, sentence, shown


class ChangeState(StrEnum):
    """What people say of a change. ``EXPIRED``: it was accepted for a time that is over."""

    OPEN = "open"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EXPIRED = "expired"


class DriftSeverity(StrEnum):
    """How bad a change is, from the least to the worst."""

    IGNORED = "ignored"
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


def state(verdict: str, expires_at: datetime | None, now: datetime) -> ChangeState:
    """What a verdict is by now."""
    if verdict == ChangeState.ACCEPTED and expires_at is not None and expires_at <= now:
        return ChangeState.EXPIRED
    return ChangeState(verdict)


class Told(NamedTuple):
    """Values as people see them: texts, but of sources the numbers of packages; and a sentence of it all."""

    before: str | None
    after: str | None
    packages_before: int | None
    packages_after: int | None
    sentence: str


def told(change: Change) -> Told:
    """What is told of a change."""
    if change.category is Category.SOURCE:
        return Told(None, None, _number(change.before), _number(change.after), sentence(change))
    visible = shown(change)
    return Told(_text(visible.before), _text(visible.after), None, None, sentence(change))


class Counted(dict[str, str]):
    """The packages of a source where no more than their number is known. Equal only to what has the same ``digest``."""

    def __init__(self, number: int, digest: str = "") -> None:
        super().__init__({digest: str(number)})
        self._number = number

    def __len__(self) -> int:
        return self._number


def _number(value: Value) -> int | None:
    return None if value is None else len(value)


def _text(value: Value) -> str | None:
    return value if isinstance(value, str) else None
