from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest

from infrawatch_common.events import Reason, Rejection, Sample, decode_sample
from infrawatch_common.events.judgement import Rules, judge
from records import NOW, FakeMessage, body, host_key, sample, signature, signed

RULES = Rules(accept_unsigned=False, clock_tolerance=300, retention=30 * 86_400)
LENIENT = Rules(accept_unsigned=True, clock_tolerance=RULES.clock_tolerance, retention=RULES.retention)
KEYS = {key.id: key for key in map(host_key, ("host-a", "host-b"))}


def reason(message: FakeMessage, rules: Rules = RULES) -> Reason | None:
    verdict = judge(message, KEYS, rules, decode_sample)
    return verdict.reason if isinstance(verdict, Rejection) else None


def test_a_signed_sample_is_taken() -> None:
    verdict = judge(signed(sample(cpu=99.5)), KEYS, RULES, decode_sample)
    assert isinstance(verdict, Sample)
    assert verdict.cpu == 99.5


def test_an_unsigned_sample_is_taken_only_where_the_operator_says_so() -> None:
    message = FakeMessage(body(sample()))
    assert reason(message) is Reason.UNSIGNED
    assert reason(message, LENIENT) is None


def test_a_wrong_signature_is_refused_even_where_none_is_needed() -> None:
    message = FakeMessage(body(sample()), headers=[signature(host_key("host-a"), b"other")])
    assert reason(message, LENIENT) is Reason.BAD_SIGNATURE


def test_a_host_cannot_write_as_another() -> None:
    value = body(sample("host-b"))
    message = FakeMessage(value, b"host-b", [signature(host_key("host-a"), value)])
    assert reason(message) is Reason.BAD_SIGNATURE


def test_a_host_cannot_claim_another_in_a_record_that_it_signs_as_itself() -> None:
    key = host_key("host-a")
    value = body(sample("host-b"))
    verdict = judge(FakeMessage(value, b"host-b", [signature(key, value)]), {key.id: key}, RULES, decode_sample)
    assert isinstance(verdict, Rejection)
    assert verdict.host_id == "host-a"


@pytest.mark.parametrize("key", [None, b"", b"host-b", b"\xff"])
def test_a_message_key_that_is_not_the_host_is_refused(key: bytes | None) -> None:
    value = body(sample())
    assert reason(FakeMessage(value, key, [signature(host_key("host-a"), value)])) is Reason.WRONG_KEY


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (timedelta(minutes=5), None),
        (timedelta(minutes=5, milliseconds=1), Reason.IN_FUTURE),
        (timedelta(days=365 * 70), Reason.IN_FUTURE),
        (timedelta(days=-30), None),
        (timedelta(days=-30, milliseconds=-1), Reason.TOO_OLD),
        (-(NOW - NOW.replace(year=1970, month=1, day=1)), Reason.TOO_OLD),
    ],
)
def test_a_sample_is_refused_outside_the_time_that_is_kept(offset: timedelta, expected: Reason | None) -> None:
    message = signed(sample(timestamp=NOW + offset), appended_at=NOW)
    assert reason(message) == expected


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"\xff"])
def test_a_bad_body_of_a_proved_host_is_put_to_that_host(value: bytes | None) -> None:
    key = host_key("host-a")
    headers: Any = [signature(key, value)] if value else []
    verdict = judge(FakeMessage(value, headers=headers), KEYS, RULES, decode_sample)
    assert isinstance(verdict, Rejection)
    assert verdict.host_id == ("host-a" if value else None)


class Snapshot(NamedTuple):
    host_id: str
    timestamp: datetime


def test_records_of_every_kind_are_judged_alike() -> None:
    def read(value: bytes) -> Snapshot | Rejection:
        if value == b"bad":
            return Rejection(Reason.TOO_LARGE, "too large")
        return Snapshot(value.decode(), NOW)

    def verdict(value: bytes) -> Any:
        return judge(FakeMessage(value, b"host-a", [signature(host_key("host-a"), value)]), KEYS, RULES, read)

    assert verdict(b"host-a") == Snapshot("host-a", NOW)
    assert verdict(b"bad") == Rejection(Reason.TOO_LARGE, "too large", "host-a")
    assert verdict(b"host-b").reason is Reason.BAD_SIGNATURE


def test_what_is_too_old_says_how_old_records_may_be() -> None:
    verdict = judge(signed(sample(timestamp=NOW - timedelta(days=32)), appended_at=NOW), KEYS, RULES, decode_sample)
    assert isinstance(verdict, Rejection)
    assert verdict.detail == "stamped 32 days before the broker got it; what is older than 30 days is not taken"
