"""How a host is: its state with the reason, and what is wrong with what it reports."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

# A delay that stays the same is a clock; one that changes by more than this part of the time is a backlog.
_STEADY = 0.2
_SHORTEST_COMPARISON = timedelta(minutes=1)


class State(StrEnum):
    """Whether a host reports."""

    NEW = "new"  # it has never reported
    UP = "up"
    SILENT = "silent"
    UNKNOWN = "unknown"  # nothing of any host arrives, so that silence says nothing about this one
    RETIRED = "retired"


class ProblemKind(StrEnum):
    """What can be wrong with what a host reports."""

    CLONE = "clone"
    CLOCK_AHEAD = "clock_ahead"
    CLOCK_BEHIND = "clock_behind"
    LATE = "late"
    RECORDS_MISSING = "records_missing"
    RECORDS_REFUSED = "records_refused"


class GapKind(StrEnum):
    """What became of a gap."""

    BACK_FILLED = "back_filled"
    WAITING = "waiting"  # the records may still come
    LOST = "lost"
    AGENT_NOT_RUNNING = "agent_not_running"


@dataclass(frozen=True, slots=True)
class NumberGap:
    """Numbers that did not come in order, both ends included; ``missing`` of them have not come since either."""

    first: int
    last: int
    after: datetime
    before: datetime
    missing: int


@dataclass(frozen=True, slots=True)
class Stream:
    """One run of an agent. ``…_at`` is by its clock, ``…appended_at`` by the broker's."""

    instance: UUID
    received: int
    missing: int
    first_at: datetime
    last_at: datetime
    newest_at: datetime
    newest_appended_at: datetime
    earlier_at: datetime
    earlier_appended_at: datetime
    last_appended_at: datetime
    gaps: Sequence[NumberGap] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """Records of the last day that became dead letters for one reason."""

    reason: str
    count: int
    latest: datetime


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a host. ``pipeline`` is when the broker got the newest record that is stored, of any host."""

    last_seen: datetime | None
    retired: datetime | None
    streams: Sequence[Stream]
    refused: Sequence[Refused]
    pipeline: datetime | None


@dataclass(frozen=True, slots=True)
class Rules:
    """What is tolerated."""

    silent_after: timedelta
    clock_tolerance: timedelta
    gap_settles_after: timedelta


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong, in words."""

    kind: ProblemKind
    detail: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch from the last record before it to the first after it; ``missing`` is None where nothing was to come."""

    start: datetime
    end: datetime
    kind: GapKind
    missing: int | None
    instance: UUID | None


@dataclass(frozen=True, slots=True)
class Status:
    """How a host is. ``clock_skew`` in seconds, positive when its clock is ahead; None when that is not known."""

    state: State
    since: datetime | None
    reason: str
    problems: Sequence[Problem]
    received: int
    missing: int
    clock_skew: float | None
    gaps: Sequence[Gap]


def assess(facts: Facts, rules: Rules, now: datetime) -> Status:
    """The status of a host; gaps come latest first."""
    state, since, reason = _state(facts, rules, now)
    streams = sorted(facts.streams, key=lambda stream: stream.first_at)
    gaps = [*_number_gaps(streams, rules, now), *_pauses(streams, rules)]
    return Status(
        state=state,
        since=since,
        reason=reason,
        problems=[*_clones(streams, rules), *_clock(streams, rules), *_missing(streams), *_refused(facts.refused)],
        received=sum(stream.received for stream in streams),
        missing=sum(stream.missing for stream in streams),
        clock_skew=_skew(streams, rules),
        gaps=sorted(gaps, key=lambda gap: gap.start, reverse=True),
    )


def _state(facts: Facts, rules: Rules, now: datetime) -> tuple[State, datetime | None, str]:
    if facts.retired is not None:
        return State.RETIRED, facts.retired, "it was retired"
    heard = max((stream.last_appended_at for stream in facts.streams), default=facts.last_seen)
    if heard is None:
        return State.NEW, None, "it has not reported yet"
    if now - heard <= rules.silent_after:
        return State.UP, None, f"it reported within the last {_words(rules.silent_after)}"
    pipeline = facts.pipeline or heard
    if now - pipeline > rules.silent_after:
        reason = (
            f"nothing that any host sent in the last {_words(now - pipeline)} is stored yet:"
            " the broker or ingest may be down or behind"
        )
        return State.UNKNOWN, pipeline, reason
    return State.SILENT, heard, f"it has not reported for {_words(now - heard)}, while others have"


def _clones(streams: Sequence[Stream], rules: Rules) -> Iterator[Problem]:
    """Runs whose times overlap: an agent that is started anew begins after the one before it has ended."""
    latest: Stream | None = None
    for stream in streams:
        if latest is not None and min(latest.last_at, stream.last_at) - stream.first_at > rules.clock_tolerance:
            yield Problem(
                ProblemKind.CLONE,
                f"two agents report as this host at the same time ({latest.instance} and {stream.instance}):"
                " it was cloned, or its clock was set back",
                stream.first_at,
            )
        if latest is None or stream.last_at > latest.last_at:
            latest = stream


def _clock(streams: Sequence[Stream], rules: Rules) -> Iterator[Problem]:
    stream = _current(streams)
    if stream is None:
        return
    delay = stream.newest_appended_at - stream.newest_at
    if delay < -rules.clock_tolerance:
        yield Problem(ProblemKind.CLOCK_AHEAD, f"its clock is {_words(-delay)} ahead of the broker's")
    elif delay > rules.clock_tolerance and _is_steady(stream):
        yield Problem(ProblemKind.CLOCK_BEHIND, f"its clock is {_words(delay)} behind the broker's")
    elif delay > rules.clock_tolerance:
        detail = f"its newest record came {_words(delay)} late: it sends a backlog, or its clock is behind"
        yield Problem(ProblemKind.LATE, detail)


def _skew(streams: Sequence[Stream], rules: Rules) -> float | None:
    stream = _current(streams)
    if stream is None:
        return None
    ahead = stream.newest_at - stream.newest_appended_at
    return ahead.total_seconds() if ahead >= -rules.clock_tolerance or _is_steady(stream) else None


def _is_steady(stream: Stream) -> bool:
    """Whether the delay is the same as a while before."""
    by_broker = stream.newest_appended_at - stream.earlier_appended_at
    by_agent = stream.newest_at - stream.earlier_at
    return by_broker >= _SHORTEST_COMPARISON and abs(by_agent - by_broker) <= _STEADY * by_broker


def _current(streams: Sequence[Stream]) -> Stream | None:
    return max(streams, key=lambda stream: stream.last_appended_at, default=None)


def _missing(streams: Sequence[Stream]) -> Iterator[Problem]:
    missing = sum(stream.missing for stream in streams)
    if missing:
        yield Problem(ProblemKind.RECORDS_MISSING, f"{missing} of its records have not come; see the gaps")


def _refused(refused: Sequence[Refused]) -> Iterator[Problem]:
    for one in refused:
        detail = f"{one.count} records were refused in the last day: {one.reason}"
        yield Problem(ProblemKind.RECORDS_REFUSED, detail, one.latest)


def _number_gaps(streams: Sequence[Stream], rules: Rules, now: datetime) -> Iterator[Gap]:
    for stream in streams:
        for gap in stream.gaps:
            yield Gap(gap.after, gap.before, _kind(gap, rules, now), gap.missing, stream.instance)


def _pauses(streams: Sequence[Stream], rules: Rules) -> Iterator[Gap]:
    """Stretches between runs, in which no agent ran."""
    ended: datetime | None = None
    for stream in streams:
        if ended is not None and stream.first_at - ended > rules.silent_after:
            yield Gap(ended, stream.first_at, GapKind.AGENT_NOT_RUNNING, None, None)
        ended = stream.last_at if ended is None else max(ended, stream.last_at)


def _kind(gap: NumberGap, rules: Rules, now: datetime) -> GapKind:
    if gap.missing == 0:
        return GapKind.BACK_FILLED
    return GapKind.WAITING if now - gap.before < rules.gap_settles_after else GapKind.LOST


def _words(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    for unit, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} seconds"
