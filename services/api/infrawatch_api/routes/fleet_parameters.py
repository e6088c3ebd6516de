"""Parameters of questions about the fleet, and the time that its pages are as of."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from litestar.params import QueryParameter

from infrawatch_api.domain.cursor import Key, decode_cursor
from infrawatch_api.domain.inputs import InvalidInputError, parse_time
from infrawatch_common.drift.changes import Category

AsOf = Annotated[str | None, QueryParameter(name="at", description="RFC 3339 time as of which; now by default.")]
TagFilter = Annotated[
    list[str] | None, QueryParameter(max_items=64, description="A tag as key:value; repeat it for several.")
]
GroupBy = Annotated[
    str | None,
    QueryParameter(max_length=512, description="The tag to group hosts by; without it all hosts are one group."),
]
CategoryFilter = Annotated[Category | None, QueryParameter(description="What it is: os, kernel, package or env.")]
SourceFilter = Annotated[str | None, QueryParameter(max_length=4096, description="Source of packages, such as dpkg.")]
NameFilter = Annotated[str | None, QueryParameter(max_length=4096, description="Name of a package or variable.")]


def as_of(
    text: str | None, cursor: str | None, kinds: Sequence[type[Key]], now: datetime, *, field: str = "at"
) -> datetime:
    """The time that a question is about. Cursors of ``kinds`` begin with it, so that all pages are of the same time.

    Raises ``InvalidInputError``.
    """
    if cursor is not None:
        began = decode_cursor(cursor, kinds)[0]
        assert isinstance(began, datetime), "cursors begin with a time"
        return began
    return parse_time(field, text) if text is not None else now


def subject_category(category: Category | None) -> Category | None:
    """The category, if subjects can be of it: a whole source is none. Raises ``InvalidInputError``."""
    if category is Category.SOURCE:
        raise InvalidInputError("category", "should be os, kernel, package or env")
    return category
