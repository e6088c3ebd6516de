import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_common.events import MetricRecord, Reason, Rejection, Sample, SnapshotRecord, decode, decode_sample
from records import body, sample


def reason(value: bytes | None) -> Reason | None:
    verdict = decode(MetricRecord, value)
    return verdict.reason if isinstance(verdict, Rejection) else None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, Reason.EMPTY),
        (b"", Reason.EMPTY),
        (b"{", Reason.MALFORMED),
        (b"\xff\xfe", Reason.MALFORMED),
        (b"[" * 100_000 + b"]" * 100_000, Reason.MALFORMED),
        (body(sample()).replace(b"12.5", b"NaN"), Reason.INVALID),
        (body(sample()).replace(b"12.5", b"1e400"), Reason.INVALID),
        (body(sample()).replace(b"host-a", b"\\u0000"), Reason.INVALID),
        (body(sample()).replace(b"host-a", b"\\ud800"), Reason.MALFORMED),
        (body(sample(uptime=2**63 + 1)), Reason.INVALID),
        (body(sample()).replace(b'"cpu":12.5', b'"cpu":12.5,"cpu":1'), Reason.DUPLICATE_KEYS),
        (body(sample()).replace(b'"cpu":12.5', b'"cpu":12.5,"\\u0063pu":1'), Reason.DUPLICATE_KEYS),
        (body(sample()).replace(b'"sequence":0', b'"sequence":0,"sequence":1'), Reason.DUPLICATE_KEYS),
        (body(sample(extra={})).replace(b'"extra":{}', b'"extra":{"x":1,"x":2}'), Reason.DUPLICATE_KEYS),
        (body(sample(cpu="12.5")), Reason.INVALID),
        (b"true", Reason.INVALID),
    ],
)
def test_a_bad_body_is_refused_for_its_own_reason(value: bytes | None, expected: Reason) -> None:
    assert reason(value) == expected


def test_the_detail_names_the_field_and_not_the_value() -> None:
    verdict = decode(MetricRecord, body(sample(cpu="hunter2")))
    assert isinstance(verdict, Rejection)
    assert verdict.detail.startswith("cpu: ")
    assert "hunter2" not in verdict.detail


def test_fields_of_a_newer_agent_are_ignored() -> None:
    record = decode(MetricRecord, body(sample(gpu=[1, 2], note='say "hi"')))
    assert isinstance(record, MetricRecord)
    assert record.cpu == 12.5


@given(st.binary(max_size=300))
def test_no_bytes_make_decoding_raise(value: bytes) -> None:
    for model in (MetricRecord, SnapshotRecord):
        assert isinstance(decode(model, value), (Rejection, model))


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=12,
    )
)
def test_whatever_an_unknown_field_holds_is_ignored(extra: Any) -> None:
    value = json.dumps(sample(extra=extra)).encode("utf-8", "surrogatepass")
    verdict = decode(MetricRecord, value)
    holds_what_json_cannot = isinstance(verdict, Rejection) and verdict.reason is Reason.MALFORMED
    assert isinstance(verdict, MetricRecord) or holds_what_json_cannot


def spoil(value: bytes, position: int, replacement: bytes) -> bytes:
    position %= len(value) + 1
    return value[:position] + replacement + value[position + len(replacement) :]


ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        [
            *("2026-11-22T10:00:00Z", "2026-11-22 10:00:00Z", "2026-11-22t10:00:00z", "2026-W47-7T10:00:00Z"),
            *("2026-11-22T10:00:00,5Z", "2026-11-22T10:00:00.1234567Z", "2026-11-22T24:00:00Z", "2026-02-30T10:00:00Z"),
            *("2026-11-22T10:00:00+0100", "2026-11-22T10:00:00+01:00", "0001-01-01T00:00:00+23:59", "1795341600"),
            *("01932f5e7b1a7c3d8e4f0123456789ab", "{01932f5e-7b1a-7c3d-8e4f-0123456789ab}"),
            *("urn:uuid:01932f5e-7b1a-7c3d-8e4f-0123456789ab", "01932F5E-7B1A-7C3D-8E4F-0123456789AB"),
            *("host-b", "host-b\n", "-host", "", 86400.0, 2**31, 2**53, 100.00000001, -0.0, 1e-320),
        ]
    ),
)


def same_verdict(value: bytes) -> None:
    thorough, quick = decode(MetricRecord, value), decode_sample(value)
    assert quick == (thorough if isinstance(thorough, Rejection) else Sample.of(thorough))


@given(
    st.sampled_from(["id", "host_id", "timestamp", "cpu", "memory", "disk", "uptime", "instance", "sequence"]),
    ODD_VALUES,
)
def test_quick_and_thorough_decoding_agree_on_every_odd_value(name: str, value: Any) -> None:
    record = sample()
    (record["agent"] if name in record["agent"] else record)[name] = value
    same_verdict(json.dumps(record).encode("utf-8", "surrogatepass"))


@given(st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt _][0-9]{2}:[0-6][0-9]:[0-6][0-9]([.,][0-9]{0,7})?[Zz]\Z"))
def test_quick_and_thorough_decoding_agree_on_every_way_to_write_a_time(text: str) -> None:
    same_verdict(body(sample() | {"timestamp": text}))


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.integers(0, 26),
    st.sampled_from([*"0123456789TZtz:.-+ ,"]),
)
def test_quick_and_thorough_decoding_agree_on_a_time_with_one_character_changed(
    moment: datetime, position: int, character: str
) -> None:
    text = moment.isoformat().replace("+00:00", "Z")
    same_verdict(body(sample() | {"timestamp": text[:position] + character + text[position + 1 :]}))


@given(st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_quick_and_thorough_decoding_agree_on_spoilt_bytes(position: int, replacement: bytes) -> None:
    same_verdict(spoil(body(sample()), position, replacement))


@given(st.binary(max_size=300))
def test_quick_and_thorough_decoding_agree_on_any_bytes(value: bytes) -> None:
    same_verdict(value)
