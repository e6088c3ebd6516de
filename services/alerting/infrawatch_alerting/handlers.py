"""From records to decisions to the store; a replica's states are in memory, and in the database what is not ok."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from infrawatch_alerting.domain.fleet import (
    Fleet,
    HostChange,
    Rulebook,
    StoredEvent,
    StoredHistory,
    StoredHost,
    StoredState,
)
from infrawatch_alerting.domain.positions import partition_of
from infrawatch_alerting.metrics import BACK_FILLED, JUDGED, LATE, REPEATED, AlertingMetrics
from infrawatch_alerting.store import Advance, Decided, StaleError, Store
from infrawatch_common.events import Sample
from infrawatch_common.events.batch import Batch
from infrawatch_common.judging import Judge
from infrawatch_common.kafka import Record, Records
from infrawatch_common.logs import get_logger
from infrawatch_common.pace import Pace

OfHostT = TypeVar("OfHostT", StoredHost, StoredState, StoredHistory, StoredEvent)

# From when to when, in seconds of Unix time, nothing was appended between two times.
FindPauses = Callable[[float, float], Awaitable[Sequence[tuple[float, float]]]]

_SLICE = 500
# Beyond every offset: of a partition that is not this replica's any more.
_NEVER = 2**63

_log = get_logger(__name__)


@dataclass
class Prepared:
    """A batch whose records are proved, and what was decided of it once that was done."""

    batch: Batch[Sample, Record]
    reached: dict[int, int]  # by partition, the offset after the last record
    appended: dict[int, float]  # by partition, when the broker got the last record
    decided: Decided | None = None
    generation: int = -1  # of the assignment that it was decided under


class AlertingHandler:
    """The two steps of a batch: prove the records; then judge, and keep what was decided.

    A batch is judged once. When it turns out that another replica has got further, everything is read again.
    """

    def __init__(
        self,
        judge: Judge[Sample],
        fleet: Fleet,
        store: Store,
        metrics: AlertingMetrics,
        read_rulebook: Callable[[], Awaitable[Rulebook]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        blind_after: timedelta = timedelta(seconds=30),
    ) -> None:
        self._judge = judge
        self._fleet = fleet
        self._store = store
        self._metrics = metrics
        self._read_rulebook = read_rulebook
        self._clock = clock
        self.find_pauses: FindPauses | None = None
        self._blind_after = blind_after
        self._blind = True
        self._looked: datetime | None = None
        self._lock = asyncio.Lock()
        self._assigned: frozenset[int] = frozenset()
        self._partitions = 0
        self._positions: dict[int, int] = {}
        self._appended: dict[int, float] = {}  # by partition, when the broker got the last record that is done
        self._generation = 0
        self._loaded = -1
        self._pace = Pace()
        self._heard: set[str] = set()
        self._ahead = False

    def assign(self, assigned: Iterable[int], partitions: int) -> None:
        """These partitions, of so many, are this replica's from now on; what it knows is read again."""
        self._assigned = frozenset(assigned)
        self._partitions = partitions
        self._generation += 1

    async def prepare(self, records: Records) -> Prepared:
        """Prove the records."""
        last = {record.partition: record for record in records}
        return Prepared(
            await self._judge.sort_out(records),
            {partition: record.offset + 1 for partition, record in last.items()},
            {partition: record.timestamp / 1000 for partition, record in last.items()},
        )

    async def write(self, prepared: Prepared) -> None:
        """Judge the records and keep what comes of it."""
        async with self._lock:
            kept = False
            while not kept:
                await self._load_if_needed()
                if prepared.decided is None or prepared.generation != self._generation:
                    await self._look_back()
                    prepared.decided = await self._decide(prepared)
                    prepared.generation = self._generation
                # Until it is kept, memory is ahead of the database: nothing else may be kept before.
                self._ahead = True
                kept = await self._keep(prepared.decided)
            self._ahead = False
        for rejection, _ in prepared.batch.refused:
            self._metrics.records.labels(rejection.reason).inc()

    async def refresh(self) -> bool:
        """Judge by the rules as they are now; False when that has to wait for the batch in hand."""
        async with self._lock:
            if self._ahead:
                return False
            await self._load_if_needed()
            await self._keep_changes(await self._follow())
            return True

    async def _follow(self) -> list[HostChange]:
        book = await self._read_rulebook()
        self._metrics.rules.set(len(book.rules))
        return self._fleet.follow(book, self._clock())

    async def tell_silence(self, until: datetime, excused: datetime | None) -> None:
        """Find hosts that were silent until then; before ``excused`` nobody could be heard."""
        async with self._lock:
            if excused is not None:
                self._fleet.excuse(excused)
            if not self._ahead:
                await self._load_if_needed()
                await self._look_back()
                await self._keep_changes(self._fleet.silence(until))

    def looks(self) -> None:
        """The end of the topic is looked at; ``find_pauses`` is asked about times without that."""
        self._blind, self._looked = self._was_blind(), self._clock()

    @property
    def undescribed(self) -> bool:
        """Whether samples came of a host that the rulebook does not have."""
        return bool(self._fleet.undescribed)

    def done_until(self, partition: int) -> float | None:
        """When the broker got the last record of a partition that is done."""
        return self._appended.get(partition)

    async def _decide(self, prepared: Prepared) -> Decided:
        changes: list[HostChange] = []
        back_filled = late = 0
        heard: set[str] = set()
        begin = {p: self._positions[p] for p in prepared.reached if p in self._positions}
        samples = [
            (sample, record)
            for sample, record in prepared.batch.accepted
            if record.offset >= begin.get(record.partition, _NEVER)
        ]
        for start in range(0, len(samples), _SLICE):
            for sample, record in samples[start : start + _SLICE]:
                found = self._fleet.sample(sample, record.timestamp)
                if found is None:
                    found = self._fleet.fill(sample)
                    if found is None:
                        late += 1
                        continue
                    back_filled += 1
                heard.add(sample.host_id)
                if found:
                    changes += [HostChange(sample.host_id, change) for change in found]
            await asyncio.sleep(0)
        judged, repeated = len(samples) - back_filled - late, len(prepared.batch.accepted) - len(samples)
        for outcome, count in ((JUDGED, judged), (BACK_FILLED, back_filled), (LATE, late), (REPEATED, repeated)):
            self._metrics.records.labels(outcome).inc(count)
        self._appended |= prepared.appended
        self._heard |= heard
        positions = {p: Advance(begin[p], max(begin[p], prepared.reached[p])) for p in begin}
        hosts, histories = self._fleet.kept_now(heard), self._fleet.histories(heard)
        return Decided(positions, changes, self._clock(), hosts, histories)

    async def _keep_changes(self, changes: Sequence[HostChange]) -> None:
        """Keep what no record has brought about; what cannot be kept now is found again after all is read again."""
        if not changes:
            return
        positions = {partition: Advance(offset, offset) for partition, offset in self._positions.items()}
        histories = self._fleet.histories({host_id for host_id, _ in changes})
        try:
            await self._keep(Decided(positions, changes, self._clock(), histories=histories))
        except BaseException:
            self._generation += 1
            raise

    async def _keep(self, decided: Decided) -> bool:
        """Whether it is kept; not when another replica was faster, and then everything has to be read again."""
        now = asyncio.get_running_loop().time()
        hosts = self._fleet.kept(self._heard) if self._pace.is_due(now) else []
        try:
            fired, resolved = await self._store.write(replace(decided, hosts=hosts) if hosts else decided)
        except StaleError:
            _log.warning("another replica was faster; reading again what it left")
            self._generation += 1
            return False
        if hosts:
            self._pace.done(now, asyncio.get_running_loop().time())
            self._heard.clear()
        self._positions |= {partition: advance.reached for partition, advance in decided.positions.items()}
        self._metrics.hosts.set(len(self._fleet))
        for kind, rows in (("fired", fired), ("resolved", resolved)):
            for row in rows:
                self._metrics.transitions.labels(kind, row["severity"]).inc()
        return True

    async def _load_if_needed(self) -> None:
        while self._loaded != self._generation:
            generation = self._generation
            mine = self._assigned
            kept = await self._store.load(sorted(mine))
            self._fleet.forget()
            await self._follow()
            self._heard.clear()
            self._appended.clear()
            self._positions = dict(kept.positions)
            ended = self._fleet.restore(
                self._mine(kept.hosts),
                self._mine(kept.states),
                self._clock(),
                self._mine(kept.histories),
                self._mine(kept.firing),
            )
            self._metrics.reloads.inc()
            self._loaded = generation
            await self._keep_changes(ended)

    async def _look_back(self) -> None:
        """Ask when nothing came, once after the start and after every time in which this replica could not look."""
        if self.find_pauses is None or not self._assigned or not self._was_blind():
            return
        begin, now = self._fleet.excusable_from, self._clock()
        if begin is not None:
            pauses = await self.find_pauses(begin.timestamp(), now.timestamp())
            self._fleet.excuse_pauses([(_time(start), _time(end)) for start, end in pauses])
        self._looked, self._blind = now, False

    def _was_blind(self) -> bool:
        return self._blind or (self._looked is not None and self._clock() - self._looked > self._blind_after)

    def _mine(self, kept: Iterable[OfHostT]) -> list[OfHostT]:
        if not self._assigned:
            return []
        return [one for one in kept if partition_of(one.host_id, self._partitions) in self._assigned]


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
