"""How two contents differ, and what becomes of one when changes are made to it."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import compress
from operator import ne
from typing import Any

from infrawatch_common.drift.changes import Action, Category, Change, Direction, Value
from infrawatch_common.drift.content import Content, Packages
from infrawatch_common.drift.facts import KERNEL_NAME, OS_NAME
from infrawatch_common.drift.versions import Order, order

_NAMES = {Category.OS: OS_NAME, Category.KERNEL: KERNEL_NAME}
_RANKS = {category: rank for rank, category in enumerate(Category)}
_DIRECTIONS = {Order.OLDER: Direction.UPGRADED, Order.NEWER: Direction.DOWNGRADED}


class MisfitError(ValueError):
    """A change that cannot have happened to a content: something else is there, or nothing is."""


def diff(before: Content, after: Content) -> tuple[Change, ...]:
    """Every difference once: os, kernel, sources, packages by source and name, variables by name. Empty if equal."""
    return (
        *_scalar(Category.OS, before.os_info, after.os_info),
        *_scalar(Category.KERNEL, before.kernel, after.kernel),
        *_packages(before.packages, after.packages),
        *(_change(Category.ENV, "", *difference) for difference in _differences(before.env_vars, after.env_vars)),
    )


def apply(before: Content, changes: Iterable[Change]) -> Content:
    """The content after the changes, in any order. Raises ``MisfitError`` if one of them does not fit."""
    scalars: dict[str, Any] = {"os_info": before.os_info, "kernel": before.kernel}
    packages: dict[str, Any] = {source: dict(listed) for source, listed in before.packages.items()}
    env_vars: dict[str, Any] = dict(before.env_vars)
    # A source is there before its packages are looked at.
    for change in sorted(changes, key=lambda change: _RANKS[change.category]):
        if change.category is Category.SOURCE:
            _make(packages, change.source, change)
        elif change.category is Category.PACKAGE:
            _make(_source_of(packages, change), change.name, change)
        elif change.category is Category.ENV:
            _make(env_vars, change.name, change)
        else:
            _make(scalars, _NAMES[change.category], change)
    if len(scalars) < len(_NAMES):
        msg = "neither the operating system nor the kernel can be gone"
        raise MisfitError(msg)
    return Content(scalars["os_info"], scalars["kernel"], packages, env_vars)


def _scalar(category: Category, before: str, after: str) -> Iterator[Change]:
    if before != after:
        yield _change(category, "", _NAMES[category], before, after)


def _packages(before: Mapping[str, Packages], after: Mapping[str, Packages]) -> Iterator[Change]:
    for source in sorted(before.keys() ^ after.keys()):
        yield _change(Category.SOURCE, source, "", before.get(source), after.get(source))
    for source in sorted(before.keys() & after.keys()):
        for difference in _differences(before[source], after[source]):
            yield _change(Category.PACKAGE, source, *difference)


def _differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[tuple[str, str | None, str | None]]:
    """Name, value before and value after of all that differs, by name."""
    if before == after:
        return []
    # Without a step of Python's own for each of the thousands that are the same.
    names = compress(after, map(ne, map(before.get, after), after.values()))
    found: list[tuple[str, str | None, str | None]] = [(name, before.get(name), after[name]) for name in names]
    come = sum(name not in before for name, _, _ in found)
    if len(after) - come < len(before):
        found += [(name, before[name], None) for name in before.keys() - after.keys()]
    return sorted(found, key=lambda difference: difference[0])


def _change(category: Category, source: str, name: str, before: Value, after: Value) -> Change:
    if before is None:
        return Change(category, source, name, Action.ADDED, before, after)
    if after is None:
        return Change(category, source, name, Action.REMOVED, before, after)
    direction = None
    if category is Category.PACKAGE and isinstance(before, str) and isinstance(after, str):
        direction = _DIRECTIONS.get(order(source, before, after))
    return Change(category, source, name, Action.CHANGED, before, after, direction)


def _source_of(packages: Mapping[str, Any], change: Change) -> Any:
    if change.source not in packages:
        msg = f"{change.name} cannot be {change.action}: there is no source {change.source}"
        raise MisfitError(msg)
    return packages[change.source]


def _make(values: dict[str, Any], name: str, change: Change) -> None:
    there = values.get(name)
    if there != change.before:
        raise MisfitError(_complaint(name, change, there))
    if change.after is None:
        values.pop(name, None)
    elif isinstance(change.after, Mapping) is not (change.category is Category.SOURCE):
        msg = f"{change.category} {name} cannot become what is of another kind"
        raise MisfitError(msg)
    else:
        values[name] = dict(change.after) if isinstance(change.after, Mapping) else change.after


def _complaint(name: str, change: Change, there: Any) -> str:
    # Without the values: some are secret.
    if change.before is None:
        why = "it is there already"
    else:
        why = "it is not there" if there is None else "it has another value"
    return f"{change.category} {name} cannot be {change.action}: {why}"
