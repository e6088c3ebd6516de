"""Of a real upgrade the agent's lists and ``diff`` tell exactly what dpkg says of it: its lists, its order, its log."""

import asyncio
import shlex
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from debian_upgrade import STEPS, Debian, debian
from infrawatch_agent.sources.packages import Lister
from infrawatch_common.drift.changes import Action, Category, Change, Direction
from infrawatch_common.drift.content import Content
from infrawatch_common.drift.diff import diff

INSTALLED, UPGRADED, EDITED = STEPS
STEPWISE = list(pairwise(STEPS))
WAYS = [*STEPWISE, (INSTALLED, EDITED), (EDITED, INSTALLED)]


@pytest.fixture(scope="module")
def system() -> Debian:
    return debian()


@pytest.fixture(scope="module")
def changes(system: Debian, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], tuple[Change, ...]]:
    contents = {step: read_by_agent(system, step, tmp_path_factory.mktemp(step)) for step in STEPS}
    return lambda before, after: diff(contents[before], contents[after])


def read_by_agent(system: Debian, step: str, root: Path) -> Content:
    """What the agent lists below a root in which the real dpkg-query answers for this step."""
    program, status = root / "usr/bin/dpkg-query", root / "var/lib/dpkg/status"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {shlex.join(system.query(step))} "$@"\n')
    program.chmod(0o755)
    status.parent.mkdir(parents=True)
    status.symlink_to(system.kept / step / "status")
    packages = asyncio.run(Lister((), timeout=30, most_bytes=1_000_000, root=root).everything())
    assert list(packages) == ["dpkg"]
    return Content("", "", packages, {})


@pytest.mark.parametrize(("before", "after"), WAYS)
def test_what_differs_is_what_differs_between_the_lists_of_dpkg(
    before: str, after: str, system: Debian, changes: Callable[[str, str], tuple[Change, ...]]
) -> None:
    told = [(one.name, one.action, one.direction, one.before, one.after) for one in changes(before, after)]
    old, new = system.installed(before), system.installed(after)
    assert told == [
        (name, *moved(system, old.get(name), new.get(name)), old.get(name), new.get(name))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def moved(system: Debian, old: str | None, new: str | None) -> tuple[Action, Direction | None]:
    if old is None or new is None:
        return (Action.ADDED if old is None else Action.REMOVED), None
    if system.orders(old, "eq", new):
        return Action.CHANGED, None
    return Action.CHANGED, Direction.UPGRADED if system.orders(old, "lt", new) else Direction.DOWNGRADED


@pytest.mark.parametrize(("before", "after"), STEPWISE)
def test_what_differs_is_what_dpkg_has_logged(
    before: str, after: str, system: Debian, changes: Callable[[str, str], tuple[Change, ...]]
) -> None:
    # The log names every package with its architecture, of which there is one here.
    told = {one.name.partition(":")[0]: (one.before, one.after) for one in changes(before, after)}
    assert told == done(system, after)


def done(system: Debian, step: str) -> Mapping[str, tuple[str | None, str | None]]:
    """Package → version before the step and after it, of those that the step has changed."""
    first: dict[str, str | None] = {}
    last: dict[str, str | None] = {}
    for action, package, before, after in system.log(step):
        name = package.partition(":")[0]
        # What is purged was removed before, or had been.
        first.setdefault(name, None if action in ("install", "purge") else before)
        last[name] = after if action in ("install", "upgrade") else None
    return {name: (first[name], last[name]) for name in first if first[name] != last[name]}


def test_the_upgrade_has_changes_of_every_kind(changes: Callable[[str, str], tuple[Change, ...]]) -> None:
    release, edits = changes(INSTALLED, UPGRADED), {one.name: one for one in changes(UPGRADED, EDITED)}
    assert {one.category for one in (*release, *edits.values())} == {Category.PACKAGE}
    assert {(one.action, one.direction) for one in release} == {
        (Action.ADDED, None),
        (Action.REMOVED, None),
        (Action.CHANGED, Direction.UPGRADED),
    }
    assert edits["sensible-utils"].direction is Direction.DOWNGRADED
    assert edits["zstd"].action is Action.ADDED
    assert edits["nano"].action is Action.REMOVED, "purged"
    assert edits["cron"].action is Action.REMOVED, "its configuration is still there, and dpkg lists it"
