"""However a snapshot is read, the verdict is that of the contract's model."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_common.drift import reading
from infrawatch_common.drift.content import Content, digest
from infrawatch_common.drift.reading import Limits, Snapshot, SnapshotReader, content_of
from infrawatch_common.events import Reason, Rejection, SnapshotRecord, decode

LIMITS = Limits(max_bytes=20_000, env_vars=6, packages=6)
GENEROUS = Limits(max_bytes=2 * 1024 * 1024, env_vars=10_000, packages=100_000)
INSTANCE = "5f0c5d2e-8d5a-4c39-9a39-2f2f7b0f7a11"
TAIL = f',"agent":{{"instance":"{INSTANCE}","sequence":7}}}}'


def snapshot(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A valid snapshot, in the order in which agents write it."""
    return {
        "id": str(UUID(int=0x01932F5E7B1A7C3D8E4F000000000000 + number)),
        "host_id": "web-1",
        "timestamp": f"2026-11-22T10:{number:02}:00.123Z",
        "os_info": "Debian GNU/Linux 13 (trixie)",
        "kernel": "6.12.48+deb13-amd64",
        "packages": {"dpkg": {"openssl": "3.5.1-1", "libc6": "2.41-12"}, "python:/opt/venv": {}},
        "env_vars": {"LANG": "C.UTF-8", "PATH": "/usr/bin"},
        "host": {"name": "web-1", "tags": {"env": "prod"}},
        "agent": {"instance": INSTANCE, "sequence": number},
        **changes,
    }


def body(record: Any) -> bytes:
    """As an agent writes it."""
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def verdict(value: bytes, limits: Limits) -> tuple[Snapshot, Content] | Rejection | Reason:
    """What the contract says, and the limits. The sentence about a limit is the reader's own."""
    if len(value) > limits.max_bytes:
        return Reason.TOO_LARGE
    record = decode(SnapshotRecord, value)
    if isinstance(record, Rejection):
        return record
    packages = sum(len(listed) for listed in record.packages.values())
    if len(record.env_vars) > limits.env_vars or packages > limits.packages:
        return Reason.TOO_LARGE
    content, host = Content.of(record), record.host
    about = (record.id, record.host_id, record.timestamp, digest(content), host.name, host.tags)
    return Snapshot(*about, None), content


def same_verdict(value: bytes, reader: SnapshotReader) -> None:
    expected, found = verdict(value, LIMITS), reader.read(value)
    if isinstance(found, Rejection):
        assert expected in (found, found.reason)
        return
    assert not isinstance(expected, (Rejection, Reason))
    assert found._replace(content=None) == expected[0]
    assert found.content in (None, expected[1])
    assert content_of(value) == expected[1]


def same_verdicts(value: bytes) -> None:
    """Whether the reader saw nothing before, the snapshot that this one was made from, or this very body."""
    same_verdict(value, SnapshotReader(LIMITS))
    reader = SnapshotReader(LIMITS)
    assert isinstance(reader.read(body(snapshot())), Snapshot)
    same_verdict(value, reader)
    same_verdict(value, reader)


