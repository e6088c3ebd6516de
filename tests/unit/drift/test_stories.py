"""What goes back and forth is one story, in whatever batches it comes."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from infrawatch_common.drift.changes import Action, Category, Change
from infrawatch_common.drift.stories import Dated, Story, stories

START = datetime(2026, 11, 22, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def changed(at: timedelta, before: str | None, after: str | None, name: str = "openssl") -> Dated:
    action = Action.ADDED if before is None else Action.REMOVED if after is None else Action.CHANGED
    return Dated(START + at, Change(Category.PACKAGE, "dpkg", name, action, before, after))


VALUES = st.sampled_from([None, "A", "B", "C"])
HISTORIES = st.lists(
    st.builds(
        changed, st.integers(0, 200).map(HOUR.__mul__), VALUES, VALUES, st.sampled_from(["openssl", "sudo", "vim"])
    ),
    max_size=12,
    unique_by=lambda dated: (dated.at, dated.change.name),
)


def test_there_and_back_is_one_story_that_returned() -> None:
    there, back = changed(HOUR, "A", "B"), changed(2 * HOUR, "B", "A")
    (story,) = stories([there, back], DAY)
    assert (story.first, story.last, story.returned, story.values) == ("A", "A", True, ("A", "B"))
    assert (story.since, story.until, len(story.steps)) == (START + HOUR, START + 2 * HOUR, 2)


def test_a_package_that_came_and_went_is_one_too() -> None:
    (story,) = stories([changed(HOUR, None, "A"), changed(2 * HOUR, "A", None)], DAY)
    assert (story.returned, story.values) == (True, (None, "A"))


def test_a_source_that_returns_as_it_was_has_returned_and_one_that_did_not_has_not() -> None:
    def source(at: timedelta, before: dict[str, str] | None, after: dict[str, str] | None) -> Dated:
        action = Action.ADDED if before is None else Action.REMOVED
        return Dated(START + at, Change(Category.SOURCE, "dpkg", "", action, before, after))

    went = source(HOUR, {"sudo": "1"}, None)
    assert stories([went, source(2 * HOUR, None, {"sudo": "1"})], DAY)[0].returned
    assert not stories([went, source(2 * HOUR, None, {"sudo": "2"})], DAY)[0].returned


def test_what_lies_further_apart_is_another_story() -> None:
    one, other = changed(HOUR, "A", "B"), changed(HOUR + DAY, "B", "C")
    assert [story.steps for story in stories([one, other], DAY)] == [(one, other)]
    assert [story.steps for story in stories([one, other], DAY - timedelta(microseconds=1))] == [(one,), (other,)]


def test_other_things_are_other_stories_by_their_beginning() -> None:
    late, early = changed(2 * HOUR, "A", "B", "sudo"), changed(HOUR, "A", "B", "vim")
    assert [story.key.name for story in stories([late, early], DAY)] == ["vim", "sudo"]


def test_a_late_change_joins_what_it_lies_between() -> None:
    one, late, other = changed(0 * HOUR, "A", "B"), changed(20 * HOUR, "B", "C"), changed(40 * HOUR, "C", "A")
    earlier = stories([one, other], DAY)
    assert len(earlier) == 2
    assert [story.steps for story in stories([late], DAY, earlier)] == [(one, late, other)]


def test_a_value_that_no_change_led_to_is_seen_too() -> None:
    (story,) = stories([changed(HOUR, "A", "B"), changed(2 * HOUR, "C", "A")], DAY)
    assert story.values == ("A", "B", "C")


@given(HISTORIES)
def test_nothing_is_lost(history: list[Dated]) -> None:
    told = [step for story in stories(history, DAY) for step in story.steps]
    assert sorted(told, key=repr) == sorted(history, key=repr)


@given(HISTORIES, st.lists(st.integers(0, 3), min_size=12, max_size=12))
def test_batches_and_their_order_do_not_matter(history: list[Dated], batches: list[int]) -> None:
    told: tuple[Story, ...] = ()
    for number in range(4):
        told = stories(
            [dated for dated, batch in zip(history, batches, strict=False) if batch == number], DAY, earlier=told
        )
    assert told == stories(history, DAY)


@given(HISTORIES, HISTORIES)
def test_what_comes_again_changes_nothing(history: list[Dated], more: list[Dated]) -> None:
    told = stories([*history, *more], DAY)
    assert stories(history, DAY, earlier=told) == told


@given(HISTORIES)
def test_stories_of_one_thing_lie_apart_and_steps_lie_close(history: list[Dated]) -> None:
    told = stories(history, DAY)
    for story in told:
        assert all(b.at - a.at <= DAY for a, b in zip(story.steps, story.steps[1:], strict=False))
        assert all(
            other.since - story.until > DAY for other in told if other.key == story.key and other.since > story.since
        )
