"""What lists of a fleet are sorted by, as numbers and texts that a cursor can hold."""

import hashlib

from infrawatch_api.domain.fleet import Majority
from infrawatch_common.drift.changes import Category, Key

_RANKS = {category: rank for rank, category in enumerate(Category)}
_LONGEST = 32
_LAST = "~"  # sorts after every digit and letter

MajorityRank = tuple[int, int, str, str, str]
DeviationRank = tuple[str, int, str, str]
# The kinds of their parts, for cursors.
MAJORITY_RANK = (int, int, str, str, str)
DEVIATION_RANK = (str, int, str, str)


def majority_rank(label: str | None, majority: Majority) -> MajorityRank:
    """What most hosts deviate in comes first; then os, kernel, packages and env, by name, source and group."""
    return -majority.deviating, *_subject_rank(majority.key), _group_rank(label)


def deviation_rank(label: str | None, key: Key) -> DeviationRank:
    """By group, the one without label last; then os, kernel, packages and env, by name and source."""
    return _group_rank(label), *_subject_rank(key)


def sortable(text: str) -> str:
    """Printable, short, and sorts as the text does, but for texts that begin alike for long."""
    rest = text[_LONGEST:]
    # The mark sorts before every digit, so that a text comes before those that it begins.
    return f"{text[:_LONGEST].encode().hex()}!{hashlib.sha256(rest.encode()).hexdigest()[:16] if rest else ''}"


def _subject_rank(key: Key) -> tuple[int, str, str]:
    return _RANKS[key.category], sortable(key.name), sortable(key.source)


def _group_rank(label: str | None) -> str:
    return _LAST if label is None else sortable(label)
