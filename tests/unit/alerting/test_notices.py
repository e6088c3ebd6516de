"""What is told of a host, to whom, and when: decided from what is on and what has been told."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_alerting.domain.attempts import next_attempt
from infrawatch_alerting.domain.notices import Channel, Decision, HostNotices, Notice, Silence, Told, What, decide
from infrawatch_common.notices.matching import Match

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ALERT = UUID(int=7)
EVERYTHING = Match()


def channel(
    routes: Sequence[Match] = (EVERYTHING,),
    *,
    send_resolved: bool = True,
    group_interval: timedelta = timedelta(0),
    repeat_interval: timedelta | None = None,
) -> Channel:
    return Channel(uuid4(), "mail", routes, send_resolved, group_interval, repeat_interval)


def notice(
    *, ended: bool = False, severity: str = "warning", found_at: datetime = NOW, alert_id: UUID = ALERT
) -> Notice:
    return Notice(uuid4(), found_at, {"severity": severity, "alert_id": str(alert_id)}, ended)


def silence(begin: timedelta, end: timedelta, match: Match = EVERYTHING) -> Silence:
    return Silence(match, NOW + begin, NOW + end)


class Host:
    """A host whose messages are remembered, as the store does it."""

    def __init__(self, *notices: Notice, tags: dict[str, str] | None = None) -> None:
        self.notices = list(notices)
        self.tags = tags or {}
        self.told: dict[tuple[UUID, UUID], Told] = {}
        self.messages: dict[UUID, datetime] = {}

    def look(self, channels: Sequence[Channel], at: datetime = NOW, silences: Sequence[Silence] = ()) -> Decision:
        host = HostNotices("web-1", self.tags, self.notices, self.told, self.messages)
        decision = decide(host, channels, silences, at)
        for channel_id, items in decision.messages.items():
            self.messages[channel_id] = at
            self.told |= {(item.notice.id, channel_id): Told(at, item.notice.ended) for item in items}
        self.notices = [one for one in self.notices if one.id not in decision.settled]
        return decision

    def end(self, number: int = 0) -> None:
        self.notices[number] = self.notices[number]._replace(ended=True)


def told(decision: Decision, to: Channel) -> list[What]:
    return [item.what for item in decision.messages.get(to.id, ())]


def test_what_fires_is_told_once() -> None:
    mail, host = channel(), Host(notice())
    assert told(host.look([mail]), mail) == [What.FIRED]
    later = host.look([mail], NOW + MINUTE)
    assert not later.messages
    assert later.look_at is None


def test_what_was_told_is_told_to_have_ended_and_is_settled_then() -> None:
    mail, host = channel(), Host(notice())
    host.look([mail])
    host.end()
    assert told(host.look([mail]), mail) == [What.RESOLVED]
    assert not host.notices


def test_a_channel_without_resolved_messages_is_not_told_of_ends() -> None:
    mail, host = channel(send_resolved=False), Host(notice())
    host.look([mail])
    host.end()
    assert not host.look([mail]).messages
    assert not host.notices


def test_what_fired_and_ended_before_anybody_was_told_is_told_all_the_same() -> None:
    mail, host = channel(), Host(notice(ended=True))
    assert told(host.look([mail]), mail) == [What.FIRED]
    assert not host.notices


def test_all_that_is_to_be_told_of_a_host_is_in_one_message() -> None:
    mail, host = channel(), Host(notice(), notice(severity="critical"))
    assert told(host.look([mail]), mail) == [What.FIRED, What.FIRED]


def test_between_two_messages_about_a_host_lies_the_group_interval() -> None:
    mail, host = channel(group_interval=MINUTE), Host(notice())
    host.look([mail])
    host.notices.append(notice())
    host.end(0)
    waiting = host.look([mail], NOW + MINUTE / 2)
    assert not waiting.messages
    assert not waiting.settled
    assert waiting.look_at == NOW + MINUTE
    assert told(host.look([mail], NOW + MINUTE), mail) == [What.RESOLVED, What.FIRED]


@pytest.mark.parametrize(
    ("route", "is_told"),
    [
        (Match(severities=frozenset({"critical"})), True),  # type: ignore[arg-type]
        (Match(severities=frozenset({"info", "warning"})), False),  # type: ignore[arg-type]
        (Match(selector={"env": "prod"}), True),
        (Match(selector={"env": "prod", "role": "db"}), False),
        (Match(alert_ids=frozenset({ALERT})), True),
        (Match(alert_ids=frozenset({UUID(int=8)})), False),
        (Match(host_ids=frozenset({"web-1"})), True),
        (Match(host_ids=frozenset({"web-2"})), False),
    ],
)
def test_a_route_is_by_severity_tags_rule_and_host(route: Match, *, is_told: bool) -> None:
    mail, host = channel([route]), Host(notice(severity="critical"), tags={"env": "prod"})
    assert bool(host.look([mail]).messages) is is_told


def test_one_route_that_matches_suffices_and_none_tells_nothing() -> None:
    both = channel([Match(selector={"env": "dev"}), EVERYTHING])
    nobody = channel([])
    host = Host(notice())
    decision = host.look([both, nobody])
    assert set(decision.messages) == {both.id}


def test_what_is_silenced_is_not_told_and_once_the_silence_is_over_it_is_if_it_still_fires() -> None:
    mail, host = channel(), Host(notice())
    hides = [silence(-MINUTE, MINUTE)]
    quiet = host.look([mail], silences=hides)
    assert not quiet.messages
    assert quiet.look_at == NOW + MINUTE
    assert told(host.look([mail], NOW + MINUTE, hides), mail) == [What.NO_LONGER_SILENCED]


def test_what_fired_and_ended_in_a_silence_is_never_told() -> None:
    mail, host = channel(), Host(notice())
    hides = [silence(-MINUTE, MINUTE)]
    host.look([mail], silences=hides)
    host.end()
    assert not host.look([mail], silences=hides).messages
    assert not host.notices


def test_what_was_told_before_a_silence_is_told_to_have_ended_in_it() -> None:
    mail, host = channel(), Host(notice())
    host.look([mail])
    host.end()
    assert told(host.look([mail], NOW + MINUTE, [silence(MINUTE / 2, 3 * MINUTE)]), mail) == [What.RESOLVED]


def test_a_silence_for_others_hides_nothing() -> None:
    mail, host = channel(), Host(notice(), tags={"env": "prod"})
    assert host.look([mail], silences=[silence(-MINUTE, MINUTE, Match(selector={"env": "dev"}))]).messages


def test_what_fires_on_is_told_again_at_the_repeat_interval_but_not_in_a_silence() -> None:
    mail, host = channel(repeat_interval=10 * MINUTE), Host(notice())
    assert host.look([mail]).look_at == NOW + 10 * MINUTE
    assert not host.look([mail], NOW + 9 * MINUTE).messages
    hides = [silence(9 * MINUTE, 12 * MINUTE)]
    quiet = host.look([mail], NOW + 10 * MINUTE, hides)
    assert not quiet.messages
    assert quiet.look_at == NOW + 12 * MINUTE
    assert told(host.look([mail], NOW + 12 * MINUTE, hides), mail) == [What.STILL_FIRING]


def test_a_new_channel_is_told_what_fires() -> None:
    old, new, host = channel(), channel(), Host(notice())
    host.look([old])
    assert set(host.look([old, new], NOW + MINUTE).messages) == {new.id}


def test_without_channels_what_has_ended_is_settled() -> None:
    host = Host(notice(), notice(ended=True))
    host.look([])
    assert [one.ended for one in host.notices] == [False]


STEPS = st.lists(st.sampled_from(["fire", "end first", "end last", "look", "minute", "hour"]), min_size=1, max_size=30)


class Course:
    """A host that is looked at whenever something changes or the decision asked for it; notes what was told when."""

    def __init__(self, mail: Channel, silences: Sequence[Silence]) -> None:
        self.mail, self.silences = mail, silences
        self.host, self.now = Host(), NOW
        self.look_at: datetime | None = None
        self.fired: list[tuple[datetime, UUID]] = []
        self.told: list[tuple[datetime, What, UUID]] = []

    def step(self, step: str) -> None:
        if step == "fire":
            self.host.notices.append(notice(found_at=self.now))
            self.fired.append((self.now, self.host.notices[-1].id))
        elif step in {"end first", "end last"}:
            on = [number for number, one in enumerate(self.host.notices) if not one.ended]
            if on:
                self.host.end(on[0] if step == "end first" else on[-1])
        elif step != "look":
            self.wait_until(self.now + (MINUTE if step == "minute" else 60 * MINUTE))
        self.look()

    def wait_until(self, end: datetime) -> None:
        while self.look_at is not None and self.look_at <= end:
            self.now = max(self.now, self.look_at)
            self.look()
        self.now = end

    def look(self) -> None:
        decision = self.host.look([self.mail], self.now, self.silences)
        self.look_at = decision.look_at
        self.told += [(self.now, item.what, item.notice.id) for item in decision.messages.get(self.mail.id, ())]

    def story(self, identifier: UUID) -> list[What]:
        return [what for _, what, who in self.told if who == identifier]


@given(
    STEPS,
    st.sampled_from([timedelta(0), MINUTE, 90 * MINUTE]),
    st.sampled_from([None, 5 * MINUTE]),
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 200)), max_size=3),
)
def test_whatever_happens_everything_that_is_not_hidden_is_told_and_its_end_after_it(
    steps: list[str], group: timedelta, repeat: timedelta | None, hidden: list[tuple[int, int]]
) -> None:
    silences = [silence(begin * MINUTE, (begin + length) * MINUTE) for begin, length in hidden]
    course = Course(channel(group_interval=group, repeat_interval=repeat), silences)
    for step in [*steps, *["end first"] * len(steps), *["hour"] * 10]:
        course.step(step)
    assert not course.host.notices
    times = sorted({at for at, _, _ in course.told})
    assert all(later - earlier >= group for earlier, later in pairwise(times))
    for at, identifier in course.fired:
        story = course.story(identifier)
        begins = [what for what in story if what in {What.FIRED, What.NO_LONGER_SILENCED}]
        assert story[:1] == begins
        assert What.RESOLVED not in story[:-1]
        if not any(one.starts_at <= at + group and at < one.ends_at for one in silences):
            assert begins == [What.FIRED]


def test_attempts_come_later_each_time_up_to_a_longest() -> None:
    waits = [next_attempt(number, NOW, 5 * MINUTE) - NOW for number in (1, 2, 3, 9, 10, 1000)]
    assert waits == [timedelta(seconds=seconds) for seconds in (1, 2, 4, 256, 300, 300)]
