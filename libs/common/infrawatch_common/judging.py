"""Records as they come, sorted into what is proved and what is refused, with the keys that they name."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Generic

from infrawatch_common.events import Reason, key_id_of
from infrawatch_common.events.batch import Batch, sort_out
from infrawatch_common.events.judgement import JudgedT, Read, Rules, signature_of
from infrawatch_common.host_keys import KeyRing
from infrawatch_common.kafka import Record, Records
from infrawatch_common.settings import SampleSettings, SnapshotSettings

# Between slices the database gets its turn: it must not wait for a whole batch to be judged. A slice is as many
# samples, or as much of larger records, as take a few milliseconds.
_SLICE = 250
_SLICE_BYTES = 128 * 1024


class Judge(Generic[JudgedT]):
    """Sorts out batches of records, which ``read`` finds in their bodies."""

    def __init__(self, keys: KeyRing, rules: Rules, read: Read[JudgedT]) -> None:
        self._keys = keys
        self._rules = rules
        self._read = read

    async def sort_out(self, records: Records) -> Batch[JudgedT, Record]:
        """Judge the records. Keys that are not known yet are asked for once, all of them."""
        batch: Batch[JudgedT, Record] = Batch()
        asked = False
        start = 0
        while start < len(records):
            end = _end_of_slice(records, start)
            part = self._judge(records[start:end])
            if not asked and any(rejection.reason is Reason.UNKNOWN_KEY for rejection, _ in part.refused):
                asked = True
                if await self._keys.learn(_key_ids(records[start:])):
                    part = self._judge(records[start:end])
            batch.extend(part)
            start = end
            await asyncio.sleep(0)
        return batch

    def _judge(self, records: Records) -> Batch[JudgedT, Record]:
        return sort_out(records, self._keys.known, self._rules, self._read)


def _end_of_slice(records: Records, start: int) -> int:
    """The index after the last record of the slice that begins with ``start``; it has one at least."""
    room = _SLICE_BYTES
    for index in range(start, min(start + _SLICE, len(records))):
        room -= len(records[index].value or b"")
        if room <= 0:
            return index + 1
    return min(start + _SLICE, len(records))


def _key_ids(records: Records) -> Iterator[str]:
    """The ids of keys that they say they are signed with."""
    return filter(None, (key_id_of(signature_of(record)) for record in records))


def rules_of(settings: SampleSettings | SnapshotSettings) -> Rules:
    """What a service takes, by its settings."""
    days = settings.raw_retention_days if isinstance(settings, SampleSettings) else settings.snapshot_max_late_days
    return Rules(
        accept_unsigned=settings.accept_unsigned,
        clock_tolerance=settings.clock_tolerance,
        retention=timedelta(days=days).total_seconds(),
    )
