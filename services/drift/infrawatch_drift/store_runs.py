"""From runs that are new or begin after others to rows: of snapshots, of changes, and of what people are told."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
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
from infrawatch_drift.ahead import ahead
from infrawatch_drift.domain.counting import Moved, moved, recounted
from infrawatch_drift.domain.findings import Found, Policy, Revision, Stored, find, revise
from infrawatch_drift.domain.notice import Notice, notice
from infrawatch_drift.store_facts import FactIds
from infrawatch_drift.store_snapshots import Kept, Row
from infrawatch_drift.tasks import Task, needed, pieces

# How much is in hand at a time, some five times over: contents, by the bytes of their records, and changes. A host may
# change altogether in each of its snapshots.
_PIECE_BYTES = 512 * 1024
_CHANGES = 5_000


@dataclass(slots=True)
class Tally:
    """What a transaction has found."""

    found: list[tuple[str, str, bool]] = field(default_factory=list)  # severity, category, hidden
    told: list[str] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


class _Piece(NamedTuple):
    """Tasks, the rows whose contents they need, and the changes that they find anew, by snapshot."""

    tasks: Sequence[Task]
    stored: Mapping[UUID, Kept]
    there: Mapping[UUID, Sequence[Stored]]


class _Draft(NamedTuple):
    task: Task
    content: Content
    moved: Moved | None  # against the run before; None for the first of a host
    revision: Revision


class _Ready(NamedTuple):
    """Runs as they are handed to the database, which then waits for none of Python's work on them."""

    changes: store_changes.Written
    said: Sequence[Row]
    copied: Sequence[Row]


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
        self._turn = asyncio.Lock()  # of the connection
        self._pool = pool
        self._facts = facts
        self._policy = policy
        self._topic = topic
        self._covering = covering
        self._found_at = found_at
        self._tally = Tally()

    async def write(self, tasks: Sequence[Task]) -> Tally:
        """Write all of them; those of a host by time, one after the other.

        While the database stores some, up to two pieces after them are worked out, and what the next one needs is read.
        """
        async with aclosing(ahead(ahead(self._worked_out(tasks)))) as some:
            async for ready in some:
                async with self._turn:
                    await self._store(ready)
        return self._tally

    async def _store(self, ready: _Ready) -> None:
        await store_changes.keep(self._connection, ready.changes, self._topic)
        if ready.said:
            await store_snapshots.insert(self._connection, ready.said)
        if ready.copied:
            await store_snapshots.copy(self._connection, ready.copied)

    async def _worked_out(self, tasks: Sequence[Task]) -> AsyncGenerator[_Ready, None]:
        last: Mapping[UUID, Kept] = {}
        async with aclosing(ahead(self._pieces(tasks))) as some:
            async for piece in some:
                known = {**piece.stored, **last}
                contents = {identifier: kept.content for identifier, kept in known.items()}
                facts = {identifier: kept.facts for identifier, kept in known.items()}
                async with aclosing(self._drafts(piece, contents)) as parts:
                    async for drafts in parts:
                        yield await self._ready(drafts, facts)
                identifier = piece.tasks[-1].step.run.id
                last = {identifier: Kept(contents[identifier], facts[identifier])}

    async def _pieces(self, tasks: Sequence[Task]) -> AsyncGenerator[_Piece, None]:
        previous = None
        for some in pieces(tasks, _PIECE_BYTES):
            stored = await self._read(needed(some, previous))
            replaced = [identifier for task in some for identifier in task.replaced_ids]
            async with self._turn:
                there = await store_changes.read(self._connection, replaced)
            yield _Piece(some, stored, there)
            previous = some[-1]

    async def _read(self, ids: set[UUID]) -> Mapping[UUID, Kept]:
        """Stored rows. They were there before the hosts' rows were locked, so that every connection sees them."""
        if not ids:
            return {}
        async with self._pool.acquire() as connection:
            return await store_snapshots.read(connection, ids)

    async def _drafts(self, piece: _Piece, contents: dict[UUID, Content]) -> AsyncGenerator[Sequence[_Draft], None]:
        """A piece's runs, not too many changes at a time; each run's content is added to ``contents``."""
        drafts: list[_Draft] = []
        changes = 0
        for task in piece.tasks:
            await asyncio.sleep(0)
            content = contents[task.step.run.id] = _content(task, contents)
            found = self._find(task, contents)
            changes += len(found)
            difference = None if task.step.before is None else moved(row.change for row in found)
            old = [row for identifier in task.replaced_ids for row in piece.there.get(identifier, ())]
            drafts.append(_Draft(task, content, difference, self._revise(old, found)))
            if changes >= _CHANGES:
                yield drafts
                drafts, changes = [], 0
        if drafts:
            yield drafts

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

    async def _ready(self, drafts: Sequence[_Draft], facts: dict[UUID, Sequence[int]]) -> _Ready:
        """Drafts as rows. The facts of each are those of the row before, but for what has changed."""
        ids = await self._facts.of(fact for draft in drafts if draft.task.content_id is None for fact in _facts(draft))
        said: list[Row] = []
        copied: list[Row] = []
        for draft in drafts:
            await asyncio.sleep(0)
            task, run, source = draft.task, draft.task.step.run, draft.task.content_id
            facts[run.id] = facts[source] if source is not None else await self._count(draft, facts, ids)
            if source is None:
                said.append(store_snapshots.row_of(task.host_id, run, Kept(draft.content, facts[run.id])))
            elif task.step.is_new:
                copied.append(store_snapshots.copy_of(task.host_id, run, source))
        return _Ready(store_changes.written([draft.revision for draft in drafts]), said, copied)

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


def _content(task: Task, contents: Mapping[UUID, Content]) -> Content:
    if task.content_id is not None:
        return contents[task.content_id]
    assert task.record is not None
    snapshot, record = task.record
    return snapshot.content or content_of(record.value or b"")
