"""Changes that hosts made from one value to another, and how many of them there are."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from infrawatch_common.database import Connection
from infrawatch_common.drift.changes import Category, Direction, Key
from infrawatch_common.drift.facts import Fact, fact_key

# What the pages are sorted by: when a change was last made, and one of the changes.
KEYS = (datetime, str)

_IN_ORDER = "ORDER BY last_at DESC, one DESC LIMIT $9"
_COUNTED, _OF = "SELECT count(*) FROM (", "LIMIT $9) AS counted"
_GROUPED = """
SELECT category, source, name, before #>> '{}' AS before, after #>> '{}' AS after, direction,
       min(at) AS first_at, max(at) AS last_at, min(id::text COLLATE "C") AS one
FROM drift_changes
WHERE at >= $1 AND at < $2 AND action = 'changed' AND category <> 'source' AND NOT hidden
  AND host_id IN (SELECT id FROM hosts WHERE (retired IS NULL OR retired > $2) AND tags @> ALL ($3::jsonb[]))
  AND ($4::text IS NULL OR category = $4) AND ($5::text IS NULL OR source = $5) AND ($6::text IS NULL OR name = $6)
GROUP BY subject, 1, 2, 3, 4, 5, 6
HAVING $7::timestamptz IS NULL OR (max(at), min(id::text COLLATE "C")) < ($7, $8)
"""
_PAGE = _GROUPED + _IN_ORDER
_COUNT = _COUNTED + _GROUPED + _OF
_FACTS = "SELECT key, id FROM facts WHERE key = ANY ($1)"
_FACT = "SELECT subject, category, source, name, value FROM facts WHERE id = $1"


class Question(NamedTuple):
    """Changes at or after ``start`` and before ``end`` of hosts that were in service then and have all the ``tags``."""

    start: datetime
    end: datetime
    tags: Sequence[Mapping[str, str]] = ()
    category: Category | None = None
    source: str | None = None
    name: str | None = None

    @property
    def who(self) -> tuple[datetime, datetime, list[str]]:
        """The first three arguments of the statements."""
        return self.start, self.end, [json.dumps(dict(tag)) for tag in self.tags]


class Move(NamedTuple):
    """A change that at least one host made, first and last when, and the id of one such change."""

    category: Category
    source: str
    name: str
    before: str
    after: str
    direction: Direction | None
    first_at: datetime
    last_at: datetime
    one: str

    @property
    def facts(self) -> tuple[bytes, bytes]:
        """The keys of the facts before and after."""
        about = Key(self.category, self.source, self.name)
        return fact_key(Fact(*about, self.before)), fact_key(Fact(*about, self.after))


class Named(NamedTuple):
    """What a fact says."""

    subject: bytes
    category: Category
    source: str
    name: str
    value: str


async def page(
    connection: Connection, question: Question, before: tuple[datetime, str] | None, limit: int
) -> list[Move]:
    """Changes, those that were made last come first."""
    rows = await connection.fetch(_PAGE, *_arguments(question, before), limit)
    return [
        Move(Category(category), source, name, old, new, Direction(direction) if direction else None, *rest)
        for category, source, name, old, new, direction, *rest in rows
    ]


async def count(connection: Connection, question: Question, before: tuple[datetime, str] | None, limit: int) -> int:
    """How many there are, or ``limit`` if there are more."""
    return int(await connection.fetchval(_COUNT, *_arguments(question, before), limit))


async def facts(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, int]:
    """The numbers of facts, by their keys."""
    return {row["key"]: row["id"] for row in await connection.fetch(_FACTS, list(keys))}


async def fact(connection: Connection, number: int) -> Named | None:
    """What the fact with this number says."""
    row = await connection.fetchrow(_FACT, number)
    return Named(row[0], Category(row[1]), *row[2:]) if row is not None else None


def _arguments(question: Question, before: tuple[datetime, str] | None) -> tuple[Any, ...]:
    return *question.who, question.category, question.source, question.name, *(before or (None, None))
