"""From a batch of messages to the store."""

import asyncio
from typing import NamedTuple

from infrawatch_common.events import Sample
from infrawatch_common.events.batch import Batch
from infrawatch_common.judging import Judge
from infrawatch_common.kafka import Record, Records
from infrawatch_ingest.metrics import DUPLICATE, STORED, IngestMetrics
from infrawatch_ingest.rows import Rows
from infrawatch_ingest.store import Store


class Prepared(NamedTuple):
    """A batch that is ready to be written."""

    batch: Batch[Sample, Record]
    rows: Rows

    @classmethod
    async def of(cls, batch: Batch[Sample, Record]) -> "Prepared":
        """Work out what the transaction needs before it begins, so that the database does not wait for it."""
        rows = Rows(batch.accepted)
        _ = rows.extent
        await asyncio.sleep(0)
        _ = rows.packed
        return cls(batch, rows)


class MetricsHandler:
    """The two steps of a batch of samples: judge, then write."""

    def __init__(self, judge: Judge[Sample], store: Store, metrics: IngestMetrics) -> None:
        self._judge = judge
        self._store = store
        self._metrics = metrics

    async def prepare(self, records: Records) -> Prepared:
        """Judge the records, and pack what is to be written."""
        return await Prepared.of(await self._judge.sort_out(records))

    async def write(self, prepared: Prepared) -> None:
        """Write rows and dead letters, and count them."""
        written = await self._store.write(prepared.batch, prepared.rows)
        self._metrics.records.labels(STORED).inc(written.stored)
        self._metrics.records.labels(DUPLICATE).inc(written.duplicates)
        for rejection in written.refused:
            self._metrics.records.labels(rejection.reason).inc()
