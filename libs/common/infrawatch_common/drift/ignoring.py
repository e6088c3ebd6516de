"""Ignore rules: which changes nobody is to be bothered with, decided here, and in the same words in SQL."""

import fnmatch
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from infrawatch_common.drift.changes import Category, Key

# The advisory lock (hashtextextended of this, with 0) that writers of changes share while they go by the rules, and
# that whoever creates or deletes a rule has alone.
IGNORES_LOCK = "infrawatch drift: ignores"

# Names of these sources' packages may hold colons themselves.
_PYTHON = "python:"
_CACHED = 4096


class Ignore(NamedTuple):
    """Covers the changes for which all of this holds; None and what is empty hold for every change.

    ``sources``, ``names``: one of these globs, in which ``*`` is any text, ``?`` any one character and everything else
    itself, matches the whole text. A package of one architecture (``libc6:amd64``) goes by its name alone, too.
    ``selector``: the host has all these tags.
    """

    id: UUID
    category: Category | None
    sources: tuple[str, ...]
    names: tuple[str, ...]
    selector: Mapping[str, str]


def covers(ignore: Ignore, key: Key, tags: Mapping[str, str]) -> bool:
    """Whether the rule is for a change of ``key`` on a host that has ``tags``."""
    return (
        (ignore.category is None or ignore.category is key.category)
        and (not ignore.sources or _matches(ignore.sources, key.source))
        and (not ignore.names or any(_matches(ignore.names, name) for name in _names(key)))
        and all(tags.get(name) == value for name, value in ignore.selector.items())
    )


def first_covering(ignores: Iterable[Ignore], key: Key, tags: Mapping[str, str]) -> Ignore | None:
    """The first of the rules that is for a change of ``key`` on a host that has ``tags``."""
    return next((ignore for ignore in ignores if covers(ignore, key, tags)), None)


def like_pattern(glob: str) -> str:
    """The pattern with which SQL's ``LIKE`` matches what the glob matches."""
    for special in ("\\", "%", "_"):
        glob = glob.replace(special, "\\" + special)
    return glob.replace("*", "%").replace("?", "_")


def _names(key: Key) -> tuple[str, ...]:
    if key.category is Category.PACKAGE and ":" in key.name and not key.source.startswith(_PYTHON):
        return key.name, key.name.partition(":")[0]
    return (key.name,)


def _matches(globs: tuple[str, ...], text: str) -> bool:
    return _compiled(globs).match(text) is not None


@lru_cache(_CACHED)
def _compiled(globs: tuple[str, ...]) -> re.Pattern[str]:
    # What fnmatch makes of globs takes no longer for texts that were made to take long; only its sets are not wanted.
    return re.compile("|".join(fnmatch.translate(glob.replace("[", "[[]")) for glob in globs))
