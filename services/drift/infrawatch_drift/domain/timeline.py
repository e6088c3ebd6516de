"""What a host was like and when: from sightings to runs, whatever the order in which they come.

Sightings of a host are ordered by time and id. A run is as many of them in a row as have the same content; it is what a
row of ``snapshots`` holds, so rows are a function of the set of sightings alone. One that comes late may extend a run,
begin it earlier, split it, or stand between two.

Sightings that lie within a run may be forgotten. Then the run's own beginning and end stand for them.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID, uuid5


class Sighting(NamedTuple):
    """A record that says what a host was like; ``id`` is the record's, ``digest`` that of the content."""

    timestamp: datetime
    id: UUID
    digest: bytes


class Run(NamedTuple):
    """Sightings of one content, from the first, whose id and time it has, to the last, at ``confirmed_at``."""

    timestamp: datetime
    id: UUID
    digest: bytes
    confirmed_at: datetime

    @property
    def begin(self) -> tuple[datetime, UUID]:
        """Its rank among the runs of its host."""
        return self.timestamp, self.id


class Place(NamedTuple):
    """A new sighting among what is known of its host.

    ``before`` is the last run that begins no later, ``after`` the next one, and ``beside`` the known sightings next to
    it between these two beginnings; each is left out where there is none.
    """

    sighting: Sighting
    before: Run | None
    after: Run | None
    beside: tuple[Sighting, ...] = ()


class Stretch(NamedTuple):
    """Successive runs of a host as they are known, known sightings in their time, and new ones.

    ``is_first`` is whether the host has no run before these; all that is new is later than the first of them otherwise.
    """

    is_first: bool
    runs: tuple[Run, ...]
    sightings: tuple[Sighting, ...]
    new: tuple[Sighting, ...]


class Step(NamedTuple):
    """A run whose changes are to be found, against the run before it, if there is one.

    ``is_new`` is whether it is yet to be stored, ``late`` whether what came later was known already, and ``replaced``
    the known run that it is from now on, since it begins earlier.
    """

    before: Run | None
    run: Run
    is_new: bool
    late: bool
    replaced: Run | None


class Rearrangement(NamedTuple):
    """What new sightings make of a stretch: ``steps`` by time, known runs that end elsewhere, and what is gone."""

    steps: tuple[Step, ...]
    confirmed: tuple[Run, ...]
    gone: tuple[Run, ...]


def runs_of(sightings: Iterable[Sighting]) -> list[Run]:
    """The runs of a host of which all these are known, in whatever order, each of them as often as it likes."""
    runs: list[Run] = []
    for timestamp, identifier, digest in sorted(set(sightings)):
        if runs and runs[-1].digest == digest:
            runs[-1] = runs[-1]._replace(confirmed_at=timestamp)
        else:
            runs.append(Run(timestamp, identifier, digest, timestamp))
    return runs


def stretches(places: Iterable[Place]) -> list[Stretch]:
    """What has to be looked at together: the new sightings of one host, with the runs around them."""
    found: list[Stretch] = []
    for place in sorted(places, key=lambda place: place.sighting):
        around = tuple(run for run in (place.before, place.after) if run is not None)
        added = Stretch(place.before is None, around, place.beside, (place.sighting,))
        if found and _touch(found[-1].runs, added.runs):
            found[-1] = _joined(found[-1], added)
        else:
            found.append(added)
    return found


def rearrange(stretch: Stretch) -> Rearrangement:
    """What becomes of the runs of a stretch with its new sightings."""
    wanted = runs_of((*_ends(stretch), *stretch.sightings, *stretch.new))
    known = {run.id: run for run in stretch.runs}
    kept = {run.id for run in wanted}
    return Rearrangement(
        tuple(_steps(stretch, wanted)),
        tuple(run for run in wanted if run.id in known and run != known[run.id]),
        tuple(run for run in stretch.runs if run.id not in kept),
    )


def _touch(runs: Sequence[Run], others: Sequence[Run]) -> bool:
    return not runs or bool({run.id for run in runs} & {run.id for run in others})


def _joined(stretch: Stretch, other: Stretch) -> Stretch:
    runs = {run.id: run for run in (*stretch.runs, *other.runs)}
    return Stretch(
        stretch.is_first,
        tuple(sorted(runs.values(), key=lambda run: run.begin)),
        stretch.sightings + other.sightings,
        stretch.new + other.new,
    )


def _ends(stretch: Stretch) -> Iterator[Sighting]:
    """The first and the last sighting of each run, whether they are still known or not."""
    for run, following in pairwise((*stretch.runs, None)):
        assert run is not None
        yield Sighting(run.timestamp, run.id, run.digest)
        if run.confirmed_at > run.timestamp and not _knows_end(stretch.sightings, run, following):
            yield Sighting(run.confirmed_at, _id_of_end(run, following), run.digest)


def _knows_end(sightings: Iterable[Sighting], run: Run, following: Run | None) -> bool:
    return any(
        sighting.timestamp == run.confirmed_at
        and sighting.digest == run.digest
        and (following is None or sighting[:2] < following.begin)
        for sighting in sightings
    )


def _id_of_end(run: Run, following: Run | None) -> UUID:
    made = uuid5(run.id, run.confirmed_at.isoformat())
    if following is not None and (run.confirmed_at, made) >= following.begin:
        return UUID(int=following.id.int - 1)
    return made


def _steps(stretch: Stretch, wanted: Sequence[Run]) -> Iterator[Step]:
    known = {run.id for run in stretch.runs}
    differed = {run.id: _compared(before) for before, run in pairwise((None, *stretch.runs)) if run is not None}
    gone = [run for run in stretch.runs if run.id not in {one.id for one in wanted}]
    for before, run, following in zip((None, *wanted), wanted, (*wanted[1:], None), strict=False):
        if before is None and not stretch.is_first:
            continue  # as it was, after what was there before it
        if run.id not in known:
            yield Step(before, run, True, _is_late(run, stretch.runs), _replaced(run, following, gone))
        elif differed[run.id] != _compared(before):
            yield Step(before, run, False, True, None)


def _compared(before: Run | None) -> tuple[bytes, datetime] | None:
    """What the changes of a run depend on, of the run before it."""
    return None if before is None else (before.digest, before.confirmed_at)


def _is_late(run: Run, known: Sequence[Run]) -> bool:
    return bool(known) and (run.begin <= known[-1].begin or run.timestamp < known[-1].confirmed_at)


def _replaced(new: Run, following: Run | None, gone: Iterable[Run]) -> Run | None:
    within = (run for run in gone if new.begin < run.begin and (following is None or run.begin < following.begin))
    return next(within, None)
