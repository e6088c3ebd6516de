"""What two successive snapshots of a host differ in, as rows of ``drift_changes``; and what becomes of older rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

from infrawatch_common.drift.changes import Category, Change, Key, Value, shown
from infrawatch_common.drift.content import Content
from infrawatch_common.drift.diff import diff
from infrawatch_common.drift.facts import subject
from infrawatch_common.drift.severity import Outcome, Rules
from infrawatch_drift.domain.timeline import Step

# The ignore rule that covers a change on the host in question, if there is one.
Covering = Callable[[Key], UUID | None]


class Policy(NamedTuple):
    """How changes are judged. What is found more than ``late_after`` after it happened is late; people are told of a
    snapshot whose worst change is at least ``notify_severity``; None: of no snapshot."""

    rules: Rules
    late_after: timedelta
    notify_severity: Outcome | None


class Found(NamedTuple):
    """A row of ``drift_changes``, without its verdict."""

    id: UUID
    host_id: str
    snapshot_id: UUID
    not_before: datetime
    at: datetime
    change: Change
    subject: bytes
    severity: Outcome
    reason: str
    found_at: datetime
    late: bool
    ignored_by: UUID | None

    @property
    def hidden(self) -> bool:
        """Whether nobody is told."""
        return self.severity is Outcome.IGNORED or self.ignored_by is not None


class Verdict(NamedTuple):
    """What somebody said of a change."""

    verdict: str
    reason: str | None
    at: datetime | None
    by: UUID | None
    expires_at: datetime | None


class Stored(NamedTuple):
    """A row that is there."""

    found: Found
    verdict: Verdict


class Kind(StrEnum):
    """What other systems are told of a change."""

    CHANGED = "changed"
    REVISED = "revised"
    WITHDRAWN = "withdrawn"


class Told(NamedTuple):
    """An event for other systems."""

    kind: Kind
    found: Found


class Revision(NamedTuple):
    """What becomes of rows: first those in ``removed`` go; ``added`` are what nobody knew before, ``judged`` are
    written with the verdict that they keep, ``renamed`` has old and new ids of judged ones whose id is another one
    now, and ``told`` is published."""

    added: tuple[Found, ...]
    judged: tuple[Stored, ...]
    removed: tuple[UUID, ...]
    told: tuple[Told, ...]
    renamed: tuple[tuple[UUID, UUID], ...] = ()


def find(
    host_id: str, step: Step, contents: tuple[Content, Content], policy: Policy, covering: Covering, found_at: datetime
) -> list[Found]:
    """The changes of a run, from what was before it and what it says; in the order of ``diff``."""
    assert step.before is not None
    run, not_before = step.run, step.before.confirmed_at
    late = step.late or found_at - run.timestamp > policy.late_after
    prefix = f"infrawatch:{run.id}:"
    found = []
    for change in diff(*contents):
        key = change.key
        about = subject(key)
        verdict = policy.rules.judge(change)
        found.append(
            Found(
                uuid5(NAMESPACE_URL, prefix + about.hex()),
                host_id,
                run.id,
                not_before,
                run.timestamp,
                change,
                about,
                verdict.severity,
                verdict.reason,
                found_at,
                late,
                covering(key),
            )
        )
    return found


def revise(stored: Iterable[Stored], found: Sequence[Found]) -> Revision:
    """What becomes of the rows of one snapshot whose changes were found anew.

    A change that is found again keeps its verdict and when it was found. If its snapshot now begins earlier, it is
    known by what it is about and what came of it, and keeps its verdict; for other systems it is another one.
    """
    there = {row.found.id: row for row in stored}
    if not there:
        first = tuple(found)
        return Revision(first, (), (), tuple(Told(Kind.CHANGED, row) for row in first if not row.hidden))
    moved = {_likeness(row.found): row for row in there.values()}
    wanted = {row.id: row for row in found}
    added: list[Found] = []
    judged: list[Stored] = []
    told: list[Told | None] = []
    renamed: list[tuple[UUID, UUID]] = []
    for row in wanted.values():
        same = there.get(row.id)
        if same is not None:
            again = row._replace(found_at=same.found.found_at, late=same.found.late)
            if again != same.found:
                judged.append(Stored(again, same.verdict))
                told.append(_retold(same.found, again))
            continue
        like = moved.get(_likeness(row))
        if like is None or like.found.id in wanted:
            added.append(row)
        else:
            judged.append(Stored(row, like.verdict))
            renamed.append((like.found.id, row.id))
        told.append(None if row.hidden else Told(Kind.CHANGED, row))
    gone = [row.found for row in there.values() if row.found.id not in wanted]
    told += [Told(Kind.WITHDRAWN, row) for row in gone if not row.hidden]
    rewritten = [row.found.id for row in judged if row.found.id in there]
    return Revision(
        tuple(added),
        tuple(judged),
        (*(row.id for row in gone), *rewritten),
        tuple(event for event in told if event is not None),
        tuple(renamed),
    )


def _likeness(found: Found) -> tuple[bytes, Any]:
    after = found.change.after
    return found.subject, tuple(sorted(after.items())) if isinstance(after, Mapping) else after


def _retold(before: Found, after: Found) -> Told | None:
    if after.hidden:
        return None if before.hidden else Told(Kind.WITHDRAWN, before)
    return Told(Kind.CHANGED if before.hidden else Kind.REVISED, after)


def event(told: Told) -> dict[str, Any]:
    """An event as other systems read it: values as they may be shown, and of a source how many packages it lists."""
    found = told.found
    change = shown(found.change)
    is_source = change.category is Category.SOURCE
    return {
        "event": told.kind,
        "id": str(found.id),
        "host_id": found.host_id,
        "snapshot_id": str(found.snapshot_id),
        "not_before": found.not_before.isoformat(),
        "at": found.at.isoformat(),
        "found_at": found.found_at.isoformat(),
        "late": found.late,
        "category": change.category,
        "source": change.source,
        "name": change.name,
        "action": change.action,
        "direction": change.direction,
        "before": None if is_source else change.before,
        "after": None if is_source else change.after,
        "packages_before": packages_in(change.before),
        "packages_after": packages_in(change.after),
        "severity": found.severity,
        "reason": found.reason,
    }


def packages_in(value: Value) -> int | None:
    """How many packages a source lists; None of what is no source."""
    return len(value) if isinstance(value, Mapping) else None


def worst(found: Sequence[Found]) -> Outcome:
    """The worst severity among them; at least one."""
    return max((row.severity for row in found), key=RANKS.__getitem__)


RANKS = {severity: rank for rank, severity in enumerate(Outcome)}
