"""Ignore rules cover what they say, and nothing that merely looks like it."""

import re
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrawatch_common.drift.changes import Category, Key
from infrawatch_common.drift.ignoring import Ignore, covers, first_covering, like_pattern

# Few letters, so that globs often match; and all that is special to globs, LIKE or regular expressions.
_LETTERS = "ab:%_\\[]!^.\n-"
globs = st.text(_LETTERS + "*?", min_size=1, max_size=6)
texts = st.text(_LETTERS, max_size=6)
lists = st.lists(globs, max_size=3).map(tuple)
tags = st.dictionaries(st.sampled_from(["env", "role"]), st.sampled_from("xy"))
keys = st.builds(Key, st.sampled_from(Category), st.sampled_from(["", "dpkg", "python:/a", "a%b"]), texts)
ignores = st.builds(Ignore, st.just(UUID(int=1)), st.none() | st.sampled_from(Category), lists, lists, tags)


def matches(glob: str, text: str) -> bool:
    """As it is told to people, letter by letter."""
    if not glob:
        return not text
    if glob[0] == "*":
        return any(matches(glob[1:], text[start:]) for start in range(len(text) + 1))
    return bool(text) and glob[0] in {"?", text[0]} and matches(glob[1:], text[1:])


def like(pattern: str, text: str) -> bool:
    """As SQL's LIKE does it."""
    parts = re.findall(r"\\.|%|_|[^\\]", pattern, re.DOTALL)
    assert "".join(parts) == pattern
    expression = "".join({"%": ".*", "_": "."}.get(part) or re.escape(part[-1]) for part in parts)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def ignore(**fields: Any) -> Ignore:
    return Ignore(**{"id": UUID(int=1), "category": None, "sources": (), "names": (), "selector": {}, **fields})


@given(ignores, keys, tags)
def test_a_rule_covers_that_for_which_all_that_it_says_holds(rule: Ignore, key: Key, tags: Mapping[str, str]) -> None:
    names = {key.name}
    if key.category is Category.PACKAGE and not key.source.startswith("python:"):
        names.add(key.name.split(":")[0])

    assert covers(rule, key, tags) == (
        rule.category in (None, key.category)
        and (rule.sources == () or any(matches(glob, key.source) for glob in rule.sources))
        and (rule.names == () or any(matches(glob, name) for glob in rule.names for name in names))
        and rule.selector.items() <= tags.items()
    )


@given(globs, texts)
def test_a_pattern_of_sql_matches_what_its_glob_matches(glob: str, text: str) -> None:
    assert like(like_pattern(glob), text) == matches(glob, text)


@pytest.mark.parametrize(
    ("key", "covered"),
    [
        (Key(Category.PACKAGE, "dpkg", "libc6"), True),
        (Key(Category.PACKAGE, "dpkg", "libc6:amd64"), True),
        (Key(Category.PACKAGE, "rpm", "libc6"), True),
        (Key(Category.PACKAGE, "python:/usr/bin/python3", "libc6:x"), False),
        (Key(Category.ENV, "", "libc6:amd64"), False),
        (Key(Category.PACKAGE, "dpkg", "libc6-dev"), False),
        (Key(Category.PACKAGE, "dpkg", "LIBC6"), False),
        (Key(Category.SOURCE, "dpkg", ""), False),
    ],
)
def test_a_package_of_one_architecture_goes_by_its_name_alone_too(key: Key, covered: bool) -> None:
    assert covers(ignore(names=("libc6",)), key, {}) is covered


def test_the_first_rule_that_covers_a_change_has_it() -> None:
    rules = [
        ignore(id=UUID(int=1), category=Category.ENV),
        ignore(id=UUID(int=2), selector={"env": "prod"}),
        ignore(id=UUID(int=3), names=("tz*",)),
        ignore(id=UUID(int=4)),
    ]
    key = Key(Category.PACKAGE, "dpkg", "tzdata")

    for given_rules, given_tags, number in (
        (rules, {"env": "prod", "role": "db"}, 2),
        (rules, {"env": "dev"}, 3),
        (rules[::-1], {}, 4),
    ):
        found = first_covering(given_rules, key, given_tags)
        assert found is not None
        assert found.id == UUID(int=number)
    assert first_covering(rules[:2], key, {}) is None


def test_a_name_that_was_made_to_take_long_takes_no_longer() -> None:
    rule = ignore(names=("*a" * 30 + "b",))
    began = time.process_time()

    assert not covers(rule, Key(Category.ENV, "", "a" * 4000), {})
    assert time.process_time() - began < 1
