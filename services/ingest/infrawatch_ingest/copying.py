"""Rows of table ``metrics`` in PostgreSQL's binary COPY format.

asyncpg can encode any row of any table, which takes three times as long as this one row of known types; see ADR 0010.
The format is described in PostgreSQL's manual under COPY; each type's is that of its ``*_send`` function.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from struct import Struct

from infrawatch_common.events import Sample

# In the order in which a row is packed.
COLUMNS = ("id", "timestamp", "cpu", "memory", "disk", "uptime", "host_id")

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no extension
_TRAILER = b"\xff\xff"
# The number of columns, then each one's length and value: UUID, microseconds since 2000, three doubles, an integer, and
# the length of the text that follows.
_pack = Struct("!h i16s iq id id id ii i").pack
_EPOCH = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000


def rows(samples: Iterable[Sample]) -> bytes:
    """The whole payload of a COPY of these samples."""
    parts = [_HEADER]
    add = parts.append
    for sample in samples:
        uuid, host = sample.id.int.to_bytes(16, "big"), sample.host_id.encode()
        # A double holds the microseconds of every date up to the year 2255 exactly enough to round to them.
        moment = round(sample.timestamp.timestamp() * 1_000_000) - _EPOCH
        add(
            _pack(
                7, 16, uuid, 8, moment, 8, sample.cpu, 8, sample.memory, 8, sample.disk, 4, sample.uptime, len(host)
            )
        )  # fmt: skip
        add(host)
    add(_TRAILER)
    return b"".join(parts)
