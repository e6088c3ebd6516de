"""At-least-once consumption: one batch is written while the next is prepared; then its offsets are committed."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Generic, NamedTuple, NoReturn, Protocol, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from infrawatch_common.database import is_transient
from infrawatch_common.kafka import Records
from infrawatch_common.logs import get_logger
from infrawatch_common.metrics import ConsumerMetrics
from infrawatch_common.pace import Pace
from infrawatch_common.stall import Observation, StallDetector

BatchT = TypeVar("BatchT")
ResultT = TypeVar("ResultT")

_WATCH_INTERVAL = 2.0
_RPC_TIMEOUT = 10.0
_LONGEST_BACK_OFF = 3.0
# The share of the stall timeout after which a consumer without progress is no longer ready.
_UNHEALTHY = 0.25

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Run:
    """The records of one partition in a batch; they come together, in the order of their offsets."""

    partition: TopicPartition
    count: int
    first_offset: int
    next_offset: int
    appended_ms: int  # of the oldest


class _Span(NamedTuple):
    """Offsets of one partition that are written and not yet committed, from the first to the one after the last."""

    first_offset: int
    next_offset: int

    def after(self, committed: "_Span | None") -> "_Span":
        """What is left of it when its beginning has been committed."""
        if committed is None or committed.first_offset != self.first_offset:
            return self
        return _Span(committed.next_offset, self.next_offset)


class StalledError(Exception):
    """The consumer has lag and makes no progress."""


class HasConsumer(Protocol):
    """A FastStream subscriber; its consumer exists while it is started."""

    @property
    def consumer(self) -> AIOKafkaConsumer | None: ...  # noqa: D102


class BatchConsumer(Generic[BatchT]):
    """Takes batches from Kafka to the database, each record at least once.

    ``prepare`` turns raw records into what is to be written and ``write`` writes it in a transaction; both are
    repeated for as long as the database is away, while Kafka's heartbeat goes on in the background. At most one
    batch is being written and one prepared, so memory is bounded whatever the backlog. Any other error ends the
    service (through ``failure``) with the batch uncommitted.

    With ``flush``, what batches leave behind outside their transactions is written by it, every second or so, and
    offsets are committed after it; so a crash repeats the batches since then.

    ``look`` is told, every other second, how many records of each partition were undone at that time (of Unix time).
    """

    def __init__(
        self,
        prepare: Callable[[Records], Awaitable[BatchT]],
        write: Callable[[BatchT], Awaitable[None]],
        metrics: ConsumerMetrics,
        stall_timeout: float,
        flush: Callable[[], Awaitable[None]] | None = None,
        look: Callable[[float, Mapping[int, int]], Awaitable[None]] | None = None,
    ) -> None:
        self._flush = flush
        self._look = look
        self._pace = Pace()
        self._written: dict[TopicPartition, _Span] = {}  # what can be committed after the next flush
        self._checkpointing = asyncio.Lock()
        self._prepare = prepare
        self._write = write
        self._metrics = metrics
        self._stall_timeout = stall_timeout
        self._stall = StallDetector(stall_timeout, time.monotonic())
        self._subscriber: HasConsumer | None = None
        self._writing: asyncio.Task[None] | None = None
        self._in_hand: Counter[TopicPartition] = Counter()
        # Under which generation of the group an offset was committed: in another one it may not be the last.
        self._committed: dict[TopicPartition, tuple[int, int]] = {}
        self._done = 0
        self._closing = False
        self._database_problem: str | None = None
        self._failed = asyncio.Event()
        self._error: Exception | None = None

    def attach(self, subscriber: HasConsumer) -> None:
        """Say whose consumer commits and is watched."""
        self._subscriber = subscriber

    async def handle(self, records: Records) -> None:
        """Prepare one batch, then start to write it as soon as the one before is written. Never raises."""
        if self._ends():
            return  # left uncommitted, for whoever gets the partition next
        try:
            runs = _runs(records)
            self._in_hand.update({run.partition: run.count for run in runs})
            batch = await self._until_database_answers(lambda: self._prepare(records))
            await self._settle()
            if not self._ends():
                self._writing = asyncio.create_task(self._finish(batch, runs))
        except Exception as error:  # noqa: BLE001 - the service ends with it
            self._fail(error)

    def _ends(self) -> bool:
        return self._closing or self._failed.is_set()

    async def drain(self) -> None:
        """Take nothing new and wait until what is in hand is written and committed."""
        self._closing = True
        await self._settle()
        try:
            await self._checkpoint()
        except Exception as error:  # noqa: BLE001 - the service ends anyway
            self._fail(error)

    async def failure(self) -> NoReturn:
        """Wait for the error that no repetition mends, and raise it."""
        await self._failed.wait()
        raise self._error or AssertionError

    async def _settle(self) -> None:
        if self._writing is not None:
            await self._writing

    async def _finish(self, batch: BatchT, runs: Sequence[_Run]) -> None:
        try:
            started = time.monotonic()
            await self._until_database_answers(lambda: self._write(batch))
            self._observe(runs, time.monotonic() - started)
            self._note_written(runs)
            await self._checkpoint_when_due()
        except Exception as error:  # noqa: BLE001 - the service ends with it
            self._fail(error)

    def _observe(self, runs: Sequence[_Run], seconds: float) -> None:
        records = sum(run.count for run in runs)
        self._done += records
        self._in_hand.subtract({run.partition: run.count for run in runs})
        self._metrics.batch_seconds.observe(seconds)
        self._metrics.batch_records.observe(records)
        oldest = min(run.appended_ms for run in runs) / 1000
        self._metrics.delay_seconds.observe(max(0.0, time.time() - oldest))

    def _note_written(self, runs: Sequence[_Run]) -> None:
        for run in runs:
            span = _Span(run.first_offset, run.next_offset)
            before = self._written.get(run.partition, span)
            goes_on = before.next_offset == run.first_offset
            self._written[run.partition] = _Span(before.first_offset, run.next_offset) if goes_on else span

    async def _checkpoint_when_due(self, *, patiently: bool = True) -> None:
        if self._flush is None or self._pace.is_due(time.monotonic()):
            await self._checkpoint(patiently=patiently)

    async def _checkpoint_when_idle(self) -> None:
        """Flush and commit what the last batch left behind, without waiting: the lag is to be seen meanwhile."""
        if self._checkpointing.locked() or self._database_problem is not None:
            return  # the batch in hand waits for the database, and does it afterwards
        try:
            async with asyncio.timeout(_RPC_TIMEOUT):
                await self._checkpoint_when_due(patiently=False)
        except Exception as error:
            if not is_transient(error):
                raise
            self._metrics.retries.inc()
            _log.warning("not flushed, trying again", error=f"{type(error).__name__}: {error}")

    async def _checkpoint(self, *, patiently: bool = True) -> None:
        async with self._checkpointing:
            written = dict(self._written)
            if not written:
                return
            if self._flush is not None and patiently:
                await self._until_database_answers(self._flush_at_pace)
            elif self._flush is not None:
                await self._flush_at_pace()
            if not await self._commit(written):
                return
            self._written = {
                partition: span.after(written.get(partition))
                for partition, span in self._written.items()
                if span != written.get(partition)
            }

    async def _flush_at_pace(self) -> None:
        assert self._flush is not None
        began = time.monotonic()
        await self._flush()
        self._pace.done(began, time.monotonic())

    async def _commit(self, written: Mapping[TopicPartition, _Span]) -> bool:
        """Whether it is done with these; if not, they are for the next checkpoint."""
        consumer = self._consumer()
        if consumer is None:
            return True
        if _is_joining(consumer):
            return False
        owned = {partition: span for partition, span in written.items() if partition in consumer.assignment()}
        generation = _generation(consumer)
        try:
            offsets = {p: span.next_offset for p, span in owned.items() if await self._is_news(consumer, p, span)}
            if offsets and _is_joining(consumer):  # since it asked for what is committed
                return False
            if offsets:
                await consumer.commit(offsets)
                self._committed.update({partition: (generation, offset) for partition, offset in offsets.items()})
        except (KafkaError, IllegalStateError) as error:
            # The partitions have moved; their new owner reads these records again, which changes nothing.
            self._metrics.commit_failures.inc()
            _log.warning("offsets not committed", error=str(error), partitions=len(owned))
        return True

    async def _is_news(self, consumer: AIOKafkaConsumer, partition: TopicPartition, span: _Span) -> bool:
        """Whether committing takes the partition forward.

        A partition that went to another member and came back may be ahead of the batch in hand, and a batch that is
        read again behind what was committed meanwhile. Where batches follow each other there is nothing to ask.
        """
        if self._committed.get(partition) == (_generation(consumer), span.first_offset):
            return True
        committed = await consumer.committed(partition)
        return committed is None or committed < span.next_offset

    async def _until_database_answers(self, work: Callable[[], Awaitable[ResultT]]) -> ResultT:
        # Nearly always this suffices. A retrying makes cycles of objects: memory would grow by each batch, for minutes.
        try:
            return await work()
        except Exception as error:
            if not is_transient(error) or self._closing:
                raise
            self._note_problem(error)
        retrying = AsyncRetrying(
            retry=retry_if_exception(is_transient),
            wait=wait_random_exponential(multiplier=0.1, max=_LONGEST_BACK_OFF),
            before_sleep=self._note_retry,
            stop=lambda _state: self._closing,
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                result = await work()
        self._database_problem = None
        return result

    def _note_retry(self, state: RetryCallState) -> None:
        if state.outcome and (error := state.outcome.exception()):
            self._note_problem(error)

    def _note_problem(self, error: BaseException) -> None:
        if self._database_problem is None:
            _log.warning("database is away or busy, trying again", error=f"{type(error).__name__}: {error}")
        self._database_problem = f"{type(error).__name__}: {error}"
        self._metrics.retries.inc()

    def _fail(self, error: Exception) -> None:
        if self._closing and is_transient(error):
            _log.warning("stopped while the database is away; the batch is read again after the start")
        self._error = self._error or error
        self._failed.set()

    def _consumer(self) -> AIOKafkaConsumer | None:
        return self._subscriber.consumer if self._subscriber else None

    async def check(self) -> str | None:
        """Health check: whether this replica consumes. Having no partition is fine for a spare replica."""
        consumer = self._consumer()
        if consumer is None:
            return "not yet joined to the consumer group"
        if self._stall.without_progress > self._stall_timeout * _UNHEALTHY:
            return f"no record done for {self._stall.without_progress:.0f} s although there are some"
        return self._database_problem

    async def watch(self, ping: Callable[[], Awaitable[bool]]) -> None:
        """Keep the lag metric true, for ever; raise ``StalledError`` when there is lag without progress."""
        while True:
            await asyncio.sleep(_WATCH_INTERVAL)
            await self._checkpoint_when_idle()
            lag = await self._measure_lag()
            seen = Observation(lag, self._done, self._database_problem is not None, lag is not None or await ping())
            stuck = self._stall.stalled_for(seen, time.monotonic())
            if stuck is not None:
                msg = f"no progress for {stuck:.0f} s with a lag of {lag} records"
                raise StalledError(msg)

    async def _measure_lag(self) -> int | None:
        consumer = self._consumer()
        if consumer is None:
            return 0
        assignment = list(consumer.assignment())
        looked = time.time()
        try:
            async with asyncio.timeout(_RPC_TIMEOUT):
                ends = await consumer.end_offsets(assignment) if assignment else {}
                read = {partition: await consumer.position(partition) for partition in ends}
        except (KafkaError, IllegalStateError, TimeoutError):
            return None
        lags: dict[TopicPartition, int] = {p: max(0, end - read[p]) + self._in_hand[p] for p, end in ends.items()}
        self._metrics.lag_records.clear()
        for partition, lag in lags.items():
            self._metrics.lag_records.labels(str(partition.partition)).set(lag)
        if self._look is not None and lags:
            await self._look(looked, {partition.partition: lag for partition, lag in lags.items()})
        return sum(lags.values())


def _is_joining(consumer: AIOKafkaConsumer) -> bool:
    """Whether this member waits for the group's partitions to be shared out.

    The broker looks at what it sends meanwhile when that is done, and refuses a commit as one of before. Upon that
    aiokafka joins as another member, and the partitions rest until the session of the one that it was is over.
    """
    coordinator: Any = consumer._coordinator  # noqa: SLF001 - there is no other way to know
    return bool(coordinator._performed_join_prepare)  # noqa: SLF001


def _generation(consumer: AIOKafkaConsumer) -> int:
    """How often the group's partitions had been shared out when this member got its own."""
    coordinator: Any = consumer._coordinator  # noqa: SLF001 - a listener would hear of it too late
    return int(coordinator.generation)


def _runs(records: Records) -> list[_Run]:
    runs: list[_Run] = []
    for (topic, partition), group in groupby(records, key=attrgetter("topic", "partition")):
        run = list(group)
        where = TopicPartition(topic, partition)
        runs.append(_Run(where, len(run), run[0].offset, run[-1].offset + 1, run[0].timestamp))
    return runs
