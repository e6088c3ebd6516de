"""Why a heartbeat alert fired: what is stored about the host and the time of its silence, and what that means."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from infrawatch_api.domain.host_status import Problem, ProblemKind, Status

# Reasons of dead letters that tell of a clock.
_WRONG_TIME = ("in_future", "too_old")


class DiagnosisKind(StrEnum):
    """What the silence of a host was."""

    SILENT = "silent"  # the host or its agent: nothing was collected
    UNREACHABLE = "unreachable"  # it was alive, and could not reach the broker
    OUR_LAG = "our_lag"  # alerting was down or behind, and told it long after
    CLOCK_SKEW = "clock_skew"
    CLONED = "cloned"


@dataclass(frozen=True, slots=True)
class Silence:
    """A heartbeat event, by the host's clock; ``found_at`` is by ours. ``resolved_at`` is None while it fires."""

    since: datetime
    fired_at: datetime
    found_at: datetime
    late: bool
    resolved_at: datetime | None


@dataclass(frozen=True, slots=True)
class Traces:
    """What is stored of the host: samples stamped inside the silence, records refused meanwhile, by reason, and how
    the host is (``assess``). ``heard_at`` is when the broker got its newest record, ``stamped_at`` that one's time.
    """

    samples: int
    first_at: datetime | None
    last_at: datetime | None
    refused: Mapping[str, int]
    status: Status
    heard_at: datetime | None
    stamped_at: datetime | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What it was concluded from. ``found_after`` and ``clock_skew`` are in seconds."""

    back_filled: int
    first_at: datetime | None
    last_at: datetime | None
    refused: Mapping[str, int]
    found_after: float
    clock_skew: float | None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What it was, a sentence that says why, and what was seen."""

    kind: DiagnosisKind
    because: str
    seen: Seen


def diagnose(silence: Silence, traces: Traces) -> Diagnosis:
    """The likeliest cause: of what is seen, first what explains the silence by itself."""
    kind, because = (
        _wrong_clock(silence, traces)
        or _clone(silence, traces)
        or _samples(silence, traces)
        or _lag(silence)
        or (DiagnosisKind.SILENT, _silent(silence, traces))
    )
    seen = Seen(
        back_filled=traces.samples,
        first_at=traces.first_at,
        last_at=traces.last_at,
        refused=traces.refused,
        found_after=max(0.0, (silence.found_at - silence.fired_at).total_seconds()),
        clock_skew=traces.status.clock_skew,
    )
    return Diagnosis(kind, because, seen)


def _wrong_clock(silence: Silence, traces: Traces) -> tuple[DiagnosisKind, str] | None:
    refused = sum(count for reason, count in traces.refused.items() if reason in _WRONG_TIME)
    if refused:
        because = f"its records came, but {refused} of them were refused for their time: its clock is wrong"
    elif _came_with_old_times(silence, traces):
        because = "records of it came meanwhile, stamped before the silence began: its clock was set back"
    elif silence.resolved_at is None and (problem := _problem(traces, ProblemKind.CLOCK_AHEAD)):
        because = f"{problem.detail}: what it sends may be taken for older than what it sent"
    else:
        return None
    return DiagnosisKind.CLOCK_SKEW, because


def _came_with_old_times(silence: Silence, traces: Traces) -> bool:
    if silence.resolved_at is not None or traces.heard_at is None or traces.stamped_at is None:
        return False
    return traces.heard_at > silence.found_at and traces.stamped_at <= silence.since


def _clone(silence: Silence, traces: Traces) -> tuple[DiagnosisKind, str] | None:
    problem = _problem(traces, ProblemKind.CLONE)
    if problem is None or problem.since is None:
        return None
    if silence.resolved_at is not None and problem.since >= silence.resolved_at:
        return None
    return DiagnosisKind.CLONED, problem.detail


def _samples(silence: Silence, traces: Traces) -> tuple[DiagnosisKind, str] | None:
    if not traces.samples:
        return None
    if silence.resolved_at is None:
        because = (
            f"{traces.samples} of its samples since then are stored, which alerting has not judged yet: it is behind"
        )
        return DiagnosisKind.OUR_LAG, because
    because = (
        f"{traces.samples} of its samples from that time came later:"
        " it was alive, and could not reach the broker or the broker was down"
    )
    return DiagnosisKind.UNREACHABLE, because


def _lag(silence: Silence) -> tuple[DiagnosisKind, str] | None:
    if not silence.late or silence.resolved_at is None or silence.resolved_at > silence.found_at:
        return None
    because = (
        f"nothing came of it for {_words(silence.resolved_at - silence.since)}, which was over when it was found,"
        f" {_words(silence.found_at - silence.fired_at)} after it fired: alerting was down or behind"
    )
    return DiagnosisKind.OUR_LAG, because


def _silent(silence: Silence, traces: Traces) -> str:
    others = sum(traces.refused.values())
    if others:
        reasons = ", ".join(sorted(traces.refused))
        return f"no sample of it was taken: {others} records came and were refused ({reasons})"
    if silence.resolved_at is None:
        return "nothing has come of it since then: the host or its agent is down, or it cannot reach the broker"
    return "no sample of that time ever came: the host or its agent was down"


def _problem(traces: Traces, kind: ProblemKind) -> Problem | None:
    return next((problem for problem in traces.status.problems if problem.kind is kind), None)


def _words(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    return f"{seconds} seconds" if seconds < 120 else f"{seconds // 60} minutes"
