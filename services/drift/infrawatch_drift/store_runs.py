"""From runs that are new or begin after others to rows: of snapshots, of changes, and of what people are told."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from infrawatch_common.database import Connection, Pool
from infrawatch_common.drift.changes import Key
from infrawatch_common.drift.content import Content
from infrawatch_common.drift.facts import Fact, facts_of
from infrawatch_common.drift.reading import content_of
from infrawatch_drift import store_changes, store_snapshots
from infrawatch_drift.at_once import at_once
from infrawatch_drift.domain.counting import Moved, moved, recounted
from infrawatch_drift.domain.findings import Found, Policy, Revision, Stored, find, revise
from infrawatch_drift.domain.notice import Notice, notice
from infrawatch_drift.domain.timeline import Step
from infrawatch_drift.store_facts import FactIds
from infrawatch_drift.store_sightings import Judged
from infrawatch_drift.store_snapshots import Kept, NewRow

# How much is in hand at a time, three times over: contents, by the bytes of their records, and changes. A host may
# change altogether in each of its snapshots.
_SLICE_BYTES = 512 * 1024
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


@dataclass(slots=True)
class _Drafts:
    """Runs that are worked out and yet to be stored. ``stored`` are the rows that they build on."""

    stored: dict[UUID, Kept] = field(default_factory=dict)
    runs: list[_Draft] = field(default_factory=list)
    revisions: list[Revision] = field(default_factory=list)


class RunWriter:
    """Writes the runs of one transaction."""

    def __init__(
        self,
        connection: Connection,
        pool: Pool,
        facts: FactIds,
        policy: Policy,
        topic: str,
        covering: Callable[[str], Callable[[Key], UUID | None]],
        found_at: datetime,
    ) -> None:
        self._connection = connection
        self._pool = pool
        self._facts = facts
        self._policy = policy
        self._topic = topic
        self._covering = covering
        self._found_at = found_at
        self._tally = Tally()
        self._last: dict[UUID, Sequence[int]] = {}  # the facts of the run that was stored last

    async def write(self, tasks: Sequence[Task]) -> Tally:
        """Write all of them; those of a host by time, one after the other.

        While the database stores some, the next ones are worked out, and what the ones after them need is read.
        """
        done, drafts = 0, _Drafts()
        part = _slice(tasks, done)
        stored = await self._read(part, None)
        while part:
            following = _slice(tasks, done + len(part))
            there = await store_changes.read(self._connection, [one for task in part for one in task.replaced_ids])
            drafts, (_, ahead) = await at_once(
                self._draft(part, stored, there, drafts),
                at_once(self._store(drafts), self._read(following, part[-1])),
            )
            done += len(drafts.runs)
            if len(drafts.runs) < len(part):
                following = _slice(tasks, done)
                ahead = await self._read(following, tasks[done - 1])
            part, stored = following, ahead
        await self._store(drafts)
        return self._tally

    async def _read(self, tasks: Sequence[Task], previous: Task | None) -> dict[UUID, Kept]:
        """The stored rows whose contents these tasks need, those after ``previous``.

        They were there before the hosts' rows were locked, so that every connection sees them.
        """
        ids = _needed(tasks, previous)
        if not ids:
            return {}
        async with self._pool.acquire() as connection:
            return await store_snapshots.read(connection, ids)

    async def _draft(
        self,
        tasks: Sequence[Task],
        stored: dict[UUID, Kept],
        there: Mapping[UUID, Sequence[Stored]],
        previous: _Drafts,
    ) -> _Drafts:
        """Work out the first of the tasks, until there are many changes."""
        drafts = _Drafts(stored)
        contents = {identifier: kept.content for identifier, kept in stored.items()}
        contents |= {draft.task.step.run.id: draft.content for draft in previous.runs[-1:]}
        changes = 0
        for task in tasks:
            await asyncio.sleep(0)
            content = contents[task.step.run.id] = _content(task, contents)
            found = self._find(task, contents)
            changes += len(found)
            difference = None if task.step.before is None else moved(row.change for row in found)
            drafts.runs.append(_Draft(task, content, difference))
            old = [row for identifier in task.replaced_ids for row in there.get(identifier, ())]
            drafts.revisions.append(self._revise(old, found))
            if changes >= _CHANGES:
                break
        return drafts

    def _find(self, task: Task, contents: Mapping[UUID, Content]) -> list[Found]:
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

    async def _store(self, drafts: _Drafts) -> None:
        """Store changes and rows. The facts of each row are those of the row before, but for what has changed."""
        facts = [fact for draft in drafts.runs if draft.task.content_id is None for fact in _facts(draft)]
        ids, _ = await at_once(
            self._facts.of(facts), store_changes.keep(self._connection, drafts.revisions, self._topic)
        )
        numbers = {identifier: kept.facts for identifier, kept in drafts.stored.items()} | self._last
        said: list[NewRow] = []
        for draft in drafts.runs:
            run, source = draft.task.step.run, draft.task.content_id
            numbers[run.id] = numbers[source] if source is not None else await self._count(draft, numbers, ids)
            if source is None:
                said.append(NewRow(draft.task.host_id, run, Kept(draft.content, numbers[run.id])))
        self._last = {draft.task.step.run.id: numbers[draft.task.step.run.id] for draft in drafts.runs[-1:]}
        if said:
            await store_snapshots.insert(self._connection, said)
        tasks = [draft.task for draft in drafts.runs]
        copied = [(one.host_id, one.step.run, one.source) for one in tasks if one.step.is_new and one.source]
        if copied:
            await store_snapshots.copy(self._connection, copied)

    async def _count(
        self, draft: _Draft, numbers: Mapping[UUID, Sequence[int]], ids: Mapping[Fact, int]
    ) -> Sequence[int]:
        """The ids of a draft's facts, ascending."""
        before = draft.task.step.before
        if before is not None and draft.moved is not None:
            gone, come = ([ids[fact] for fact in facts] for facts in draft.moved)
            counted = recounted(numbers[before.id], gone, come)
            if counted is not None:
                return counted
        return sorted((await self._facts.of(list(facts_of(draft.content)))).values())


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


def _needed(tasks: Sequence[Task], previous: Task | None) -> set[UUID]:
    made = {task.step.run.id for task in tasks if task.step.is_new}
    if previous is not None:
        made.add(previous.step.run.id)
    needed = {task.step.before.id for task in tasks if task.step.before is not None} - made
    return needed | {task.content_id for task in tasks if task.content_id is not None}


def _slice(tasks: Sequence[Task], start: int) -> Sequence[Task]:
    """The tasks that are next; one at least."""
    weight = 0
    for index in range(start, len(tasks)):
        record = tasks[index].record
        weight += _COPY_BYTES if record is None else len(record[1].value or b"")
        if weight > _SLICE_BYTES:
            return tasks[start : max(index, start + 1)]
    return tasks[start:]
