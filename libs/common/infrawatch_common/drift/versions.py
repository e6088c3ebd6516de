"""Which of two versions is newer, by the order of the source that they come from.

A version becomes a key, which Python compares as the source's own tool compares versions. So every order is total, and
"unknown" is said exactly of what a source would not take for a version.
"""

import re
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from string import ascii_letters
from typing import Any

from packaging.version import Version

_Key = tuple[Any, ...]


class Order(StrEnum):
    """What the first of two versions is, compared with the second."""

    OLDER = "older"
    SAME = "same"
    NEWER = "newer"
    UNKNOWN = "unknown"


# A fleet upgrades from and to the same versions.
@lru_cache(maxsize=4096)
def order(source: str, a: str, b: str) -> Order:
    """What ``a`` is compared with ``b``, both listed by ``source`` (``dpkg``, ``rpm``, ``apk``, ``python:…``).

    A package that is there in several versions (``"6.1-1, 6.1-2"``) counts as its newest. ``UNKNOWN`` of other sources
    and of texts that are no versions, unless they are equal letter by letter.
    """
    if a == b:
        return Order.SAME
    key = _KEYS.get(source.partition(":")[0])
    ours, theirs = (None, None) if key is None else (_newest(key, a), _newest(key, b))
    if ours is None or theirs is None:
        return Order.UNKNOWN
    if ours == theirs:
        return Order.SAME
    return Order.OLDER if ours < theirs else Order.NEWER


def _newest(key: Callable[[str], Any], text: str) -> Any:
    """The key of the newest of the versions in a text; None if any of them is none."""
    keys = [key(version) for version in text.split(", ")]
    return None if None in keys else max(keys)


# The same few numbers and letters are in all versions.
@lru_cache(maxsize=1024)
def _number(digits: str) -> tuple[int, str]:
    """Sorts digits as numbers, however many they are."""
    significant = digits.lstrip("0")
    return len(significant), significant


_DPKG = re.compile(r"(?:([0-9]+):)?([A-Za-z0-9.+~:-]+?)(?:-([A-Za-z0-9.+~]+))?")
_DPKG_PARTS = re.compile(r"([^0-9]*)([0-9]*)")
_DPKG_RANKS = {"~": -1} | {letter: ord(letter) for letter in ascii_letters} | {mark: 256 + ord(mark) for mark in "+-.:"}


def dpkg_key(version: str) -> _Key | None:
    """Debian Policy 5.6.12 and deb-version(7): epoch, upstream version, revision (none is as 0)."""
    match = _DPKG.fullmatch(version)
    if match is None or version.endswith("-"):
        return None
    epoch, upstream, revision = match.groups(default="")
    return _number(epoch), _debian(upstream), _debian(revision or "0")


def _debian(text: str) -> _Key:
    """What is no number, then a number, and so on; each in the order that Debian Policy gives.

    "The letters sort earlier than all the non-letters and a tilde sorts before anything, even the end of a part."
    """
    key: list[Any] = []
    for others, digits in _DPKG_PARTS.findall(text):
        if others or digits:
            key += (_debian_ranks(others), _number(digits))
    return (*key, (0,))


@lru_cache(maxsize=1024)
def _debian_ranks(others: str) -> tuple[int, ...]:
    return (*map(_DPKG_RANKS.__getitem__, others), 0)


_RPM = re.compile(r"(?:([0-9]+):)?([!-+.-9;-~]+?)(?:-([!-+.-9;-~]+))?")
_RPM_PARTS = re.compile(r"(~)|(\^)|([A-Za-z]+)|([0-9]+)")
_RPM_TILDE, _RPM_END, _RPM_CARET, _RPM_LETTERS, _RPM_NUMBER = range(5)
_RPM_RANKS = (_RPM_TILDE, _RPM_CARET, _RPM_LETTERS, _RPM_NUMBER)


def rpm_key(version: str) -> _Key | None:
    """rpm-version(7): epoch (none is 0), version, release (none is before any)."""
    match = _RPM.fullmatch(version)
    if match is None:
        return None
    epoch, upstream, release = match.groups(default="")
    return _number(epoch), _rpm(upstream), _rpm(release)


def _rpm(text: str) -> _Key:
    """Runs of digits or letters, whatever separates them: ``~`` < end < ``^`` < letters < digits."""
    key: list[Any] = []
    for match in _RPM_PARTS.finditer(text):
        rank, part = _RPM_RANKS[(match.lastindex or 0) - 1], match.group()
        key.append((rank, _number(part) if rank == _RPM_NUMBER else part))
    return (*key, (_RPM_END,))


_APK = re.compile(
    r"(?P<first>[0-9]+)(?P<more>(?:\.[0-9]+)*)(?P<letter>[a-z]?)"
    r"(?P<suffixes>(?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)[0-9]*)*)(?:~(?P<hash>[0-9a-f]+))?(?:-r(?P<build>[0-9]+))?"
)
_APK_SUFFIX = re.compile(r"_([a-z]+)([0-9]*)")
_APK_SUFFIXES = {name: rank for rank, name in enumerate(("alpha", "beta", "pre", "rc", "cvs", "svn", "git", "hg", "p"))}
# Where two versions part, the one with the later of these is newer.
_BEFORE_RELEASE, _END, _BUILD, _HASH, _SUFFIX_NUMBER, _SUFFIX, _LETTER, _NUMBER = range(8)


def apk_key(version: str) -> _Key | None:
    """apk-package(5): ``number{.number}{letter}{_suffix{number}}{~hash}{-r#}``.

    _alpha, _beta, _pre, _rc are before the release; _cvs, _svn, _git, _hg, _p after it. A number with a leading zero,
    except the first, is compared as text, as apk-tools does it.
    """
    match = _APK.fullmatch(version)
    if match is None:
        return None
    key: list[Any] = [_number(match["first"])]
    numbers = match["more"].split(".")[1:]
    key += [(_NUMBER, (0, digits) if digits.startswith("0") else _number(digits)) for digits in numbers]
    if match["letter"]:
        key.append((_LETTER, match["letter"]))
    for name, digits in _APK_SUFFIX.findall(match["suffixes"]):
        key.append((_BEFORE_RELEASE if _APK_SUFFIXES[name] < _APK_SUFFIXES["cvs"] else _SUFFIX, _APK_SUFFIXES[name]))
        if digits:
            key.append((_SUFFIX_NUMBER, _number(digits)))
    if match["hash"]:
        key.append((_HASH, match["hash"]))
    if match["build"]:
        key.append((_BUILD, _number(match["build"])))
    return (*key, (_END,))


def python_key(version: str) -> Version | None:
    """PEP 440; None for versions from before it."""
    try:
        return Version(version)
    except ValueError:
        return None


_KEYS: dict[str, Callable[[str], Any]] = {"dpkg": dpkg_key, "rpm": rpm_key, "apk": apk_key, "python": python_key}
