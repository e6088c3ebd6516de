"""What a dead letter keeps of a record."""

import json
from datetime import timedelta
from typing import Any, cast

from infrawatch_common.dead_letters import letter_of
from infrawatch_common.events import Reason, Rejection
from records import NOW, TOPIC, FakeMessage

REJECTION = Rejection(Reason.MALFORMED, "not JSON", "host-a")


def test_a_letter_holds_the_record_whole_and_where_it_came_from() -> None:
    headers = [("infrawatch-signature", b"v1 x")]
    message = FakeMessage(b"\xff", b"host-a", headers, TOPIC, 3, 77, NOW + timedelta(days=1))
    letter = letter_of(REJECTION, cast("Any", message))
    assert (letter.topic, letter.partition, letter.offset) == (TOPIC, 3, 77)
    assert (letter.key, letter.value) == (b"host-a", b"\xff")
    assert letter.appended_at == NOW + timedelta(days=1)
    assert json.loads(letter.headers) == {"infrawatch-signature": b"v1 x".hex()}
    assert letter.rejection is REJECTION


def test_headers_that_the_database_cannot_hold_as_they_are_make_a_letter_too() -> None:
    headers: Any = [("a\0b", b"c"), ("without value", None)]
    letter = letter_of(REJECTION, cast("Any", FakeMessage(b"x", headers=headers)))
    assert json.loads(letter.headers) == {"a\N{REPLACEMENT CHARACTER}b": "63", "without value": ""}
