"""Ignore rules: which changes nobody is to be bothered with."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from pydantic import Field, StrictBool

from infrawatch_api.contract.common import Body, Name, Reason, Tags
from infrawatch_common.alerts.rules import Severity
from infrawatch_common.drift.changes import Category
from infrawatch_common.drift.ignoring import Ignore

_Globs = Annotated[list[Name], Field(max_length=1000)]


class DriftIgnore(msgspec.Struct, frozen=True):
    """An ignore rule: all that it says must hold, and what is null or empty holds for every change. ``sources`` and
    ``names`` are globs, in which ``*`` is any text and ``?`` any one character. ``selector``: the host has all these
    tags. ``created_by`` is an email address, null once that user is deleted.
    """

    id: UUID
    category: Category | None
    sources: list[str]
    names: list[str]
    selector: dict[str, str]
    reason: str
    created_at: datetime
    created_by: str | None


class CreatedDriftIgnore(DriftIgnore, frozen=True):
    """An ignore rule, and how many ``changes`` of before it hides."""

    changes: int


class IgnoreScope(Body):
    """Which changes are meant: all that is given must hold; a rule that hides everything, such as ``{}``, needs
    ``everything``.
    """

    category: Category | None = None
    sources: _Globs = Field(default_factory=list)
    names: _Globs = Field(default_factory=list)
    selector: Tags = Field(default_factory=dict)
    everything: StrictBool = False

    def rule(self, rule_id: UUID) -> Ignore:
        """Itself, to be decided with."""
        return Ignore(rule_id, self.category, tuple(self.sources), tuple(self.names), self.selector)


class NewDriftIgnore(IgnoreScope):
    """An ignore rule to create; one that hides everything, such as ``{}``, needs ``everything``."""

    reason: Reason


class IgnoredHost(msgspec.Struct, frozen=True):
    """A host, and how many of its changes are meant."""

    host_id: str
    changes: int


class IgnoredSubject(msgspec.Struct, frozen=True):
    """One thing, how many of its changes are meant, and on how many hosts."""

    category: Category
    source: str
    name: str
    changes: int
    hosts: int


class IgnoredChange(msgspec.Struct, frozen=True):
    """A change that is meant; ``sentence`` says in words what happened, without secrets."""

    id: UUID
    host_id: str
    at: datetime
    severity: Severity
    sentence: str


class IgnorePreview(msgspec.Struct, frozen=True):
    """What an ignore rule would have hidden ``since`` then, by the tags that hosts have now: so many ``changes`` of
    those that are not hidden anyway, of which it would have ``left`` so many. Of the ``hosts`` and ``subjects`` those
    with the most are listed, of the changes the newest (``examples``); the counts are of all. With ``everything``
    nothing would be left, ever.
    """

    everything: bool
    since: datetime
    changes: int
    left: int
    host_count: int
    hosts: list[IgnoredHost]
    subject_count: int
    subjects: list[IgnoredSubject]
    examples: list[IgnoredChange]
