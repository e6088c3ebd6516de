"""Times, ranges, buckets and cursors, with properties."""

import base64
import json
import math
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_api.domain.buckets import Range, parse_bucket, parse_range, plan_buckets
from infrawatch_api.domain.cursor import Key, decode_cursor, encode_cursor
from infrawatch_api.domain.durations import iso_8601, read_duration, read_seconds
from infrawatch_api.domain.inputs import InvalidInputError, parse_tags, parse_time
from infrawatch_api.pagination import paging

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
YEAR = timedelta(days=400)
moments = st.datetimes(datetime(1970, 1, 2), datetime(2199, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moments, zones)
def test_every_time_of_the_years_in_use_is_read(moment: datetime, zone: timezone) -> None:
    assert parse_time("from", moment.astimezone(zone).isoformat()) == moment


@given(st.text())
def test_whatever_is_no_time_is_refused_by_field(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_time("from", text)
    assert caught.value.field == "from"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1", 1),
        ("300", 300),
        ("30s", 30),
        ("5m", 300),
        ("1h", 3600),
        ("1d", 86_400),
        ("2w", 1_209_600),
        ("PT1S", 1),
        ("PT5M", 300),
        ("PT1H30M", 5400),
        ("P1D", 86_400),
        ("P1DT12H", 129_600),
        ("P1W", 604_800),
        ("PT90M", 5400),
    ],
)
def test_buckets_are_read(text: str, seconds: int) -> None:
    assert parse_bucket(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0s",
        "PT0S",
        "P",
        "PT",
        "P1DT",
        "5 m",
        "5M",
        "-5m",
        "1.5",
        "1e3",
        "٣",
        "5m\n",
        "P1M",
        "P1Y",
        "367d",
        "9" * 9 + "w",
    ],
)
def test_what_is_no_bucket_is_refused_by_field(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_bucket(text)
    assert caught.value.field == "bucket"


@given(st.text(alphabet="PTDHMSWsmhdw0123456789.-"))
def test_a_bucket_is_whole_seconds_or_refused(text: str) -> None:
    try:
        width = parse_bucket(text)
    except InvalidInputError:
        return
    assert width.microseconds == 0
    assert timedelta(seconds=1) <= width <= timedelta(days=366)


@given(moments, st.timedeltas(timedelta(microseconds=1), timedelta(days=30)), st.integers(1, 366 * 86_400))
def test_buckets_cover_the_range_and_no_more(start: datetime, length: timedelta, seconds: int) -> None:
    covered, width = Range(start, start + length), timedelta(seconds=seconds)

    plan = plan_buckets(covered, width, most=10_000_000)

    assert plan.first <= covered.start < plan.first + width
    assert plan.first + (plan.count - 1) * width < covered.end <= plan.first + plan.count * width
    assert (plan.first - datetime(2000, 1, 3, tzinfo=UTC)) % width == timedelta(0)


def test_too_many_buckets_are_refused_with_the_limit() -> None:
    covered = Range(NOW, NOW + timedelta(seconds=10))
    assert plan_buckets(covered, timedelta(seconds=1), most=10).count == 10

    with pytest.raises(InvalidInputError, match="at most 9") as caught:
        plan_buckets(covered, timedelta(seconds=1), most=9)
    assert caught.value.field == "bucket"


def test_ranges() -> None:
    assert parse_range(None, None, NOW, YEAR) == Range(NOW - timedelta(hours=1), NOW)
    assert parse_range(None, "2026-11-22T09:00:00+01:00", NOW, YEAR).end == NOW - timedelta(hours=2)
    assert parse_range("2026-11-22T09:00:00Z", None, NOW, YEAR).start == NOW - timedelta(hours=1)
    for start, end in (("2026-11-22T10:00:00Z", None), ("2020-01-01T00:00:00Z", None), (None, "1970-01-01T00:00:00Z")):
        if end is None:
            with pytest.raises(InvalidInputError):
                parse_range(start, end, NOW, YEAR)
        else:
            assert parse_range(start, end, NOW, YEAR).end.year == 1970


keys = st.one_of(
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.text(alphabet=st.characters(codec="utf-8"), max_size=60).filter(str.isprintable),
    moments,
    st.uuids(),
)


@given(st.lists(keys, min_size=1, max_size=5))
def test_a_cursor_leads_back_to_where_it_was_made(position: list[Key]) -> None:
    kinds = [type(key) for key in position]

    cursor = encode_cursor(position)

    assert decode_cursor(cursor, kinds) == position
    assert cursor.isascii()
    assert "=" not in cursor


@given(st.one_of(st.text(), st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode())))
def test_any_other_text_is_refused_as_cursor(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        decode_cursor(text, [datetime, uuid.UUID])
    assert caught.value.field == "cursor"


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        (["a", "b"], [str]),
        ([], [str]),
        ([5], [str]),
        (["5"], [int]),
        ([True], [int]),
        ([2**63], [int]),
        ([5.0], [int]),
        (["a\0b"], [str]),
        (["\ud800"], [str]),
        (["2026-11-22T10:00:00"], [datetime]),
        (["x"], [uuid.UUID]),
        ({"a": 1}, [str]),
        ("a", [str]),
        (5, [int]),
        ([None], [str]),
    ],
)
def test_a_cursor_of_another_form_is_refused(value: object, kinds: list[type[Key]]) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    with pytest.raises(InvalidInputError):
        decode_cursor(cursor, kinds)


def test_a_deep_or_long_cursor_is_refused() -> None:
    for text in (base64.urlsafe_b64encode(b"[" * 1500).decode(), "A" * 3000):
        with pytest.raises(InvalidInputError):
            decode_cursor(text, [str])


@given(st.integers(0, 10**9))
def test_a_duration_is_read_as_it_is_told(seconds: int) -> None:
    duration = timedelta(seconds=seconds)

    assert read_duration(iso_8601(duration)) == read_seconds(seconds) == read_seconds(float(seconds)) == duration


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "PT0S"),
        (timedelta(minutes=5), "PT5M"),
        (timedelta(minutes=90), "PT1H30M"),
        (timedelta(days=30), "P30D"),
        (timedelta(days=1, seconds=1), "P1DT1S"),
        (timedelta(seconds=1.5), "PT1.5S"),
        (timedelta(microseconds=10), "PT0.00001S"),
    ],
)
def test_durations_are_told_in_iso_8601(duration: timedelta, text: str) -> None:
    assert iso_8601(duration) == text


@pytest.mark.parametrize("number", [-1, -0.5, 0.5, 1e300, 10**10, math.inf, math.nan])
def test_what_is_no_number_of_seconds(number: float) -> None:
    assert read_seconds(number) is None


@given(st.integers(0, 40), st.integers(1, 12))
def test_pages_show_everything_once(total: int, limit: int) -> None:
    shown: list[int] = []
    cursor = None
    while True:
        wanted = paging(cursor, limit, [int], default=5, most=10)
        after = wanted.after[0] if wanted.after else 0
        page = wanted.page(list(range(after + 1, total + 1))[: wanted.fetch], lambda item: [item])
        assert len(page.items) <= min(limit, 10)
        shown += page.items
        if (cursor := page.next_cursor) is None:
            break

    assert shown == list(range(1, total + 1))


def test_tags() -> None:
    assert parse_tags(["env:prod", "url:http://x:1", "empty:"]) == [
        {"env": "prod"},
        {"url": "http://x:1"},
        {"empty": ""},
    ]
    for text in ("env", ":x", "", "a:\0"):
        with pytest.raises(InvalidInputError):
            parse_tags([text])
