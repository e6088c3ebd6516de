"""Drift among what is told of a host: once, by the same routes, silences and intervals as events, and never again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_alerting.domain.notices import Channel, Decision, HostNotices, Notice, Silence, Told, What, decide
from infrawatch_common.alerts.rules import Severity
from infrawatch_common.notices.matching import Kind, Match

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EVERYTHING = Match()
DRIFT_ALONE, ALERTS_ALONE = Match(kinds=frozenset({Kind.DRIFT})), Match(kinds=frozenset({Kind.ALERT}))


def channel(
    *routes: Match, group_interval: timedelta = timedelta(0), repeat_interval: timedelta | None = None
) -> Channel:
    return Channel(uuid4(), "mail", routes or (EVERYTHING,), True, group_interval, repeat_interval)


def drift(found_at: datetime = NOW, severity: str = "warning") -> Notice:
    return Notice(uuid4(), found_at, {"severity": severity}, ended=True, kind=Kind.DRIFT)


def alert(found_at: datetime = NOW) -> Notice:
    return Notice(uuid4(), found_at, {"severity": "warning", "alert_id": str(UUID(int=7))}, ended=False)


def silence(begin: timedelta, end: timedelta, match: Match = EVERYTHING) -> Silence:
    return Silence(match, NOW + begin, NOW + end)


class Host:
    """A host of which is kept what was told and what is settled, as the store does it."""

    def __init__(self, *notices: Notice) -> None:
        self.notices = list(notices)
        self.told: dict[tuple[UUID, UUID], Told] = {}
        self.messages: dict[UUID, datetime] = {}

    def look(self, channels: Sequence[Channel], at: datetime = NOW, silences: Sequence[Silence] = ()) -> Decision:
        host = HostNotices("web-1", {"env": "prod"}, self.notices, self.told, self.messages)
        decision = decide(host, channels, silences, at)
        for channel_id, items in decision.messages.items():
            self.messages[channel_id] = at
            self.told |= {(item.notice.id, channel_id): Told(at, item.notice.ended) for item in items}
        self.notices = [one for one in self.notices if one.id not in decision.settled]
        return decision

    def end(self) -> None:
        self.notices = [one._replace(ended=True) for one in self.notices]


def told(decision: Decision, to: Channel) -> list[What]:
    return [item.what for item in decision.messages.get(to.id, ())]


def test_drift_is_told_once_and_settled_then() -> None:
    mail, host = channel(repeat_interval=MINUTE), Host(drift())
    first = host.look([mail])
    assert told(first, mail) == [What.CHANGED]
    assert not host.notices
    assert first.look_at is None


def test_drift_waits_for_the_group_interval_and_is_told_with_what_fires_meanwhile() -> None:
    mail, host = channel(group_interval=MINUTE), Host(alert())
    host.look([mail])
    host.notices += [drift(NOW + MINUTE / 3), alert(NOW + MINUTE / 2)]
    waiting = host.look([mail], NOW + MINUTE / 2)
    assert (waiting.messages, waiting.settled, waiting.look_at) == ({}, [], NOW + MINUTE)
    assert told(host.look([mail], NOW + MINUTE), mail) == [What.CHANGED, What.FIRED]
    assert [one.kind for one in host.notices] == [Kind.ALERT, Kind.ALERT]
    host.end()
    assert told(host.look([mail], NOW + 2 * MINUTE), mail) == [What.RESOLVED, What.RESOLVED]


def test_drift_that_waits_for_one_channel_is_not_told_to_the_other_again() -> None:
    prompt, slow = channel(), channel(group_interval=MINUTE)
    host = Host(drift())
    host.messages[slow.id] = NOW - MINUTE / 2
    assert set(host.look([prompt, slow]).messages) == {prompt.id}
    later = host.look([prompt, slow], NOW + MINUTE / 2)
    assert set(later.messages) == {slow.id}
    assert not host.notices


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        pytest.param(-MINUTE, MINUTE, id="in force when it is found and now"),
        pytest.param(-MINUTE, MINUTE / 4, id="over since it was found"),
        pytest.param(MINUTE / 4, MINUTE, id="begun since it was found"),
    ],
)
def test_drift_that_is_silenced_is_settled_untold(begin: timedelta, end: timedelta) -> None:
    mail, host = channel(), Host(drift())
    decision = host.look([mail], NOW + MINUTE / 2, [silence(begin, end)])
    assert not decision.messages
    assert not host.notices


@pytest.mark.parametrize(
    ("begin", "end", "match"),
    [
        pytest.param(-MINUTE, timedelta(0), EVERYTHING, id="over before it is found"),
        pytest.param(MINUTE, 2 * MINUTE, EVERYTHING, id="not begun"),
        pytest.param(-MINUTE, MINUTE, ALERTS_ALONE, id="of alerts"),
        pytest.param(-MINUTE, MINUTE, Match(alert_ids=frozenset({UUID(int=7)})), id="of a rule"),
        pytest.param(-MINUTE, MINUTE, Match(selector={"env": "dev"}), id="of others"),
    ],
)
def test_a_silence_of_another_time_or_of_something_else_hides_no_drift(
    begin: timedelta, end: timedelta, match: Match
) -> None:
    mail, host = channel(), Host(drift())
    assert told(host.look([mail], NOW, [silence(begin, end, match)]), mail) == [What.CHANGED]


def test_a_silence_of_drift_hides_no_alert() -> None:
    mail, host = channel(), Host(drift(), alert())
    quiet = [silence(-MINUTE, MINUTE, DRIFT_ALONE)]
    assert told(host.look([mail], silences=quiet), mail) == [What.FIRED]
    assert [one.kind for one in host.notices] == [Kind.ALERT]


@pytest.mark.parametrize("routes", [[ALERTS_ALONE], [Match(alert_ids=frozenset({UUID(int=7)}))]])
def test_drift_that_is_routed_nowhere_is_settled_untold(routes: list[Match]) -> None:
    mail, host = channel(*routes), Host(drift(), alert())
    assert told(host.look([mail]), mail) == [What.FIRED]
    assert [one.kind for one in host.notices] == [Kind.ALERT]


def test_drift_without_any_channel_is_settled() -> None:
    host = Host(drift())
    host.look([])
    assert not host.notices


@pytest.mark.parametrize(
    ("route", "is_told"),
    [
        (DRIFT_ALONE, True),
        (Match(kinds=frozenset(Kind)), True),
        (Match(severities=frozenset({Severity.CRITICAL})), False),
        (Match(severities=frozenset({Severity.WARNING}), selector={"env": "prod"}), True),
        (Match(selector={"env": "dev"}), False),
        (Match(host_ids=frozenset({"web-1"}), kinds=frozenset({Kind.DRIFT})), True),
        (Match(host_ids=frozenset({"web-2"})), False),
    ],
)
def test_a_route_of_drift_is_by_kind_severity_tags_and_host(route: Match, *, is_told: bool) -> None:
    mail, host = channel(route), Host(drift())
    assert bool(host.look([mail]).messages) is is_told


def test_a_route_of_drift_tells_no_alert() -> None:
    mail, host = channel(DRIFT_ALONE), Host(alert())
    assert not host.look([mail]).messages


MOMENTS = st.integers(0, 60).map(lambda number: NOW + number * MINUTE)


@given(
    st.lists(st.tuples(MOMENTS, st.sampled_from(["drift", "alert"])), min_size=1, max_size=12),
    st.lists(st.tuples(MOMENTS, st.integers(1, 30)), max_size=3),
    st.sampled_from([timedelta(0), 3 * MINUTE, 20 * MINUTE]),
    st.sampled_from([None, 5 * MINUTE]),
)
def test_among_alerts_drift_is_told_at_most_once_and_exactly_once_unless_it_is_silenced(
    found: list[tuple[datetime, str]],
    hidden: list[tuple[datetime, int]],
    group: timedelta,
    repeat: timedelta | None,
) -> None:
    mail, host = channel(group_interval=group, repeat_interval=repeat), Host()
    silences = [Silence(EVERYTHING, begin, begin + length * MINUTE) for begin, length in hidden]
    drifts: list[Notice] = []
    said: list[tuple[datetime, What, UUID]] = []
    for at in (NOW + number * MINUTE for number in range(150)):
        for _, kind in (one for one in found if one[0] == at):
            host.notices.append(drift(at) if kind == "drift" else alert(at))
            drifts += host.notices[-1:] if kind == "drift" else []
        said += [(at, item.what, item.notice.id) for item in host.look([mail], at, silences).messages.get(mail.id, ())]

    assert not [one for one in host.notices if one.kind is Kind.DRIFT]
    assert all(later - earlier >= group for earlier, later in pairwise(sorted({at for at, _, _ in said})))
    for notice in drifts:
        story = [(at, what) for at, what, who in said if who == notice.id]
        assert [what for _, what in story] in ([], [What.CHANGED])
        could_wait = [
            one for one in silences if one.starts_at <= notice.found_at + group and notice.found_at < one.ends_at
        ]
        if not could_wait:
            assert len(story) == 1
        moments = [notice.found_at, *(at for at, _ in story)]
        if any(one.starts_at <= moment < one.ends_at for one in silences for moment in moments):
            assert not story
