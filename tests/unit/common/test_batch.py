from hypothesis import given
from hypothesis import strategies as st

from infrawatch_common.events import Reason, decode_sample
from infrawatch_common.events.batch import sort_out
from infrawatch_common.events.judgement import Rules
from records import FakeMessage, host_key, sample, signed

RULES = Rules(accept_unsigned=False, clock_tolerance=300, retention=30 * 86_400)
KEY = host_key("host-a")


@given(st.lists(st.booleans(), max_size=40))
def test_every_message_ends_as_a_row_or_as_a_dead_letter_and_a_bad_one_stops_no_other(good: list[bool]) -> None:
    messages = [
        signed(sample(sequence=number), offset=number) if is_good else FakeMessage(b"{", offset=number)
        for number, is_good in enumerate(good)
    ]
    batch = sort_out(messages, {KEY.id: KEY}, RULES, decode_sample)
    assert [message.offset for _, message in batch.accepted] == [n for n, is_good in enumerate(good) if is_good]
    assert [message.offset for _, message in batch.refused] == [n for n, is_good in enumerate(good) if not is_good]


def test_the_reason_of_a_dead_letter_is_that_of_its_own_message() -> None:
    batch = sort_out([FakeMessage(b"{"), FakeMessage(None)], {}, RULES, decode_sample)
    assert [rejection.reason for rejection, _ in batch.refused] == [Reason.UNSIGNED, Reason.EMPTY]
