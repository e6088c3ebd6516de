"""The digest of a content is the same when the content is, and only then."""

import json
import random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_common.drift.content import Content, digest
from infrawatch_common.events import SnapshotRecord, decode

SNAPSHOT: dict[str, Any] = {
    "id": "0193f2c0-0000-7000-8000-000000000001",
    "host_id": "web-1",
    "timestamp": "2026-11-22T10:00:00Z",
    "os_info": "Debian GNU/Linux 12 (bookworm)",
    "kernel": "6.1.0-18-amd64",
    "packages": {"dpkg": {"openssl": "3.0.15-1", "sudo": "1.9.13"}, "python:/opt/venv": {}},
    "env_vars": {"LANG": "C", "PATH": "/usr/bin"},
    "host": {"name": "web-1", "tags": {"env": "prod"}},
    "agent": {"instance": str(UUID(int=1)), "sequence": 1},
}


def read(snapshot: Any, **dumping: Any) -> Content:
    """The content as a service reads it from a message."""
    record = decode(SnapshotRecord, json.dumps(snapshot, **dumping).encode())
    assert isinstance(record, SnapshotRecord)
    return Content.of(record)


def shuffled(value: Any, chance: random.Random) -> Any:
    if not isinstance(value, dict):
        return value
    items = [(name, shuffled(inner, chance)) for name, inner in value.items()]
    chance.shuffle(items)
    return dict(items)


@given(st.randoms(use_true_random=False), st.sampled_from([None, 2, "\t"]), st.booleans())
def test_order_white_space_and_escapes_of_a_message_never_count(
    chance: random.Random, indent: Any, escaped: bool
) -> None:
    again = read(shuffled(SNAPSHOT, chance), indent=indent, ensure_ascii=escaped)
    assert again == read(SNAPSHOT)
    assert digest(again) == digest(read(SNAPSHOT))


def test_when_and_by_whom_it_was_said_does_not_count() -> None:
    other = SNAPSHOT | {"timestamp": "2026-11-23T10:00:00Z", "id": str(UUID(int=9)), "unknown": 1.0}
    assert digest(read(other)) == digest(read(SNAPSHOT))


@pytest.mark.parametrize(
    "difference",
    [
        {"os_info": "Debian GNU/Linux 13"},
        {"kernel": ""},
        {"packages": {"dpkg": {"openssl": "3.0.15-1", "sudo": "1.9.13"}}},
        {"packages": SNAPSHOT["packages"] | {"rpm": {}}},
        {"packages": {"dpkg": {"openssl": "3.0.15-1", "sudo": "1.9.14"}, "python:/opt/venv": {}}},
        {"packages": {"dpkg": {"openssl": "3.0.15-1"}, "python:/opt/venv": {"sudo": "1.9.13"}}},
        {"env_vars": {"LANG": "C "} | {"PATH": "/usr/bin"}},
        {"env_vars": {}},
    ],
)
def test_every_true_difference_counts(difference: dict[str, Any]) -> None:
    assert digest(read(SNAPSHOT | difference)) != digest(read(SNAPSHOT))


WORDS = st.sampled_from(["", "0", "1", "2", "a", "packages", "env_vars", "dpkg"])
TABLES = st.dictionaries(WORDS, WORDS, max_size=2)
CONTENTS = st.builds(Content, WORDS, WORDS, st.dictionaries(WORDS, TABLES, max_size=2), TABLES)


@given(CONTENTS, CONTENTS)
def test_digests_are_equal_exactly_when_contents_are(a: Content, b: Content) -> None:
    assert (digest(a) == digest(b)) is (a == b)


def test_the_digest_stays_what_it_is_from_release_to_release() -> None:
    # It is stored: another one would make every host seem changed.
    assert digest(read(SNAPSHOT)).hex() == "ef80c2d1c4ce5c5bf6dbbe9220530b92b6b87d90040f0df3f93755bef326ad71"


def test_nul_which_divides_the_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        digest(Content("a\0b", "", {}, {}))
