"""What becomes of changes that are found anew, and what is told of them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from infrawatch_common.drift.changes import Key
from infrawatch_common.drift.content import Content
from infrawatch_common.drift.default_rules import DEFAULT
from infrawatch_common.drift.severity import Outcome
from infrawatch_drift.domain.findings import Found, Kind, Policy, Revision, Stored, Told, Verdict, find, revise
from infrawatch_drift.domain.notice import notice
from infrawatch_drift.domain.timeline import Run, Step

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
POLICY = Policy(DEFAULT, timedelta(seconds=60), Outcome.WARNING)
A = Content("Debian 12", "6.1", {"dpkg": {"openssl": "3.0.15-1", "curl": "8.1"}}, {"LANG": "C"})
B = replace(A, packages={"dpkg": {"openssl": "3.0.16-1", "curl": "8.0"}})
ACCEPTED = Verdict("accepted", "planned", NOW, None, None)
RULE = UUID(int=99)


def run(minute: int, number: int) -> Run:
    at = NOW + timedelta(minutes=minute)
    return Run(at, UUID(int=number), bytes([number]), at)


def found(
    minute: int = 5,
    number: int = 2,
    before: Content = A,
    covering: Callable[[Key], UUID | None] = lambda _key: None,
    after_seconds: float = 1,
) -> list[Found]:
    this = run(minute, number)
    step = Step(run(0, 1), this, True, False, None)
    return find("host-a", step, (before, B), POLICY, covering, this.timestamp + timedelta(seconds=after_seconds))


def test_a_change_is_known_by_its_snapshot_and_what_it_is_about() -> None:
    ids = [row.id for row in found()]
    assert ids == [row.id for row in found(covering=lambda _key: RULE, after_seconds=1000)]
    assert not set(ids) & {row.id for row in found(number=3)}


def test_what_is_found_long_after_it_happened_is_late() -> None:
    assert [row.late for row in found(after_seconds=60)] == [False, False]
    assert [row.late for row in found(after_seconds=61)] == [True, True]


def test_what_is_found_again_as_it_was_changes_nothing() -> None:
    rows = [Stored(row, ACCEPTED) for row in found()]
    revision = revise(rows, found(after_seconds=1000))
    assert revision == ((), (), (), (), ())


def test_what_differs_from_something_else_now_keeps_its_verdict_and_is_told_as_revised() -> None:
    older = replace(A, packages={"dpkg": {"openssl": "3.0.15-1", "curl": "7.0"}})
    rows = [Stored(row, ACCEPTED) for row in found()]
    revision = revise(rows, found(before=older, after_seconds=1000))
    [again] = revision.judged
    assert (again.verdict, again.found.found_at, again.found.change.before) == (ACCEPTED, rows[0].found.found_at, "7.0")
    assert (revision.added, revision.removed) == ((), (again.found.id,))
    assert revision.told == (Told(Kind.REVISED, again.found),)


def test_a_snapshot_that_begins_earlier_keeps_its_verdicts_under_new_ids() -> None:
    old, new = found(), found(minute=3, number=3)
    revision = revise([Stored(row, ACCEPTED) for row in old], new)
    assert [(row.found, row.verdict) for row in revision.judged] == [(row, ACCEPTED) for row in new]
    assert (revision.added, set(revision.removed)) == ((), {row.id for row in old})
    assert set(revision.renamed) == {(row.id, again.id) for row, again in zip(old, new, strict=True)}
    assert [told.kind for told in revision.told] == [Kind.CHANGED, Kind.CHANGED, Kind.WITHDRAWN, Kind.WITHDRAWN]


def test_what_is_no_change_any_more_is_withdrawn() -> None:
    rows = found()
    revision = revise([Stored(row, ACCEPTED) for row in rows], rows[:1])
    assert (revision.removed, revision.told) == ((rows[1].id,), (Told(Kind.WITHDRAWN, rows[1]),))


def test_what_is_ignored_is_kept_and_not_told() -> None:
    hidden, seen = found(covering=lambda _key: RULE), found()
    assert all(row.hidden for row in hidden)
    assert revise([], hidden) == Revision(tuple(hidden), (), (), ())
    assert [told.kind for told in revise([Stored(row, ACCEPTED) for row in seen], hidden).told] == [Kind.WITHDRAWN] * 2
    assert [told.kind for told in revise([Stored(row, ACCEPTED) for row in hidden], seen).told] == [Kind.CHANGED] * 2
    assert revise([Stored(row, ACCEPTED) for row in hidden], hidden[:1]).told == ()
    assert notice(hidden, POLICY) is None


def test_people_are_told_from_the_severity_that_they_want_to_know() -> None:
    rows = [row._replace(severity=Outcome.INFO) for row in found()]
    assert notice(rows, POLICY) is None
    assert notice([], POLICY) is None
    told = notice([rows[0], rows[1]._replace(severity=Outcome.WARNING)], POLICY)
    assert told is not None
    assert told.event["counts"] == {"critical": 0, "warning": 1, "info": 1}
    assert [change["severity"] for change in told.event["changes"]] == ["warning", "info"]
