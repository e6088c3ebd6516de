"""From runs that are new or begin after others to rows: of snapshots, of changes, and of what people are told."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from infrawatch_common.database import Connection
from infrawatch_common.drift.changes import Key
from infrawatch_common.drift.content import Content
from infrawatch_common.drift.facts import Fact, facts_of
from infrawatch_common.drift.reading import content_of
from infrawatch_drift import store_changes, store_snapshots
from infrawatch_drift.domain.counting import Moved, moved, recounted
from infrawatch_drift.domain.findings import Found, Policy, Revision, Stored, find, revise
from infrawatch_drift.domain.notice import Notice, notice
from infrawatch_drift.domain.timeline import Step
from infrawatch_drift.store_facts import FactIds
from infrawatch_drift.store_sightings import Judged
from infrawatch_drift.store_snapshots import Kept, NewRow

# Contents that are in memory at a time, by the bytes of their records, and changes: a host may change altogether in
# each of its snapshots.
_SLICE_BYTES = 1024 * 1024
_COPY_BYTES = 64 * 1024
_CHANGES = 5_000


class Task(NamedTuple):
    """A step of a host. What a new run says is copied from a stored row, if there is one, or said by a record."""

    host_id: str
    step: Step
    source: UUID | None
    record: Judged | None

    @property
    def content_id(self) -> UUID | None:
        """The stored row that says what the run does."""
        return self.source if self.step.is_new else self.step.run.id

    @property
    def replaced_ids(self) -> list[UUID]:
        """Snapshots whose changes are found anew by this step."""
        ids = [] if self.step.is_new else [self.step.run.id]
        return ids if self.step.replaced is None else [*ids, self.step.replaced.id]


@dataclass(slots=True)
class Tally:
    """What a transaction has found."""

    found: list[tuple[str, str, bool]] = field(default_factory=list)  # severity, category, hidden
    told: list[str] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


class _Draft(NamedTuple):
    task: Task
    content: Content
    moved: Moved | None  # against the run before; None for the first of a host


class RunWriter:
    """Writes the runs of one transaction."""

    def __init__(
        self,
        connection: Connection,
        facts: FactIds,
        policy: Policy,
        topic: str,
        covering: Callable[[str], Callable[[Key], UUID | None]],
        found_at: datetime,
    ) -> None:
        self._connection = connection
        self._facts = facts
        self._policy = policy
        self._topic = topic
        self._covering = covering
        self._found_at = found_at
        self._tally = Tally()
        self._last: tuple[UUID, Kept] | None = None  # of the run that was written latest

    async def write(self, tasks: Iterable[Task]) -> Tally:
        """Write all of them; those of a host by time, one after the other."""
        for part in _slices(tasks):
            await self._write(part)
        return self._tally

    async def _write(self, tasks: Sequence[Task]) -> None:
        stored = await store_snapshots.read(self._connection, _needed(tasks, self._last))
        if self._last is not None:
            stored[self._last[0]] = self._last[1]
        replaced = [identifier for task in tasks for identifier in task.replaced_ids]
        there = await store_changes.read(self._connection, replaced)
        drafts: list[_Draft] = []
        revisions: list[Revision] = []
        changes = 0
        contents = {identifier: kept.content for identifier, kept in stored.items()}
        for task in tasks:
            content = _content(task, contents)
            contents[task.step.run.id] = content
            found = self._find(task, contents)
            old = [row for identifier in task.replaced_ids for row in there.get(identifier, ())]
            difference = None if task.step.before is None else moved(row.change for row in found)
            drafts.append(_Draft(task, content, difference))
            revisions.append(self._revise(old, found))
            changes += len(found)
            if changes >= _CHANGES:
                await store_changes.keep(self._connection, revisions, self._topic)
                revisions, changes = [], 0
        await store_changes.keep(self._connection, revisions, self._topic)
        await self._store(drafts, stored)

    def _find(self, task: Task, contents: dict[UUID, Content]) -> list[Found]:
        before = task.step.before
        if before is None:
            return []
        both = contents[before.id], contents[task.step.run.id]
        return find(task.host_id, task.step, both, self._policy, self._covering(task.host_id), self._found_at)

    def _revise(self, old: Sequence[Stored], found: Sequence[Found]) -> Revision:
        revision = revise(old, found)
        made = notice(revision.added, self._policy)
        if made is not None:
            self._tally.notices.append(made)
        self._tally.found += [(row.severity.value, row.change.category.value, row.hidden) for row in revision.added]
        self._tally.told += [told.kind.value for told in revision.told]
        return revision

    async def _store(self, drafts: Sequence[_Draft], stored: dict[UUID, Kept]) -> None:
        """Store the new rows. The facts of each are those of the row before, but for what has changed."""
        said = [draft for draft in drafts if draft.task.content_id is None]
        ids = await self._facts.of(self._connection, [fact for draft in said for fact in _facts(draft)])
        kept = dict(stored)
        rows: list[NewRow] = []
        for task, content, difference in drafts:
            run = task.step.run
            if task.content_id is not None:
                kept[run.id] = stored[task.content_id]
                continue
            numbers = None
            if difference is not None and task.step.before is not None:
                gone, come = ([ids[fact] for fact in facts] for facts in difference)
                numbers = recounted(kept[task.step.before.id].facts, gone, come)
            if numbers is None:
                numbers = sorted((await self._facts.of(self._connection, facts_of(content))).values())
            kept[run.id] = Kept(content, numbers)
            rows.append(NewRow(task.host_id, run, kept[run.id]))
        await store_snapshots.insert(self._connection, rows)
        copied = [
            (task.host_id, task.step.run, task.source)
            for task, _, _ in drafts
            if task.step.is_new and task.source is not None
        ]
        await store_snapshots.copy(self._connection, copied)
        last = drafts[-1].task.step.run.id
        self._last = last, kept[last]


def _facts(draft: _Draft) -> Iterator[Fact]:
    if draft.moved is None:
        yield from facts_of(draft.content)
    else:
        yield from draft.moved.gone
        yield from draft.moved.come


def _content(task: Task, contents: dict[UUID, Content]) -> Content:
    if task.content_id is not None:
        return contents[task.content_id]
    assert task.record is not None
    snapshot, record = task.record
    return snapshot.content or content_of(record.value or b"")


def _needed(tasks: Sequence[Task], last: tuple[UUID, Kept] | None) -> set[UUID]:
    """The stored rows whose contents these tasks need."""
    made = {task.step.run.id for task in tasks if task.step.is_new}
    needed = {task.content_id for task in tasks if task.content_id is not None}
    needed |= {task.step.before.id for task in tasks if task.step.before is not None} - made
    return needed - {last[0]} if last is not None else needed


def _slices(tasks: Iterable[Task]) -> Iterator[list[Task]]:
    part: list[Task] = []
    weight = 0
    for task in tasks:
        size = _COPY_BYTES if task.record is None else len(task.record[1].value or b"")
        if part and weight + size > _SLICE_BYTES:
            yield part
            part, weight = [], 0
        part.append(task)
        weight += size
    if part:
        yield part
