"""What a silence is said to have been."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_api.domain.diagnosis import DiagnosisKind, Silence, Traces, diagnose
from infrawatch_api.domain.host_status import Problem, ProblemKind, State, Status

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
SINCE = NOW - 10 * MINUTE
ENDED = Silence(SINCE, SINCE + MINUTE, SINCE + MINUTE + SECOND, late=False, resolved_at=NOW - MINUTE)
FIRING = replace(ENDED, resolved_at=None)
STATUS = Status(State.UP, None, "", (), 100, 0, 0.5, ())
NOTHING = Traces(0, None, None, {}, STATUS, None, None)
SAMPLES = replace(NOTHING, samples=50, first_at=SINCE + SECOND, last_at=NOW - 2 * MINUTE)


def with_problem(kind: ProblemKind, since: datetime | None = None) -> Traces:
    return replace(NOTHING, status=replace(STATUS, problems=(Problem(kind, "so it is", since),)))


CASES = {
    "nothing came ever": (ENDED, NOTHING, DiagnosisKind.SILENT, "was down"),
    "nothing has come yet": (FIRING, NOTHING, DiagnosisKind.SILENT, "nothing has come"),
    "refused for their signature": (
        ENDED,
        replace(NOTHING, refused={"unknown_key": 7}),
        DiagnosisKind.SILENT,
        "7 records came and were refused (unknown_key)",
    ),
    "what it kept came later": (ENDED, SAMPLES, DiagnosisKind.UNREACHABLE, "50 of its samples"),
    "what it kept came later, and was found late": (
        replace(ENDED, found_at=NOW, late=True),
        SAMPLES,
        DiagnosisKind.UNREACHABLE,
        "it was alive",
    ),
    "stored and not judged": (FIRING, SAMPLES, DiagnosisKind.OUR_LAG, "not judged yet"),
    "over when it was found": (
        replace(ENDED, found_at=NOW, late=True),
        NOTHING,
        DiagnosisKind.OUR_LAG,
        "9 minutes after it fired",
    ),
    "found late and on": (replace(FIRING, found_at=NOW, late=True), NOTHING, DiagnosisKind.SILENT, "nothing has come"),
    "refused for their time": (
        ENDED,
        replace(SAMPLES, refused={"in_future": 3, "too_old": 1, "unsigned": 2}),
        DiagnosisKind.CLOCK_SKEW,
        "4 of them",
    ),
    "stamped before it was silent": (
        FIRING,
        replace(NOTHING, heard_at=NOW, stamped_at=SINCE - MINUTE),
        DiagnosisKind.CLOCK_SKEW,
        "set back",
    ),
    "the last record before it was silent": (
        FIRING,
        replace(NOTHING, heard_at=SINCE + SECOND, stamped_at=SINCE),
        DiagnosisKind.SILENT,
        "nothing has come",
    ),
    "clock ahead": (FIRING, with_problem(ProblemKind.CLOCK_AHEAD), DiagnosisKind.CLOCK_SKEW, "so it is"),
    "clock ahead now, long after": (ENDED, with_problem(ProblemKind.CLOCK_AHEAD), DiagnosisKind.SILENT, "was down"),
    "cloned": (ENDED, with_problem(ProblemKind.CLONE, SINCE - MINUTE), DiagnosisKind.CLONED, "so it is"),
    "cloned and on": (FIRING, with_problem(ProblemKind.CLONE, SINCE), DiagnosisKind.CLONED, "so it is"),
    "cloned later": (ENDED, with_problem(ProblemKind.CLONE, NOW), DiagnosisKind.SILENT, "was down"),
    "another problem": (ENDED, with_problem(ProblemKind.RECORDS_MISSING), DiagnosisKind.SILENT, "was down"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_silence_has_its_cause_and_a_sentence(case: str) -> None:
    silence, traces, kind, words = CASES[case]
    found = diagnose(silence, traces)
    assert (found.kind, words in found.because) == (kind, True), found.because


def test_every_kind_is_shown_here() -> None:
    assert {kind for _, _, kind, _ in CASES.values()} == set(DiagnosisKind)


def test_what_was_seen_is_told() -> None:
    seen = diagnose(replace(ENDED, found_at=ENDED.fired_at + 90 * SECOND), replace(SAMPLES, refused={"empty": 1})).seen
    assert (seen.back_filled, seen.first_at, seen.last_at) == (50, SAMPLES.first_at, SAMPLES.last_at)
    assert (seen.refused, seen.found_after, seen.clock_skew) == ({"empty": 1}, 90, 0.5)


@given(
    st.sampled_from([ENDED, FIRING]),
    st.integers(0, 3),
    st.dictionaries(st.sampled_from(["in_future", "unsigned"]), st.integers(1, 9)),
    st.sampled_from([None, *ProblemKind]),
    st.booleans(),
)
def test_there_is_always_one_sentence(
    silence: Silence, samples: int, refused: dict[str, int], problem: ProblemKind | None, late: bool
) -> None:
    traces = NOTHING if problem is None else with_problem(problem, SINCE)
    found = diagnose(replace(silence, late=late), replace(traces, samples=samples, refused=refused))
    assert found.because
    assert "\n" not in found.because
