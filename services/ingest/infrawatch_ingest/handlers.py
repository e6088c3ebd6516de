"""From a batch of messages to the store."""

from infrawatch_common.events import key_id_of
from infrawatch_common.host_keys import KeyRing
from infrawatch_common.kafka import Record, Records
from infrawatch_ingest.domain.batch import Batch, sort_out
from infrawatch_ingest.domain.judgement import Rules, signature_of
from infrawatch_ingest.metrics import DUPLICATE, STORED, IngestMetrics
from infrawatch_ingest.store import Store


class MetricsHandler:
    """The two steps of a batch of samples: judge, then write."""

    def __init__(self, keys: KeyRing, store: Store, rules: Rules, metrics: IngestMetrics) -> None:
        self._keys = keys
        self._store = store
        self._rules = rules
        self._metrics = metrics

    async def prepare(self, records: Records) -> Batch[Record]:
        """Judge the records, with the keys that they name."""
        named = {key_id_of(signature_of(record)) for record in records}
        keys = await self._keys.load(key_id for key_id in named if key_id is not None)
        return sort_out(records, keys, self._rules)

    async def write(self, batch: Batch[Record]) -> None:
        """Write rows and dead letters, and count them."""
        written = await self._store.write(batch)
        self._metrics.records.labels(STORED).inc(written.stored)
        self._metrics.records.labels(DUPLICATE).inc(written.duplicates)
        for rejection in written.refused:
            self._metrics.records.labels(rejection.reason).inc()
