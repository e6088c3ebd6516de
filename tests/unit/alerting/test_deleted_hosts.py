from datetime import timedelta
from typing import Any
from uuid import UUID

from infrawatch_alerting.domain.fleet import Facts, Fleet, Rulebook, StoredHost, StoredState
from infrawatch_common.alerts.engine import Ended, Fired, Resolved
from infrawatch_common.alerts.rules import Metric, Rule
from infrawatch_common.events import Sample, Stamp
from records import NOW

SECOND = timedelta(seconds=1)
BUSY = Rule(UUID(int=1), 1, "busy", Metric.CPU, timedelta(0), threshold=90.0)
SILENT = Rule(UUID(int=2), 1, "silent", Metric.HEARTBEAT, 60 * SECOND)
THERE = Rulebook((BUSY, SILENT), frozenset(), {"a": Facts({}, retired=False)})
UNKNOWN = THERE._replace(hosts={})
DELETED = UNKNOWN._replace(deleted=frozenset({"a"}))


def sample(second: int) -> Sample:
    return Sample(UUID(int=7), "a", NOW + second * SECOND, 95.0, 1.0, 1.0, 1, Stamp(UUID(int=1), second))


def fleet(book: Rulebook, *, heard: bool = True) -> Fleet:
    made = Fleet(10 * SECOND)
    made.follow(book, NOW)
    if heard:
        made.sample(sample(0), NOW.timestamp() * 1000)
    return made


def transitions(changes: Any) -> list[tuple[UUID, type, Any]]:
    return [
        (change.alert_id, type(change.transition), getattr(change.transition, "reason", None))
        for _, change in changes
        if change.transition
    ]


def test_what_fires_for_a_deleted_host_ends_and_its_silence_is_no_news() -> None:
    for after in (DELETED, UNKNOWN):
        mine = fleet(THERE)
        assert transitions(mine.follow(after, NOW + SECOND)) == [(BUSY.id, Resolved, Ended.HOST_DELETED)]
        assert mine.silence(NOW + timedelta(hours=1)) == []
        assert len(mine) == 0


def test_a_host_that_is_yet_to_be_registered_is_judged_and_silent_like_any_other() -> None:
    mine = fleet(UNKNOWN)
    assert mine.undescribed == {"a"}
    assert mine.follow(UNKNOWN, NOW) == []
    assert transitions(mine.silence(NOW + 90 * SECOND)) == [(SILENT.id, Fired, None)]


def test_a_backlog_of_a_deleted_host_fires_nothing_and_is_not_waited_for() -> None:
    mine = fleet(DELETED, heard=False)
    assert not mine.sample(sample(0), NOW.timestamp() * 1000)
    assert mine.undescribed == set()
    assert mine.silence(NOW + timedelta(hours=1)) == []


def test_a_host_that_was_deleted_while_nobody_watched_ends_when_it_is_read_again() -> None:
    mine = fleet(DELETED, heard=False)
    stored = StoredHost("a", NOW, NOW, ())
    ended = mine.restore([stored], [StoredState(BUSY.id, "a", 1, NOW, NOW)], NOW + SECOND)
    assert transitions(ended) == [(BUSY.id, Resolved, Ended.HOST_DELETED)]
    assert mine.silence(NOW + timedelta(hours=1)) == []


def test_a_host_that_comes_back_under_its_name_is_judged_anew() -> None:
    mine = fleet(THERE)
    mine.follow(DELETED, NOW)
    mine.follow(THERE, NOW)
    mine.sample(sample(-5), NOW.timestamp() * 1000)
    assert transitions(mine.silence(NOW + 90 * SECOND)) == [(SILENT.id, Fired, None)]
