"""A content as a list of single things, so that a whole fleet can be counted.

Table ``facts`` has each of them once, by its digest: a name and a value together are longer than an index may hold.
"""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from infrawatch_common.drift.changes import Category, Key
from infrawatch_common.drift.content import Content

OS_NAME, KERNEL_NAME = "os_info", "kernel"
_DIGEST_SIZE = 16


class Fact(NamedTuple):
    """One thing that a snapshot says. ``source`` is empty but for packages."""

    category: Category
    source: str
    name: str
    value: str

    @property
    def about(self) -> Key:
        """What it is about."""
        return Key(self.category, self.source, self.name)


def facts_of(content: Content) -> Iterator[Fact]:
    """Every thing that a content says, once. A source without packages says nothing here."""
    yield Fact(Category.OS, "", OS_NAME, content.os_info)
    yield Fact(Category.KERNEL, "", KERNEL_NAME, content.kernel)
    for source, packages in content.packages.items():
        for name, version in packages.items():
            yield Fact(Category.PACKAGE, source, name, version)
    for name, value in content.env_vars.items():
        yield Fact(Category.ENV, "", name, value)


def subject(about: Key) -> bytes:
    """The digest (16 bytes) that stands for what a change or a fact is about. None of its parts may hold NUL."""
    return _digest(about.category, about.source, about.name)


def fact_key(fact: Fact) -> bytes:
    """The digest (16 bytes) that stands for a fact. None of its parts may hold NUL."""
    return _digest(fact.category, fact.source, fact.name, fact.value)


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()[:_DIGEST_SIZE]
