"""From a batch of messages to the store."""

import asyncio
from collections.abc import Iterator
from typing import NamedTuple

from infrawatch_common.events import Reason, key_id_of
from infrawatch_common.host_keys import KeyRing
from infrawatch_common.kafka import Record, Records
from infrawatch_ingest.domain.batch import Batch, sort_out
from infrawatch_ingest.domain.judgement import Rules, signature_of
from infrawatch_ingest.metrics import DUPLICATE, STORED, IngestMetrics
from infrawatch_ingest.rows import Rows
from infrawatch_ingest.store import Store

# Between slices the database gets its turn: it must not wait for a whole batch to be judged.
_SLICE = 250


class Prepared(NamedTuple):
    """A batch that is ready to be written."""

    batch: Batch[Record]
    rows: Rows

    @classmethod
    async def of(cls, batch: Batch[Record]) -> "Prepared":
        """Work out what the transaction needs before it begins, so that the database does not wait for it."""
        rows = Rows(batch.samples)
        _ = rows.extent
        await asyncio.sleep(0)
        _ = rows.packed
        return cls(batch, rows)


class MetricsHandler:
    """The two steps of a batch of samples: judge, then write."""

    def __init__(self, keys: KeyRing, store: Store, rules: Rules, metrics: IngestMetrics) -> None:
        self._keys = keys
        self._store = store
        self._rules = rules
        self._metrics = metrics

    async def prepare(self, records: Records) -> Prepared:
        """Judge the records, with the keys that they name, and pack what is to be written.

        Keys that are not known yet are asked for once, all of them.
        """
        batch: Batch[Record] = Batch()
        asked = False
        for start in range(0, len(records), _SLICE):
            part = self._judge(records[start : start + _SLICE])
            if not asked and any(rejection.reason is Reason.UNKNOWN_KEY for rejection, _ in part.refused):
                asked = True
                if await self._keys.learn(_key_ids(records[start:])):
                    part = self._judge(records[start : start + _SLICE])
            batch.extend(part)
            await asyncio.sleep(0)
        return await Prepared.of(batch)

    def _judge(self, records: Records) -> Batch[Record]:
        return sort_out(records, self._keys.known, self._rules)

    async def write(self, prepared: Prepared) -> None:
        """Write rows and dead letters, and count them."""
        written = await self._store.write(prepared.batch, prepared.rows)
        self._metrics.records.labels(STORED).inc(written.stored)
        self._metrics.records.labels(DUPLICATE).inc(written.duplicates)
        for rejection in written.refused:
            self._metrics.records.labels(rejection.reason).inc()


def _key_ids(records: Records) -> Iterator[str]:
    """The ids of keys that they say they are signed with."""
    return filter(None, (key_id_of(signature_of(record)) for record in records))
