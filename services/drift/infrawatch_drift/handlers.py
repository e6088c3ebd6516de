"""From a batch of messages to the store."""

from infrawatch_common.drift.reading import Snapshot
from infrawatch_common.events.batch import Batch
from infrawatch_common.judging import Judge
from infrawatch_common.kafka import Record, Records
from infrawatch_drift.metrics import DriftMetrics
from infrawatch_drift.store import Store


class SnapshotsHandler:
    """The two steps of a batch of snapshots: judge, then write."""

    def __init__(self, judge: Judge[Snapshot], store: Store, metrics: DriftMetrics) -> None:
        self._judge = judge
        self._store = store
        self._metrics = metrics

    async def prepare(self, records: Records) -> Batch[Snapshot, Record]:
        """Judge the records."""
        return await self._judge.sort_out(records)

    async def write(self, batch: Batch[Snapshot, Record]) -> None:
        """Write rows, changes and dead letters, and count what became of the records."""
        written = await self._store.write(batch)
        for outcome, count in written.outcomes.items():
            self._metrics.records.labels(outcome).inc(count)
        for rejection in written.refused:
            self._metrics.records.labels(rejection.reason).inc()
