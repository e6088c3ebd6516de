"""Where it is kept which records of a host have come, and when it was last seen."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from infrawatch_common.database import Connection, Pool
from infrawatch_ingest.domain.streams import Gap, StreamPart, join

# A range takes this many bytes of a multirange.
_RANGE_BYTES = 21
# How much earlier the record is with whose delay that of the newest is compared, at least.
_EARLIER = timedelta(minutes=5)

# Writers take the rows in one order. United, numbers that come again change nothing. The numbers between the highest
# that is known and those that come now are a gap; one that an earlier reading of the batch has noted begins lower.
# When there are more ranges than are kept, they become one, and the numbers that they lack are only counted.
_CONTINUE = """
INSERT INTO host_streams AS s (host_id, instance, received, gaps, first_at, last_at, newest_at, newest_appended_at,
                               earlier_at, earlier_appended_at, first_appended_at, last_appended_at)
SELECT host_id, instance, received::int8multirange, gaps::jsonb, first_at, last_at, newest_at,
       to_timestamp(newest_appended / 1000.0), lowest_at, to_timestamp(first_appended / 1000.0),
       to_timestamp(first_appended / 1000.0), to_timestamp(last_appended / 1000.0)
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[],
            $8::timestamptz[], $9::bigint[], $10::bigint[], $11::bigint[])
    WITH ORDINALITY AS new (host_id, instance, received, gaps, first_at, last_at, lowest_at, newest_at, newest_appended,
                            first_appended, last_appended, number)
WHERE EXISTS (SELECT FROM hosts WHERE id = host_id)
ORDER BY number
ON CONFLICT (host_id, instance) DO UPDATE SET
    received = CASE WHEN pg_column_size(s.received + excluded.received) <= $12 THEN s.received + excluded.received
                    ELSE int8multirange(range_merge(s.received + excluded.received)) END,
    settled_missing = CASE WHEN pg_column_size(s.received + excluded.received) <= $12 THEN s.settled_missing
                           ELSE s.settled_missing + (
                               SELECT upper(r) - lower(r) - sum(upper(part) - lower(part))
                               FROM (SELECT s.received + excluded.received) AS united (r), unnest(r) AS part GROUP BY r)
                      END,
    gaps = CASE WHEN lower(excluded.received) <= upper(s.received) AND excluded.gaps = '[]'::jsonb THEN s.gaps
           ELSE jsonb_path_query_array(
               s.gaps
               || CASE WHEN lower(excluded.received) <= upper(s.received) THEN '[]'::jsonb
                       ELSE jsonb_build_array(jsonb_build_object(
                           'first', upper(s.received), 'last', lower(excluded.received) - 1,
                           'after', s.newest_at, 'before', excluded.earlier_at)) END
               || jsonb_path_query_array(excluded.gaps, '$[*] ? (@.first >= $known)',
                                         jsonb_build_object('known', upper(s.received))),
               '$[last - $others to last]', jsonb_build_object('others', $13::integer - 1)) END,
    first_at = least(s.first_at, excluded.first_at),
    last_at = greatest(s.last_at, excluded.last_at),
    newest_at = CASE WHEN upper(excluded.received) >= upper(s.received) THEN excluded.newest_at ELSE s.newest_at END,
    newest_appended_at = CASE WHEN upper(excluded.received) >= upper(s.received) THEN excluded.newest_appended_at
                              ELSE s.newest_appended_at END,
    earlier_at = CASE WHEN excluded.newest_appended_at - s.earlier_appended_at > $14 THEN s.newest_at
                      ELSE s.earlier_at END,
    earlier_appended_at = CASE WHEN excluded.newest_appended_at - s.earlier_appended_at > $14 THEN s.newest_appended_at
                               ELSE s.earlier_appended_at END,
    first_appended_at = least(s.first_appended_at, excluded.first_appended_at),
    last_appended_at = greatest(s.last_appended_at, excluded.last_appended_at)
"""

# Whoever deletes hosts waits until the transaction ends. The streams of a host that was purged go with it.
_HOLD_HOSTS = "LOCK TABLE hosts IN ROW EXCLUSIVE MODE"
# Locked in the order of ids, as every writer of hosts does: unordered ones deadlock.
_ADVANCE_LAST_SEEN = """
UPDATE hosts SET last_seen = newer.seen
FROM (SELECT hosts.id, given.seen
      FROM unnest($1::text[], $2::timestamptz[]) AS given (id, seen) JOIN hosts USING (id)
      WHERE hosts.last_seen IS NULL OR hosts.last_seen + $3 <= given.seen
      ORDER BY hosts.id FOR NO KEY UPDATE OF hosts) AS newer
WHERE hosts.id = newer.id
"""
_COLUMNS = ("first_at", "last_at", "lowest_at", "newest_at", "newest_appended", "first_appended", "last_appended")


class Streams:
    """Gathers the streams of many batches, and when their hosts were last seen: writing that with each batch would cost
    a third of its time, and more the more hosts there are.

    ``flush`` must succeed before the offsets of what was added are committed; what is added again changes nothing.
    """

    def __init__(self, pool: Pool, ranges_max: int, gaps_max: int, last_seen_interval: timedelta) -> None:
        self._pool = pool
        self._last_seen_interval = last_seen_interval
        self._seen: dict[str, datetime] = {}  # last_seen of hosts as it was written latest
        self._ranges_max = ranges_max
        self._gaps_max = gaps_max
        self._parts: dict[tuple[str, int], StreamPart] = {}

    def add(self, parts: Iterable[StreamPart]) -> None:
        """Add a batch's parts, before it is written."""
        known = self._parts
        for part in parts:
            key = part.host_id, part.instance.int
            known[key] = join(known[key], part) if key in known else part

    async def flush(self) -> None:
        """Write what was added, in a transaction of its own."""
        flushed, self._parts = self._parts, {}
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_HOLD_HOSTS)
                await self._write(connection, [flushed[key] for key in sorted(flushed)])
                seen = self._newly_seen(flushed.values())
                if seen:
                    interval = self._last_seen_interval
                    await connection.execute(_ADVANCE_LAST_SEEN, list(seen), list(seen.values()), interval)
        except BaseException:
            added, self._parts = self._parts, flushed
            self.add(added.values())
            raise
        self._seen.update(seen)

    def _newly_seen(self, parts: Iterable[StreamPart]) -> dict[str, datetime]:
        seen: dict[str, datetime] = {}
        for part in parts:
            before = seen.get(part.host_id) or self._seen.get(part.host_id)
            if before is None or before + self._last_seen_interval <= part.last_at:
                seen[part.host_id] = part.last_at
        return seen

    async def _write(self, connection: Connection, parts: Sequence[StreamPart]) -> None:
        await connection.execute(
            _CONTINUE,
            [part.host_id for part in parts],
            [part.instance for part in parts],
            [_multirange(part.ranges) for part in parts],
            [_gaps(part.gaps[-self._gaps_max :]) for part in parts],
            *([getattr(part, column) for part in parts] for column in _COLUMNS),
            self._ranges_max * _RANGE_BYTES,
            self._gaps_max,
            _EARLIER,
        )


def _multirange(ranges: Sequence[tuple[int, int]]) -> str:
    return "{" + ",".join(f"[{low},{high}]" for low, high in ranges) + "}"


def _gaps(gaps: Sequence[Gap]) -> str:
    if not gaps:
        return "[]"
    return json.dumps(
        [
            {"first": gap.first, "last": gap.last, "after": gap.after.isoformat(), "before": gap.before.isoformat()}
            for gap in gaps
        ]
    )
