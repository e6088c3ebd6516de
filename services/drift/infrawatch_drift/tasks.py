"""The steps of a transaction, as pieces of a size, and what each needs of what is stored."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from infrawatch_drift.domain.timeline import Step
from infrawatch_drift.store_sightings import Judged

_COPY_BYTES = 64 * 1024


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

    @property
    def size(self) -> int:
        """Roughly the bytes of what the run says."""
        return _COPY_BYTES if self.record is None else len(self.record[1].value or b"")


def pieces(tasks: Sequence[Task], size: int) -> Iterator[Sequence[Task]]:
    """Successive tasks of at most so many bytes together; one at least."""
    start, weight = 0, 0
    for index, task in enumerate(tasks):
        weight += task.size
        if weight > size and index > start:
            yield tasks[start:index]
            start, weight = index, task.size
    if tasks:
        yield tasks[start:]


def needed(tasks: Sequence[Task], previous: Task | None) -> set[UUID]:
    """The stored rows whose contents these tasks need, which come after ``previous``."""
    made = {task.step.run.id for task in tasks if task.step.is_new}
    if previous is not None:
        made.add(previous.step.run.id)
    wanted = {task.step.before.id for task in tasks if task.step.before is not None} - made
    return wanted | {task.content_id for task in tasks if task.content_id is not None}
