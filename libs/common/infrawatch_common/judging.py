"""Records as they come, sorted into what is proved and what is refused, with the keys that they name."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

from infrawatch_common.events import Reason, key_id_of
from infrawatch_common.events.batch import Batch, sort_out
from infrawatch_common.events.judgement import Rules, signature_of
from infrawatch_common.host_keys import KeyRing
from infrawatch_common.kafka import Record, Records
from infrawatch_common.settings import SampleSettings

# Between slices the database gets its turn: it must not wait for a whole batch to be judged.
_SLICE = 250


class Judge:
    """Sorts out batches of samples."""

    def __init__(self, keys: KeyRing, rules: Rules) -> None:
        self._keys = keys
        self._rules = rules

    async def sort_out(self, records: Records) -> Batch[Record]:
        """Judge the records. Keys that are not known yet are asked for once, all of them."""
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
        return batch

    def _judge(self, records: Records) -> Batch[Record]:
        return sort_out(records, self._keys.known, self._rules)


def _key_ids(records: Records) -> Iterator[str]:
    """The ids of keys that they say they are signed with."""
    return filter(None, (key_id_of(signature_of(record)) for record in records))


def rules_of(settings: SampleSettings) -> Rules:
    """What a service takes, by its settings."""
    return Rules(
        accept_unsigned=settings.accept_unsigned,
        clock_tolerance=settings.clock_tolerance,
        retention=timedelta(days=settings.raw_retention_days).total_seconds(),
    )
