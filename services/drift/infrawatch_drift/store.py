"""Where snapshots are written: one transaction a batch, safe to repeat, in whatever order they come."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from asyncpg import exceptions as pg

from infrawatch_common.database import Connection, Pool
from infrawatch_common.dead_letters import letter_of, store_dead_letters
from infrawatch_common.drift.reading import Snapshot
from infrawatch_common.events import Reason, Rejection
from infrawatch_common.events.batch import Batch
from infrawatch_common.kafka import Record
from infrawatch_drift import store_notices, store_sightings, store_snapshots
from infrawatch_drift.domain.findings import Policy
from infrawatch_drift.domain.timeline import Place, Rearrangement, Stretch, rearrange, stretches
from infrawatch_drift.metrics import CONFIRMED, DUPLICATE, PLACED, STORED, DriftMetrics
from infrawatch_drift.store_changes import SERVICE
from infrawatch_drift.store_facts import FactIds
from infrawatch_drift.store_hosts import HostsGoneError, KnownHosts
from infrawatch_drift.store_ignores import read_covering
from infrawatch_drift.store_runs import RunWriter, Tally
from infrawatch_drift.store_sightings import Judged
from infrawatch_drift.tasks import Task

# The database's word against one record, whatever the others are.
_RECORD_REFUSED = (pg.DataError, pg.IntegrityConstraintViolationError)


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch: records by outcome, and what is a dead letter now."""

    outcomes: Mapping[str, int] = field(default_factory=Counter)
    refused: tuple[Rejection, ...] = ()

    def __add__(self, other: "Written") -> "Written":
        return Written(Counter(self.outcomes) + Counter(other.outcomes), self.refused + other.refused)


class Store:
    """Writes batches as role ``infrawatch_drift``. Errors of the moment are the caller's to repeat.

    It takes two more connections of the pool at times, while the transaction of a batch has one.
    """

    def __init__(
        self,
        pool: Pool,
        metrics: DriftMetrics,
        policy: Policy,
        events_topic: str,
        facts_cached: int = 100_000,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._pool = pool
        self._metrics = metrics
        self._policy = policy
        self._events_topic = events_topic
        self._clock = clock
        self._hosts = KnownHosts()
        self._facts = FactIds(pool, metrics, facts_cached)

    async def write(self, batch: Batch[Snapshot, Record]) -> Written:
        """Store every snapshot and keep every dead letter; a record that the database refuses becomes one too."""
        try:
            async with self._pool.acquire() as connection:
                await _bury(connection, batch.refused)
                written = await self._write(connection, batch.accepted) if batch.accepted else Written()
        except BaseException:
            # The database may be another one when it answers again, such as one from a backup.
            self._hosts.forget()
            self._facts.forget()
            raise
        return written + Written(refused=tuple(rejection for rejection, _ in batch.refused))

    async def _write(self, connection: Connection, judged: Sequence[Judged]) -> Written:
        while True:
            try:
                await self._hosts.register(connection, [snapshot for snapshot, _ in judged])
                return await self._write_registered(connection, judged)
            except HostsGoneError:
                continue  # as often as hosts are deleted between their registration and the transaction
            except _RECORD_REFUSED as error:
                return await self._split(connection, judged, error)

    async def _write_registered(self, connection: Connection, judged: Sequence[Judged]) -> Written:
        async with connection.transaction():
            await self._hosts.hold(connection, sorted({snapshot.host_id for snapshot, _ in judged}))
            added = await store_sightings.add(connection, judged)
            await _bury(connection, added.refused)
            outcomes, tally = Counter({DUPLICATE: added.duplicates}), Tally()
            if added.fresh:
                places = await store_sightings.places(connection, added.fresh)
                made = [(host, part, rearrange(part)) for host in sorted(places) for part in stretches(places[host])]
                tally = await self._keep(connection, made, added.fresh)
                outcomes.update(_outcomes(places, made))
        self._count(tally)
        return Written(outcomes, tuple(rejection for rejection, _ in added.refused))

    async def _keep(
        self, connection: Connection, made: Sequence[tuple[str, Stretch, Rearrangement]], fresh: Sequence[Judged]
    ) -> Tally:
        tally = Tally()
        tasks = list(_tasks(made, fresh))
        if tasks:
            covering = await read_covering(connection, sorted({task.host_id for task in tasks}))
            topic, now = self._events_topic, self._clock()
            writer = RunWriter(connection, self._pool, self._facts, self._policy, topic, covering, now)
            tally = await writer.write(tasks)
        confirmed = [run for _, _, rearranged in made for run in rearranged.confirmed]
        if confirmed:
            await store_snapshots.confirm(connection, confirmed)
        gone = [run for _, _, rearranged in made for run in rearranged.gone]
        if gone:
            await store_snapshots.delete(connection, gone)
        tally.notices = await store_notices.tell(connection, tally.notices)
        return tally

    async def _split(self, connection: Connection, judged: Sequence[Judged], error: Exception) -> Written:
        """Halve until the refused record is alone; the others are stored."""
        if len(judged) > 1:
            self._metrics.split_batches.inc()
            middle = len(judged) // 2
            return await self._write(connection, judged[:middle]) + await self._write(connection, judged[middle:])
        snapshot, record = judged[0]
        detail = f"{type(error).__name__} ({getattr(error, 'sqlstate', 'not sent')})"
        rejection = Rejection(Reason.REFUSED_BY_DATABASE, detail, snapshot.host_id)
        await _bury(connection, [(rejection, record)])
        return Written(refused=(rejection,))

    def _count(self, tally: Tally) -> None:
        for (severity, category, hidden), count in Counter(tally.found).items():
            self._metrics.changes.labels(severity, category).inc(count)
            self._metrics.hidden.inc(count if hidden else 0)
        for kind, count in Counter(tally.told).items():
            self._metrics.events.labels(kind).inc(count)
        for one in tally.notices:
            self._metrics.notices.labels(one.found.severity.value).inc()


def _tasks(made: Sequence[tuple[str, Stretch, Rearrangement]], fresh: Sequence[Judged]) -> Iterator[Task]:
    said = {(snapshot.host_id, snapshot.digest): (snapshot, record) for snapshot, record in fresh}
    for host_id, stretch, rearranged in made:
        stored = {run.digest: run.id for run in stretch.runs}
        for step in rearranged.steps:
            source = stored.get(step.run.digest)
            yield Task(host_id, step, source, None if source else said.get((host_id, step.run.digest)))


def _outcomes(
    places: Mapping[str, Sequence[Place]], made: Sequence[tuple[str, Stretch, Rearrangement]]
) -> Iterator[str]:
    begun = {step.run.id for _, _, rearranged in made for step in rearranged.steps if step.is_new}
    for of_host in places.values():
        for place in of_host:
            before = place.before
            if place.after is not None or (before is not None and place.sighting.timestamp <= before.confirmed_at):
                yield PLACED
            else:
                yield STORED if place.sighting.id in begun else CONFIRMED


async def _bury(connection: Connection, refused: Sequence[tuple[Rejection, Record]]) -> None:
    if refused:
        letters = [letter_of(rejection, record) for rejection, record in refused]
        await store_dead_letters(connection, SERVICE, letters)
