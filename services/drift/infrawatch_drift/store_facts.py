"""The dictionary of all things that snapshots say: the number of each."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

from infrawatch_common.database import Connection, Pool, columns
from infrawatch_common.drift.facts import Fact, fact_key, subject
from infrawatch_drift.metrics import DriftMetrics

_FIND = "SELECT key, id FROM facts WHERE key = ANY ($1)"
# In the order of keys: writers who add the same facts wait for each other in turn.
_ADD = """
INSERT INTO facts (key, subject, category, source, name, value)
SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[])
    AS new (key, subject, category, source, name, value)
ORDER BY key
ON CONFLICT DO NOTHING
RETURNING key, id
"""


class FactIds:
    """Ids of facts. They are never deleted, so the latest used ones are kept in mind."""

    def __init__(self, pool: Pool, metrics: DriftMetrics, cached: int) -> None:
        self._pool = pool
        self._metrics = metrics
        self._cached = cached
        self._known: OrderedDict[bytes, int] = OrderedDict()

    def forget(self) -> None:
        """Ask again for each of them."""
        self._known.clear()

    async def of(self, facts: Iterable[Fact]) -> Mapping[Fact, int]:
        """The ids of facts; those that are new get one.

        That is done at once, on a connection of its own: nobody waits for a whole batch of another writer's because
        both bring the same news.
        """
        keys = {fact: fact_key(fact) for fact in facts}
        known = self._known
        found = {key: known.pop(key) for key in keys.values() if key in known}
        missing = {key: fact for fact, key in keys.items() if key not in found}
        if missing:
            async with self._pool.acquire() as connection:
                found |= await self._ask(connection, missing)
        known.update(found)  # at the end, as the latest used
        while len(known) > self._cached:
            known.popitem(last=False)
        return {fact: found[key] for fact, key in keys.items()}

    async def _ask(self, connection: Connection, facts: Mapping[bytes, Fact]) -> dict[bytes, int]:
        found = await _find(connection, list(facts))
        new = [
            (key, subject(fact.about), fact.category.value, *fact[1:])
            for key, fact in facts.items()
            if key not in found
        ]
        if new:
            added = {row["key"]: row["id"] for row in await connection.fetch(_ADD, *columns(new))}
            self._metrics.facts.inc(len(added))
            found |= added
        if len(found) < len(facts):  # another writer was faster
            found |= await _find(connection, [key for key in facts if key not in found])
        return found


async def _find(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, int]:
    return {row["key"]: row["id"] for row in await connection.fetch(_FIND, keys)}


def _row(key: bytes, fact: Fact) -> tuple[object, ...]:
    return key, subject(fact.about), fact.category.value, fact.source, fact.name, fact.value
