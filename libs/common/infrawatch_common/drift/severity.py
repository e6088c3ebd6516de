"""How much a change matters: the first rule that covers it says so, and why."""

import fnmatch
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from infrawatch_common.drift.changes import Action, Category, Change, Direction


class Outcome(StrEnum):
    """How bad a change is, from the least to the worst; what is ignored is nobody told."""

    IGNORED = "ignored"
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


# An upgrade and a downgrade are changes too.
What = Action | Direction


class Rule(NamedTuple):
    """Covers the changes for which all of this holds; None, and an empty set, hold for every change.

    ``sources``, ``names``: one of these globs matches, capitals and small letters told apart. A package of one
    architecture (``libc6:amd64``) goes by its name alone, too. ``what``: one of these happened.
    """

    severity: Outcome
    reason: str
    category: Category | None = None
    sources: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    what: frozenset[What] = frozenset()


class Verdict(NamedTuple):
    """``rule``: the number of the rule that decided, from 1; None if no rule covers the change."""

    severity: Outcome
    reason: str
    rule: int | None


_UNCOVERED = Verdict(Outcome.INFO, "no rule covers it", None)


class Rules:
    """Rules in their order, ready to judge."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._conditions = [_Condition(rule, number) for number, rule in enumerate(self.rules, 1)]

    def judge(self, change: Change) -> Verdict:
        """What the first rule that covers the change says of it."""
        what = {change.action, change.direction}
        names = [change.name]
        if change.category is Category.PACKAGE and not change.source.startswith("python:"):
            names.append(change.name.partition(":")[0])
        for condition in self._conditions:
            if condition.covers(change, what, names):
                return condition.verdict
        return _UNCOVERED


class _Condition:
    """A rule with its globs compiled."""

    def __init__(self, rule: Rule, number: int) -> None:
        self.verdict = Verdict(rule.severity, rule.reason, number)
        self._category, self._what = rule.category, rule.what
        self._sources, self._names = _compiled(rule.sources), _compiled(rule.names)

    def covers(self, change: Change, what: set[Action | Direction | None], names: Iterable[str]) -> bool:
        return (
            (self._category is None or change.category is self._category)
            and (not self._what or not self._what.isdisjoint(what))
            and (self._sources is None or self._sources.match(change.source) is not None)
            and (self._names is None or any(map(self._names.match, names)))
        )


def _compiled(globs: frozenset[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(map(fnmatch.translate, sorted(globs)))) if globs else None
