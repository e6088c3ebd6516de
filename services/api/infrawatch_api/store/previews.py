"""Stored samples for previews: which hosts, and their samples as fast as the database gives them."""

import json
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from operator import lt
from struct import Struct
from typing import Any

from infrawatch_api.domain.buckets import Range
from infrawatch_common.alerts.backtest import microseconds
from infrawatch_common.alerts.rules import Metric
from infrawatch_common.database import Connection

_CHOOSE = """
SELECT id FROM hosts
WHERE retired IS NULL AND ($1::text IS NULL OR id = $1) AND tags @> $2::jsonb
ORDER BY id LIMIT $3
"""
_COUNT = "SELECT count(*) FROM hosts"
_LAST_HEARD = """
SELECT number::integer - 1, sample.timestamp
FROM unnest($1::text[]) WITH ORDINALITY AS host (id, number)
CROSS JOIN LATERAL (
    SELECT timestamp FROM metrics WHERE host_id = host.id AND timestamp < $2 ORDER BY timestamp DESC LIMIT 1) AS sample
"""
# Three columns of fixed length, as _ROW reads them. Not ordered: that costs the database more than it costs us.
_SAMPLES = """
SELECT number::integer, timestamp,
       CASE $4::text WHEN 'cpu' THEN cpu WHEN 'memory' THEN memory WHEN 'disk' THEN disk WHEN 'uptime' THEN uptime
                     ELSE 0 END::double precision
FROM unnest($1::text[]) WITH ORDINALITY AS host (id, number)
JOIN metrics ON host_id = host.id
WHERE timestamp >= $2::timestamptz AND timestamp < $3::timestamptz
"""
# What is read of one host lies in as many pages as it has rows; what is read of all hosts lies one after the other.
_BY_HOST = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin")
_OF_ALL = ("enable_nestloop", "enable_mergejoin", "enable_indexscan", "enable_bitmapscan")
_AVOID = "SELECT set_config(name, 'off', FALSE) FROM unnest($1::text[]) AS name"

# PostgreSQL's binary format: a head; of each row the number of columns, of each column its length and value; an end.
_HEAD = 11 + 4 + 4
_ROW = Struct("!2x 4xi 4xq 4xd")
_END = b"\xff\xff"


class TooManyError(Exception):
    """There are more samples than may be read."""


class MalformedError(Exception):
    """The database sent something else than what was asked for."""


@dataclass(frozen=True, slots=True)
class Matching:
    """The hosts in service that a rule is for, by id, and how many hosts there are at all."""

    hosts: list[str]
    of: int


async def matching(
    connection: Connection, host_id: str | None, selector: Mapping[str, str] | None, limit: int
) -> Matching:
    """Which hosts a rule is for now."""
    rows = await connection.fetch(_CHOOSE, host_id, json.dumps(dict(selector or {})), limit)
    return Matching([row[0] for row in rows], await connection.fetchval(_COUNT))


async def last_heard(connection: Any, hosts: Sequence[str], before: datetime) -> dict[str, int]:
    """The latest sample of each host before that time, in the microseconds of a backtest; of those that have one."""
    rows = await connection.fetch(_LAST_HEARD, hosts, before)
    return {hosts[number]: microseconds(at) for number, at in rows}


async def choose_way(connection: Any, *, of_all: bool) -> None:
    """How ``read`` finds the samples, from now on: among those of all hosts, or each host's by itself."""
    await connection.execute(_AVOID, list(_OF_ALL if of_all else _BY_HOST))


class Columns:
    """Times, in the microseconds of a backtest, and values of several hosts' samples, 16 bytes each."""

    def __init__(self, hosts: int, room: int) -> None:
        self.times = [array("q") for _ in range(hosts)]
        self.values = [array("d") for _ in range(hosts)]
        self.count = 0
        self._room = room
        self._add = [(times.append, values.append) for times, values in zip(self.times, self.values, strict=True)]
        self._rest = b""
        self._skip = _HEAD

    async def take(self, block: bytes) -> None:
        """A piece of what the database sends, wherever it is cut. Raises ``TooManyError``."""
        data = self._rest + block if self._rest else block
        begin, self._skip = min(self._skip, len(data)), max(0, self._skip - len(data))
        rows = (len(data) - begin) // _ROW.size
        end = begin + rows * _ROW.size
        add = self._add
        for number, at, value in _ROW.iter_unpack(memoryview(data)[begin:end]):
            add_time, add_value = add[number - 1]
            add_time(at)
            add_value(value)
        self._rest = bytes(data[end:])
        self.count += rows
        if self.count > self._room:
            raise TooManyError

    def close(self, status: str) -> None:
        """All was sent, as the database says. Raises ``MalformedError`` when that is not what came."""
        if self._rest != _END or status != f"COPY {self.count}":
            msg = f"{status}, but {self.count} rows came, and {self._rest[:16]!r}"
            raise MalformedError(msg)

    def of(self, number: int) -> tuple[list[int], list[float]]:
        """One host's, in the order of time, and of value where several have the same."""
        times, values = self.times[number].tolist(), self.values[number].tolist()
        if all(map(lt, times, islice(times, 1, None))):
            return times, values
        ordered = sorted(zip(times, values, strict=True))
        return [at for at, _ in ordered], [value for _, value in ordered]


async def read(connection: Any, hosts: Sequence[str], covered: Range, metric: Metric, room: int) -> Columns:
    """Samples of these hosts. Raises ``TooManyError`` when there are more than there is ``room`` for."""
    columns = Columns(len(hosts), room)
    arguments = (hosts, covered.start, covered.end, metric.value)
    status = await connection.copy_from_query(_SAMPLES, *arguments, output=columns.take, format="binary")
    columns.close(status)
    return columns
