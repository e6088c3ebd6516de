"""What a batch needs beside its rows: the chunks that they go to, and marks on the hours that are to be rolled up."""

import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from infrawatch_common.database import Connection
from infrawatch_ingest.domain.hours import HostHour, Marks, begin_of, begin_of_day, days_of

_CREATE_CHUNKS = "SELECT create_metrics_chunks($1)"
# The time when it is executed, not when the transaction began: a mark must never be older than it says.
_MARK = """
WITH marked AS (
    INSERT INTO rollup_pending (hour, host_id, marked_at)
    SELECT hour, host_id, clock_timestamp()
    FROM unnest($1::timestamptz[], $2::text[]) WITH ORDINALITY AS new (hour, host_id, number) ORDER BY number
    ON CONFLICT (hour, host_id) DO UPDATE SET marked_at = excluded.marked_at
    RETURNING marked_at)
SELECT max(marked_at) FROM marked
"""


@dataclass(frozen=True, slots=True)
class Marked:
    """Marks of a transaction that has yet to commit; ``now`` is the process's clock before they were sent."""

    hours: Sequence[HostHour]
    at: datetime
    now: float


class HourMarks:
    """Marks hours in the transaction that stores their samples, as seldom as it can."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._marks = Marks()
        self._days: set[int] = set()

    async def make_chunks(self, connection: Connection, hours: Mapping[int, Set[str]]) -> None:
        """Have the chunks of these hours made. Call it before the transaction, which must make none itself."""
        new = days_of(hours) - self._days
        if new:
            await connection.execute(_CREATE_CHUNKS, [begin_of_day(day) for day in sorted(new)])
            self._days |= new

    async def mark(self, connection: Connection, hours: Mapping[int, Set[str]]) -> Marked | None:
        """Mark these hours in the transaction that stores their samples; give the result to ``remember``."""
        now = self._clock()
        new = self._marks.missing(hours, now)
        if not new:
            return None
        begins = {hour: begin_of(hour) for hour, _ in new}
        at = await connection.fetchval(_MARK, [begins[hour] for hour, _ in new], [host for _, host in new])
        return Marked(new, at, now)

    def remember(self, marked: Marked | None) -> None:
        """The transaction has committed: from now on its marks are relied upon."""
        if marked is not None:
            self._marks.remember(marked.hours, marked.at, marked.now)
