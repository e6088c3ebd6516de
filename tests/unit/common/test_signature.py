import hmac
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from infrawatch_common.events import HostKey, Reason, Rejection, check_signature, derive_secret
from records import NOW, TOPIC, host_key, signature

KEY = host_key("host-a")
KEYS = {KEY.id: KEY}


def check(value: bytes, header: bytes | None, topic: str = TOPIC, keys: dict[str, HostKey] = KEYS) -> Reason | None:
    verdict = check_signature(topic, value, header, int(NOW.timestamp() * 1000), keys)
    return verdict.reason if isinstance(verdict, Rejection) else None


def header(value: bytes, key: HostKey = KEY, topic: str = TOPIC) -> bytes:
    return signature(key, value, topic)[1]


@given(st.binary(min_size=1, max_size=200))
def test_what_a_host_signed_is_proved_to_be_its_own(value: bytes) -> None:
    assert check(value, header(value)) is None


@given(st.binary(min_size=1, max_size=50), st.binary(min_size=1, max_size=50))
def test_another_body_is_refused(value: bytes, other: bytes) -> None:
    assert (check(other, header(value)) is None) == (other == value)


def test_another_topic_is_refused() -> None:
    assert check(b"body", header(b"body", topic="elsewhere")) is Reason.BAD_SIGNATURE


def test_another_hosts_key_under_this_hosts_name_is_refused() -> None:
    forged = HostKey(KEY.id, "host-a", derive_secret(b"x" * 32, KEY.id))
    assert check(b"body", header(b"body", forged)) is Reason.BAD_SIGNATURE


def test_a_key_that_nobody_was_given_is_unknown() -> None:
    assert check(b"body", header(b"body", host_key("host-b"))) is Reason.UNKNOWN_KEY


def test_a_header_of_another_form_is_refused() -> None:
    for form in (b"", b"v1", b"v2 " + b"0" * 32 + b" " + b"0" * 64, header(b"body") + b"\n", header(b"body").upper()):
        assert check(b"body", form) is Reason.BAD_SIGNATURE


def test_no_header_is_unsigned() -> None:
    assert check(b"body", None) is Reason.UNSIGNED


def test_a_revoked_key_still_proves_what_the_broker_got_before() -> None:
    for revoked_at, expected in ((NOW + timedelta(seconds=1), None), (NOW, Reason.REVOKED_KEY)):
        key = host_key("host-a", revoked_at=revoked_at)
        assert check(b"body", header(b"body", key), keys={key.id: key}) == expected


@given(st.binary(min_size=1, max_size=64), st.binary(max_size=300))
def test_the_digest_is_the_standard_librarys_hmac(secret: bytes, value: bytes) -> None:
    key = HostKey("0" * 32, "host-a", secret)
    for topic in (TOPIC, "elsewhere", TOPIC):
        expected = hmac.digest(secret, b"\0".join((topic.encode(), b"host-a", value)), "sha256")
        assert key.header(topic, value) == f"v1 {key.id} {expected.hex()}".encode()
