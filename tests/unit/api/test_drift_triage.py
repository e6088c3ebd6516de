"""What is wrong with verdicts, baselines and ignore rules, by field."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_api.domain.drift_ignores import contradictions, is_everything
from infrawatch_api.domain.drift_triage import TriageVerdict, about, in_force, objections
from infrawatch_common.drift.changes import Category, Key
from infrawatch_common.drift.facts import KERNEL_NAME, OS_NAME
from infrawatch_common.drift.ignoring import Ignore, covers

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)
globs = st.text("*?a", min_size=1, max_size=3)
lists = st.lists(globs, max_size=2).map(tuple)
rules = st.builds(
    Ignore,
    st.just(UUID(int=0)),
    st.none() | st.sampled_from(Category),
    lists,
    lists,
    st.dictionaries(st.just("env"), st.just("x")),
)
# Between them they tell any two rules apart that are not the same.
TELLING = [
    Key(category, source, name) for category in Category for source in ("", "z") for name in ("", "z", "a", "zzzz")
]


@pytest.mark.parametrize("verdict", TriageVerdict)
def test_only_what_is_accepted_can_expire_and_only_later(verdict: TriageVerdict) -> None:
    accepted = verdict is TriageVerdict.ACCEPTED

    assert objections(verdict, None, NOW) == {}
    assert (objections(verdict, NOW + SECOND, NOW) == {}) is accepted
    assert list(objections(verdict, NOW, NOW)) == ["expires_at"]


@pytest.mark.parametrize(
    ("expires_at", "ended_at", "counts"),
    [
        (None, None, True),
        (NOW + SECOND, None, True),
        (NOW, None, False),
        (None, NOW, False),
        (NOW + SECOND, NOW, False),
    ],
)
def test_a_baseline_counts_until_it_expires_or_is_ended(
    expires_at: datetime | None, ended_at: datetime | None, counts: bool
) -> None:
    assert in_force(expires_at, ended_at, NOW) is counts


@pytest.mark.parametrize(
    ("given_words", "meant"),
    [
        ((Category.PACKAGE, "dpkg", "vim"), Key(Category.PACKAGE, "dpkg", "vim")),
        ((Category.ENV, "", "PATH"), Key(Category.ENV, "", "PATH")),
        ((Category.OS, "", ""), Key(Category.OS, "", OS_NAME)),
        ((Category.KERNEL, "", KERNEL_NAME), Key(Category.KERNEL, "", KERNEL_NAME)),
        ((Category.PACKAGE, "", ""), ["name", "source"]),
        ((Category.ENV, "dpkg", ""), ["name", "source"]),
        ((Category.OS, "dpkg", "Debian"), ["name", "source"]),
        ((Category.SOURCE, "dpkg", ""), ["category"]),
    ],
)
def test_one_thing_is_meant_or_it_is_said_what_is_wrong(given_words: Any, meant: Any) -> None:
    found = about(*given_words)

    assert (sorted(found) if isinstance(found, dict) else found) == meant


@given(rules)
def test_a_rule_is_everything_if_no_change_of_any_host_escapes_it(rule: Ignore) -> None:
    assert is_everything(rule) == all(covers(rule, key, {}) for key in TELLING)


@pytest.mark.parametrize(
    ("category", "fields"),
    [
        (None, []),
        (Category.PACKAGE, []),
        (Category.ENV, ["sources"]),
        (Category.SOURCE, ["names"]),
        (Category.OS, ["names", "sources"]),
        (Category.KERNEL, ["names", "sources"]),
    ],
)
def test_a_rule_that_is_for_nothing_is_refused(category: Category | None, fields: list[str]) -> None:
    rule = Ignore(UUID(int=0), category, ("*",), ("*",), {})

    assert sorted(contradictions(rule, 1)) == fields
    assert contradictions(rule._replace(sources=(), names=()), 1) == {}
    assert "at most 0" in contradictions(rule._replace(category=None), 0)["sources"]