TEXTS = [
    *("", "\0", "\\", '"', '\\"', "\ud800", "\x7f", "ä" * 512, "𝄞" * 513, "ä" * 4097),
    *("x" * length for length in (512, 513, 4096, 4097)),
]
SPECIAL_VALUES: list[Any] = [
    *TEXTS,
    *({text: text} for text in TEXTS),
    *({"dpkg": {text: text}} for text in TEXTS),
    *({str(n): "" for n in range(number)} for number in (6, 7)),
    *({"dpkg": {str(n): "" for n in range(number)}, "rpm": {"x": ""}} for number in (5, 6)),
    *("2026-11-22T10:00:00Z", "2026-11-22 10:00:00Z", "2026-11-22t10:00:00z", "2026-11-22T10:00:00,5Z"),
    *("2026-11-22T10:00:00.1234567Z", "2026-11-22T24:00:00Z", "2026-02-30T10:00:00Z", "0001-01-01T00:00:00Z"),
    *("2026-11-22T10:00:00+0100", "2026-11-22T10:00:00+01:00", "0001-01-01T00:00:00+23:59", "1795341600"),
    *("01932f5e7b1a7c3d8e4f0123456789ab", "{01932f5e-7b1a-7c3d-8e4f-0123456789ab}"),
    *("urn:uuid:01932f5e-7b1a-7c3d-8e4f-0123456789ab", "01932F5E-7B1A-7C3D-8E4F-0123456789AB"),
    *("0-1932f5e7b1a-7c3d-8e4f-0123456789ab", "web-1\n", "-web", "w" * 128, "w" * 129),
    *(None, True, [], {}, 0, -1, 1.0, 1.5, 2**53 - 1, 2**53, 10**16, 2**64, 1e300, float("nan")),
]
ANY_TEXT = st.text(max_size=12) | st.sampled_from(TEXTS)
ODD_VALUES = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), ANY_TEXT, st.lists(ANY_TEXT, max_size=2)),
    st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=8),
    st.dictionaries(ANY_TEXT, st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=4), max_size=4),
)


def in_order(record: dict[str, Any]) -> dict[str, Any]:
    """The agent last, as agents write it."""
    return {**{name: value for name, value in record.items() if name != "agent"}, "agent": record["agent"]}


