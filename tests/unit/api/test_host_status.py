"""How a host is said to be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_api.domain.host_status import (
    Facts,
    GapKind,
    NumberGap,
    ProblemKind,
    Refused,
    Rules,
    State,
    Stream,
    assess,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
RULES = Rules(silent_after=2 * MINUTE, clock_tolerance=30 * SECOND, gap_settles_after=HOUR)


def stream(
    number: int = 1,
    *,
    begin: datetime = NOW - HOUR,
    end: datetime = NOW - 5 * SECOND,
    delay: timedelta = SECOND,
    earlier_delay: timedelta | None = None,
    missing: int = 0,
    gaps: tuple[NumberGap, ...] = (),
) -> Stream:
    """A run that reported from ``begin`` to ``end`` by the broker's clock, ``delay`` after its own."""
    earlier = max(begin, end - 5 * MINUTE)
    return Stream(
        instance=UUID(int=number),
        received=100,
        missing=missing,
        first_at=begin - delay,
        last_at=end - delay,
        newest_at=end - delay,
        newest_appended_at=end,
        earlier_at=earlier - (delay if earlier_delay is None else earlier_delay),
        earlier_appended_at=earlier,
        last_appended_at=end,
        gaps=gaps,
    )


def facts(*streams: Stream, **changes: object) -> Facts:
    known = Facts(last_seen=None, retired=None, streams=streams, refused=(), pipeline=NOW)
    return replace(known, **changes)  # type: ignore[arg-type]


def kinds(*streams: Stream, **changes: object) -> list[ProblemKind]:
    return [problem.kind for problem in assess(facts(*streams, **changes), RULES, NOW).problems]


@pytest.mark.parametrize(
    ("known", "state", "since"),
    [
        (facts(), State.NEW, None),
        (facts(stream()), State.UP, None),
        (facts(stream(end=NOW - 2 * MINUTE)), State.UP, None),
        (facts(stream(end=NOW - 121 * SECOND)), State.SILENT, NOW - 121 * SECOND),
        (facts(last_seen=NOW - HOUR), State.SILENT, NOW - HOUR),
        (facts(stream(end=NOW - HOUR), pipeline=NOW - HOUR), State.UNKNOWN, NOW - HOUR),
        (facts(stream(end=NOW - HOUR, begin=NOW - 2 * HOUR), pipeline=None), State.UNKNOWN, NOW - HOUR),
        (facts(stream(), retired=NOW - MINUTE), State.RETIRED, NOW - MINUTE),
    ],
)
def test_the_state_of_a_host(known: Facts, state: State, since: datetime | None) -> None:
    status = assess(known, RULES, NOW)
    assert (status.state, status.since) == (state, since)
    assert status.reason


def test_a_late_clock_does_not_make_a_host_silent() -> None:
    assert assess(facts(stream(delay=HOUR)), RULES, NOW).state is State.UP


def test_a_host_without_anything_wrong_has_no_problems() -> None:
    assert kinds(stream()) == []


def test_an_agent_that_is_started_anew_is_no_clone() -> None:
    restarts = [stream(n, begin=NOW - HOUR + n * MINUTE, end=NOW - HOUR + (n + 1) * MINUTE) for n in range(59)]
    assert kinds(*restarts) == []


def test_two_agents_that_report_at_the_same_time_are_a_clone() -> None:
    assert kinds(stream(1), stream(2, begin=NOW - 30 * MINUTE)) == [ProblemKind.CLONE]


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 1000)), min_size=2, max_size=6),
    st.permutations(range(6)),
)
def test_clones_are_found_exactly_when_times_overlap_in_any_order(
    spans: list[tuple[int, int]], order: list[int]
) -> None:
    runs = [
        stream(number, begin=NOW - HOUR + at * SECOND, end=NOW - HOUR + (at + length) * SECOND)
        for number, (at, length) in enumerate(spans)
    ]
    shuffled = [runs[index] for index in order if index < len(runs)]
    overlaps = any(
        min(a.last_at, b.last_at) - max(a.first_at, b.first_at) > RULES.clock_tolerance
        for n, a in enumerate(runs)
        for b in runs[:n]
    )
    assert (ProblemKind.CLONE in kinds(*shuffled)) == overlaps


@pytest.mark.parametrize(
    ("delay", "earlier", "problem", "skew"),
    [
        (SECOND, None, None, -1.0),
        (-31 * SECOND, None, ProblemKind.CLOCK_AHEAD, 31.0),
        (10 * MINUTE, 10 * MINUTE, ProblemKind.CLOCK_BEHIND, -600.0),
        (10 * MINUTE, HOUR, ProblemKind.LATE, None),
    ],
)
def test_a_wrong_clock_is_told_from_a_backlog(
    delay: timedelta, earlier: timedelta | None, problem: ProblemKind | None, skew: float | None
) -> None:
    run = stream(delay=delay, earlier_delay=earlier)
    status = assess(facts(run), RULES, NOW)
    assert [found.kind for found in status.problems] == ([problem] if problem else [])
    assert status.clock_skew == skew


@pytest.mark.parametrize(
    ("missing", "ago", "kind"),
    [(0, 2 * HOUR, GapKind.BACK_FILLED), (3, 2 * HOUR, GapKind.LOST), (3, MINUTE, GapKind.WAITING)],
)
def test_a_gap_is_back_filled_lost_or_may_still_be_filled(missing: int, ago: timedelta, kind: GapKind) -> None:
    gap = NumberGap(10, 14, NOW - ago - MINUTE, NOW - ago, missing)
    status = assess(facts(stream(missing=missing, gaps=(gap,))), RULES, NOW)
    assert [(found.kind, found.start, found.missing) for found in status.gaps] == [(kind, gap.after, missing)]
    assert status.missing == missing


def test_the_time_between_two_runs_is_a_gap_in_which_no_agent_ran() -> None:
    status = assess(facts(stream(1, end=NOW - 30 * MINUTE), stream(2, begin=NOW - 10 * MINUTE)), RULES, NOW)
    [gap] = status.gaps
    assert (gap.kind, gap.end - gap.start, gap.missing) == (GapKind.AGENT_NOT_RUNNING, 20 * MINUTE, None)


def test_what_was_refused_lately_is_said_by_reason() -> None:
    refused = [Refused("in_future", 7, NOW)]
    [problem] = assess(facts(stream(), refused=refused), RULES, NOW).problems
    assert (problem.kind, problem.since) == (ProblemKind.RECORDS_REFUSED, NOW)
    assert "in_future" in problem.detail
