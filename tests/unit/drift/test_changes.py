"""Changes as JSON and in words, and what is kept from people."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_agent.domain.secrets import looks_secret
from infrawatch_common.drift.changes import Action, Category, Change, Direction, sentence, shown
from infrawatch_common.drift.hiding import HIDDEN, hidden

ENV, PACKAGE, SOURCE = Category.ENV, Category.PACKAGE, Category.SOURCE
VALUES = st.none() | st.text() | st.dictionaries(st.text(), st.text())
CHANGES = st.builds(
    Change,
    st.sampled_from(Category),
    st.text(),
    st.text(),
    st.sampled_from(Action),
    VALUES,
    VALUES,
    st.none() | st.sampled_from(Direction),
)


@given(CHANGES)
def test_a_change_comes_back_from_json(change: Change) -> None:
    assert Change.from_json(json.loads(json.dumps(change.as_json()))) == change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Change(Category.KERNEL, "", "kernel", Action.CHANGED, "6.1", "6.12"), "the kernel changed: 6.1 to 6.12"),
        (
            Change(Category.OS, "", "os_info", Action.CHANGED, "", "a\nb"),
            'the operating system changed: "" to a\ufffdb',
        ),
        (
            Change(PACKAGE, "dpkg", "openssl", Action.CHANGED, "3.0.15-1", "3.0.16-1", Direction.UPGRADED),
            "openssl (dpkg) upgraded: 3.0.15-1 to 3.0.16-1",
        ),
        (Change(PACKAGE, "rpm", "vim", Action.ADDED, None, "9"), "vim (rpm) came: 9"),
        (Change(PACKAGE, "rpm", "vim", Action.REMOVED, "9", None), "vim (rpm) went: 9"),
        (Change(SOURCE, "dpkg", "", Action.REMOVED, {"a": "1", "b": "2"}, None), "all of dpkg went: 2 packages"),
        (Change(SOURCE, "apk", "", Action.ADDED, None, {"a": "1"}), "all of apk came: 1 package"),
        (Change(ENV, "", "TZ", Action.CHANGED, "UTC", "CET"), "TZ changed: UTC to CET"),
        (Change(ENV, "", "DB", Action.CHANGED, "hmac:aa", "hmac:bb"), "DB changed"),
        (Change(ENV, "", "API_TOKEN", Action.ADDED, None, "letmein"), "API_TOKEN came: (hidden)"),
        (Change(ENV, "", "URL", Action.REMOVED, "http://me:pass@db/", None), "URL went: (hidden)"),
    ],
)
def test_what_happened_in_words(change: Change, words: str) -> None:
    assert sentence(change) == words


def test_only_what_is_secret_is_hidden() -> None:
    change = Change(ENV, "", "PATH", Action.CHANGED, "/usr/bin", "hmac:00")
    assert shown(change) == change._replace(after=HIDDEN)
    package = Change(PACKAGE, "dpkg", "password-store", Action.ADDED, None, "hmac:1")
    assert shown(package) == package


NAMES = ["PATH", "PASS", "API_KEY", "KEYMAP", "CONN_STR", "PWD", "_", "word"]
KEYS = ["ghp_", "a1" * 16, "AKIAABCDEFGHIJKLMNOP", "eyJabcdefgh.eyJabcdefgh.x", "-----BEGIN RSA PRIVATE KEY-----"]
PARTS = [*NAMES, *KEYS, "://u:p@h", "Bearer ", "/", " ", "\n", "0"]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=4).map("".join)


@given(TEXTS, TEXTS)
def test_what_an_agent_calls_secret_is_hidden_here_too(name: str, value: str) -> None:
    assert (hidden(name, value) == HIDDEN) is looks_secret(name, value)
