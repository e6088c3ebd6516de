"""From what an operator wrote to rules, or to sentences that say what is wrong with it."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import combinations
from typing import Any, TypeVar

from infrawatch_common.drift.changes import Action, Category, Direction
from infrawatch_common.drift.severity import Outcome, Rule, Rules, What

WordT = TypeVar("WordT", bound=StrEnum)

_FIELDS = ("category", "sources", "names", "what", "severity", "reason")
_WHAT: dict[str, What] = {word.value: word for word in (*Action, *Direction)}
# What can happen to each, where that is not everything.
_POSSIBLE: dict[Category, frozenset[What]] = {
    Category.OS: frozenset({Action.CHANGED}),
    Category.KERNEL: frozenset({Action.CHANGED}),
    Category.SOURCE: frozenset({Action.ADDED, Action.REMOVED}),
    Category.ENV: frozenset(Action),
}
_WITHOUT_SOURCE = (Category.OS, Category.KERNEL, Category.ENV)
_WITHOUT_NAME = (Category.OS, Category.KERNEL, Category.SOURCE)


class RulesError(ValueError):
    """Rules that cannot be used. ``problems``: one sentence for each thing that is wrong."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


def rules_from(written: object) -> Rules:
    """Rules from a list of objects, as JSON has them. Raises ``RulesError`` with all that is wrong.

    ``{"category": "package", "sources": ["dpkg"], "names": ["linux-image-*"], "what": ["removed", "downgraded"],
    "severity": "warning", "reason": "why"}``; only ``severity`` and ``reason`` must be there.
    """
    if not isinstance(written, list):
        raise RulesError(["rules are a list"])
    rules: list[Rule | None] = []
    problems: list[str] = []
    for number, one in enumerate(written, 1):
        found = list(_problems(one))
        problems += [f"rule {number}: {problem}" for problem in found]
        rules.append(None if found else _rule(one))
    for (earlier, former), (later, latter) in combinations(enumerate(rules, 1), 2):
        if former is not None and latter is not None and _covers(former, latter):
            problems.append(f"rule {later} can never decide: rule {earlier} covers all that it covers")
    if problems:
        raise RulesError(problems)
    return Rules([rule for rule in rules if rule is not None])


def _rule(written: Mapping[str, Any]) -> Rule:
    category = written.get("category")
    return Rule(
        Outcome(written["severity"]),
        written["reason"],
        None if category is None else Category(category),
        frozenset(written.get("sources", ())),
        frozenset(written.get("names", ())),
        frozenset(_WHAT[word] for word in written.get("what", ())),
    )


def _problems(written: object) -> Iterator[str]:
    if not isinstance(written, Mapping):
        yield "it is not an object"
        return
    yield from (f"{name!a} is no field of a rule ({', '.join(_FIELDS)})" for name in written if name not in _FIELDS)
    yield from _word("severity", written.get("severity"), Outcome)
    if not isinstance(written.get("reason"), str) or not written["reason"].strip():
        yield "reason must say why, in words"
    if written.get("category") is not None:
        yield from _word("category", written["category"], Category)
    wrong = [name for name in ("sources", "names", "what") if name in written and not _is_list(written[name])]
    yield from (f"{name} must be a list of texts with something in it, or be left out" for name in wrong)
    if "what" in written and "what" not in wrong:
        unknown = [word for word in written["what"] if word not in _WHAT]
        yield from (f"{word!a} is nothing that happens ({', '.join(_WHAT)})" for word in unknown)
    if written.get("category") in list(Category):
        yield from _contradictions(Category(written["category"]), written, wrong)


def _is_list(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) and item for item in value)


def _word(field: str, value: object, words: type[WordT]) -> Iterator[str]:
    if value not in list(words):
        yield f"{field} must be one of {', '.join(words)}, and is {value!a}"


def _contradictions(category: Category, written: Mapping[str, Any], wrong: Sequence[str]) -> Iterator[str]:
    if "sources" in written and category in _WITHOUT_SOURCE:
        yield f"{category} has no sources"
    if "names" in written and category in _WITHOUT_NAME:
        yield f"{category} has no names"
    possible = _POSSIBLE.get(category, frozenset(_WHAT.values()))
    if "what" in written and "what" not in wrong:
        never = [word for word in written["what"] if word in _WHAT and _WHAT[word] not in possible]
        yield from (f"{category} is never {word}" for word in never)


def _covers(former: Rule, latter: Rule) -> bool:
    """Whether every change of the latter is surely one of the former, as far as their words tell."""
    return (
        former.category in (None, latter.category)
        and _includes(former.sources, latter.sources)
        and _includes(former.names, latter.names)
        and (not former.what or (bool(latter.what) and latter.what <= _extended(former.what)))
    )


def _includes(former: frozenset[str], latter: frozenset[str]) -> bool:
    return not former or "*" in former or (bool(latter) and latter <= former)


def _extended(what: frozenset[What]) -> frozenset[What]:
    return what | frozenset(Direction) if Action.CHANGED in what else what
