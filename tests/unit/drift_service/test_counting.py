"""The facts of a snapshot are those of the one before it, but for what has changed."""

from hypothesis import given
from hypothesis import strategies as st

from infrawatch_common.drift.content import Content
from infrawatch_common.drift.diff import diff
from infrawatch_common.drift.facts import facts_of
from infrawatch_drift.domain.counting import moved, recounted

TEXTS = st.sampled_from(["", "a", "b", "c"])
TABLES = st.dictionaries(TEXTS, TEXTS, max_size=3)
CONTENTS = st.builds(Content, TEXTS, TEXTS, st.dictionaries(TEXTS, TABLES, max_size=3), TABLES)


@given(CONTENTS, CONTENTS)
def test_what_is_gone_and_what_has_come_make_one_content_of_the_other(before: Content, after: Content) -> None:
    numbers = {fact: number for number, fact in enumerate({*facts_of(before), *facts_of(after)})}
    difference = moved(diff(before, after))
    counted = recounted(
        sorted(numbers[fact] for fact in facts_of(before)),
        [numbers[fact] for fact in difference.gone],
        [numbers[fact] for fact in difference.come],
    )
    assert counted == sorted(numbers[fact] for fact in facts_of(after))


def test_what_was_not_there_cannot_be_gone() -> None:
    assert recounted([1, 3], [2], [4]) is None
    assert recounted([], [2], []) is None