def places(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Every member of the objects in a value."""
    for name, inner in list(value.items()):
        yield value, name
        if isinstance(inner, dict):
            yield from places(inner)


@pytest.mark.parametrize("value", SPECIAL_VALUES, ids=lambda value: ascii(value)[:40])
def test_quick_and_thorough_reading_agree_on_special_values_everywhere(value: Any) -> None:
    for place in range(len(list(places(snapshot())))):
        record = snapshot(1)
        within, key = list(places(record))[place]
        within[key] = value
        same_verdicts(body(record))


@given(st.integers(min_value=0), st.sampled_from(["replace", "rename", "add", "remove"]), ANY_TEXT, ODD_VALUES)
def test_quick_and_thorough_reading_agree_on_every_odd_member(place: int, what: str, name: str, value: Any) -> None:
    record = snapshot(1)
    members = list(places(record))
    within, key = members[place % len(members)]
    if what == "replace":
        within[key] = value
    elif what == "add":
        within[name] = value
    else:
        kept = within.pop(key)
        if what == "rename":
            within[name] = kept
    same_verdicts(body(record))


@given(st.integers(0, 1000), st.binary(min_size=1, max_size=3), st.integers(0, 3))
def test_quick_and_thorough_reading_agree_on_spoilt_bytes(position: int, piece: bytes, cut: int) -> None:
    value = body(snapshot(1))
    position %= len(value) + 1
    same_verdicts(value[:position] + piece + value[position + cut :])


PIECES = [
    *('"id":1,', '"\\u0069d":1,', '"LANG":"C",', '"LANG":"D",', '"L\\u0041NG":"C",', '"dpkg":{},', '"sequence":1,'),
    *('"x":{"a":1,"a":2},', '"x":[[[[]]]],', '"x":NaN,', '"x":1e400,', '"x":"\\u0000",', '"x":"\\ud800",', '"":"",'),
    *('"x":"\\ud834\\udd1e",', '"a\\u0000b":"c",', '"a":"b\\nc\\t\\/",', '"a":"\\"",', '"a":"\\\\",', '"a":"\\\\\\"",'),
    *('"a":"\\x",', f'"x":{"[" * 150}{"]" * 150},', f'"x":{"[" * 4000}{"]" * 4000},', f'"x":{"1" * 4301},'),
    # What looks like as many escaped quotation marks as there are too many.
    '"a":"\\\\","b":"\\\\","c":"\\\\","d":"\\\\","LANG":"D",',
    *(" \t\r\n", "\ufeff", TAIL, TAIL[1:-1] + ",", '"agent":{"agent":{}},', ',"agent":{"', '","agent":{"instance":"'),
]


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece[:20])
def test_quick_and_thorough_reading_agree_on_what_is_put_in_between(piece: str) -> None:
    value = body(snapshot(1)).decode()
    for position in range(len(value) + 1):
        if value[position - 1] in '{,"}':
            same_verdicts((value[:position] + piece + value[position:]).encode())


@given(st.randoms(use_true_random=False), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_quick_and_thorough_reading_agree_in_whatever_form_a_snapshot_comes(
    chance: random.Random, indent: Any, escaped: bool
) -> None:
    members = list(snapshot(1, os_info="Ubuntu „LTS“", unknown='{"agent":').items())
    chance.shuffle(members)
    same_verdicts(json.dumps(dict(members), indent=indent, ensure_ascii=escaped).encode())


def agent(sequence: str) -> str:
    return f'{{"instance":"{INSTANCE}","sequence":{sequence}}}'


# What takes the place of the values that a reader looks at alone when the rest is as it was.
WHOLE_VALUES = [
    *(f'"{UUID(int=5)}","id":"{UUID(int=6)}"', f'"{UUID(int=5)}","x":"y"', f' "{UUID(int=5)}"', "}", '"', ""),
    *(agent("01"), agent('1,"sequence":2'), agent("1.0"), agent("1e2"), agent('1,"instance":"x"')),
    f'{{"sequence":1,"instance":"{INSTANCE}"}}',
    *(agent(str(number)) for number in (0, 2**53 - 1, 2**53, 10**16)),
    *(agent("1") + more for more in (',"x":1', " ", "}", ',"id":1')),
    *(json.dumps(value) for value in SPECIAL_VALUES),
]


@pytest.mark.parametrize("text", WHOLE_VALUES, ids=lambda text: text[:40])
@pytest.mark.parametrize("name", ["id", "timestamp", "host_id", "agent"])
def test_quick_and_thorough_reading_agree_on_what_else_is_new_in_an_unchanged_snapshot(name: str, text: str) -> None:
    record = snapshot()
    same_verdicts(body(record).replace(body(record[name]), text.encode(), 1))


HOSTILE: list[Callable[[str], str]] = [
    lambda text: text,
    lambda text: f'{{"x":{text[:-1]}}}',
    lambda text: text.replace('"env_vars":{', '"env_vars":{"A":"' + TAIL.replace('"', '\\"') + '",'),
    lambda text: text.replace('"env_vars":{', '"env_vars":{"A":",\\"agent\\":{\\"",'),
    lambda text: text.replace(',"agent"', ',"extra":{"a":1' + TAIL + ',"agent"'),
    lambda text: text[:-1] + ',"extra":{"a":1' + TAIL + "}",
    lambda text: text[:-1] + ',"extra":{"a":1' + TAIL,
    lambda text: text[:-1] + ',"extra":"a' + TAIL,
    lambda text: text + "\n",
    lambda text: text + "}",
    lambda text: "\ufeff" + text,
]


@pytest.mark.parametrize("first", HOSTILE)
@pytest.mark.parametrize("second", HOSTILE)
def test_what_was_read_before_never_makes_another_body_pass(
    first: Callable[[str], str], second: Callable[[str], str]
) -> None:
    reader = SnapshotReader(LIMITS)
    for number, form in enumerate((first, second, first)):
        same_verdict(form(body(snapshot(number)).decode()).encode(), reader)


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["web-1", "web-2"]), st.booleans()), max_size=12))
def test_any_series_of_snapshots_is_read_as_each_is_alone(series: list[tuple[int, str, bool]]) -> None:
    reader = SnapshotReader(LIMITS)
    for number, (kernel, host_id, is_valid) in enumerate(series):
        record = snapshot(number, kernel=f"6.{kernel}", host_id=host_id, os_info="Debian" if is_valid else None)
        same_verdict(body(record), reader)


def test_a_snapshot_of_the_usual_form_is_read_without_the_model() -> None:
    quoted = snapshot(1, env_vars={"LANG": "é", "OPTIONS": '--color="always"\n'}, host={"name": "web-1"})
    with patch.object(reading, "decode", side_effect=AssertionError):
        for record in (snapshot(1), quoted, dict(reversed(snapshot(1).items()))):
            found = SnapshotReader(LIMITS).read(body(record))
            assert isinstance(found, Snapshot)
            assert found.content is not None
            assert found.content.env_vars == record["env_vars"]


def test_a_snapshot_that_says_nothing_new_is_not_decoded_in_whatever_form_it_came() -> None:
    said = {"os_info": "\\\\ and ä", "unknown": [1, "x"]}
    records = [in_order(snapshot(number) | said) for number in range(3)]
    values = [json.dumps(record, separators=(",", ":")).encode() for record in records]
    reader = SnapshotReader(LIMITS)
    first = reader.read(values[0])
    assert isinstance(first, Snapshot)
    with patch.object(reading, "decode", side_effect=AssertionError), patch.object(reading, "_decode", None):
        for record, value in zip(records[1:], values[1:], strict=True):
            found = reader.read(value)
            assert isinstance(found, Snapshot)
            assert str(found.id) == record["id"]
            assert (found.digest, found.name, found.tags) == (first.digest, first.name, first.tags)
            assert found.content is None


def test_the_hosts_that_were_longest_not_heard_of_are_forgotten() -> None:
    with patch.object(reading, "_HOSTS_MAX", 2):
        reader = SnapshotReader(LIMITS)
        hosts = ["web-1", "web-2", "web-1", "web-3", "web-1", "web-2"]
        found = [reader.read(body(snapshot(number, host_id=host))) for number, host in enumerate(hosts)]
    known = [isinstance(one, Snapshot) and one.content is None for one in found]
    assert known == [False, False, True, False, True, False]


def test_names_and_tags_that_are_too_long_to_remember_are_read_each_time() -> None:
    reader = SnapshotReader(LIMITS)
    for number in range(2):
        tags = {"note": "x" * 2000}
        found = reader.read(body(snapshot(number, host={"name": "web-1", "tags": tags})))
        assert isinstance(found, Snapshot)
        assert found.tags == tags
        assert found.content is not None


def test_a_snapshot_of_one_megabyte_is_taken() -> None:
    packages = {"dpkg": {f"package-{number:05}": "1.0" + "~" * 40 for number in range(18_000)}}
    value = body(snapshot(packages=packages))
    assert len(value) > 1024 * 1024
    found = SnapshotReader(GENEROUS).read(value)
    assert isinstance(found, Snapshot)
    assert found.content is not None
    assert found.content.packages == packages


@pytest.mark.parametrize(
    ("changes", "numbers", "remedy"),
    [
        ({"os_info": "x" * 10_000_000}, ("10000", "2097152"), "INFRAWATCH_SNAPSHOT_MAX_BYTES"),
        ({"env_vars": {f"V{n}": "" for n in range(50_000)}}, ("50000", "10000"), "INFRAWATCH_SNAPSHOT_ENV_VARS_MAX"),
        (
            {"packages": {f"source-{s}": {f"p{n}": "" for n in range(33_334)} for s in range(4)}},
            ("133336", "100000"),
            "INFRAWATCH_SNAPSHOT_PACKAGES_MAX",
        ),
    ],
)
def test_what_is_too_large_is_refused_with_its_size_and_what_to_do(
    changes: dict[str, Any], numbers: tuple[str, str], remedy: str
) -> None:
    found = SnapshotReader(GENEROUS).read(body(snapshot(**changes)))
    assert isinstance(found, Rejection)
    assert found.reason is Reason.TOO_LARGE
    assert all(number in found.detail for number in numbers)
    assert remedy in found.detail


def test_the_largest_snapshot_that_is_taken_has_as_many_bytes_as_the_limit_says() -> None:
    value = body(snapshot())
    assert isinstance(SnapshotReader(LIMITS._replace(max_bytes=len(value))).read(value), Snapshot)
    assert isinstance(SnapshotReader(LIMITS._replace(max_bytes=len(value) - 1)).read(value), Rejection)


def test_a_body_without_a_snapshot_has_no_content() -> None:
    with pytest.raises(ValueError, match="no snapshot"):
        content_of(b"{}")


@given(st.binary(max_size=300))
def test_no_bytes_make_reading_raise(value: bytes) -> None:
    same_verdicts(value)
