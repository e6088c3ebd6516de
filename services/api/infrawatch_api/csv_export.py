"""Lists as CSV files: for whoever asks with ``?format=csv`` or ``Accept: text/csv``.

A file has at most ``INFRAWATCH_CSV_ROWS_MAX`` rows. It is read and sent in pages, so that memory does not grow with it,
and whether it was cut is known before its first row: the header ``X-Truncated`` says it, and so does the file's name.
A failure on the way breaks the connection, so that no half of a file passes for a whole one.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from litestar import Request
from litestar.params import QueryParameter
from litestar.response import Stream

from infrawatch_api.api import Api
from infrawatch_api.domain.csv_text import Cell, lines, prefers_csv
from infrawatch_api.domain.cursor import Key
from infrawatch_api.pagination import Paging, paging

MEDIA_TYPE = "text/csv"
# The key in a route's ``opt`` that says that it can answer with a file; the OpenAPI document needs to know.
CSV = "csv"
_CONTENT_TYPE = f"{MEDIA_TYPE}; charset=utf-8; header=present"

ItemT = TypeVar("ItemT")


class Format(StrEnum):
    """How a list is answered."""

    JSON = "json"
    CSV = "csv"


FormatParameter = Annotated[
    Format | None,
    QueryParameter(
        name="format",
        description="csv: a file with all rows, or as many as limit says; X-Truncated says whether there are more."
        " So does Accept: text/csv.",
    ),
]


class GrownError(Exception):
    """A list that was to fit in one file has grown beyond it while it was sent."""


@dataclass(frozen=True, slots=True)
class Table(Generic[ItemT]):
    """How items become rows: the name of the file, without ending, and for each column its title and value."""

    name: str
    columns: Mapping[str, Callable[[ItemT], Cell]]

    @classmethod
    def of(cls, name: str, struct: type[ItemT], first: Sequence[str] = ()) -> "Table[ItemT]":
        """A column for each field of a msgspec struct, whose values must be cells; those of ``first`` come first."""
        fields = [field.name for field in msgspec.structs.fields(struct)]  # type: ignore[arg-type]
        return cls(name, {field: attrgetter(field) for field in dict.fromkeys([*first, *fields])})

    def rows(self, items: Sequence[ItemT]) -> str:
        """The lines of items."""
        return lines([value(item) for value in self.columns.values()] for item in items)


@dataclass(frozen=True, slots=True)
class Listing(Generic[ItemT]):
    """A list that can be had in pages. ``keys`` are the sort keys of an item, of these ``kinds``. ``fetch`` gives at
    most so many items that come after such keys; ``count`` says how many there are, or so many if there are more.
    """

    table: Table[ItemT]
    kinds: Sequence[type[Key]]
    keys: Callable[[ItemT], Sequence[Key]]
    fetch: Callable[[tuple[Any, ...] | None, int], Awaitable[list[ItemT]]]
    count: Callable[[tuple[Any, ...] | None, int], Awaitable[int]]


def wants_csv(request: Request[Any, Any, Any], form: Format | None) -> bool:
    """Whether the answer is to be a file."""
    return form is Format.CSV or (form is None and prefers_csv(request.headers.get("accept")))


async def listed(
    api: Api,
    request: Request[Any, Any, Any],
    listing: Listing[ItemT],
    *,
    form: Format | None,
    cursor: str | None,
    limit: int | None,
) -> Any:
    """The answer to a request for a list: a page of it, or the file. Raises ``InvalidInputError``."""
    as_file = wants_csv(request, form)
    most = api.settings.csv_rows_max if as_file else api.settings.page_size_max
    default = api.settings.csv_rows_max if as_file else api.settings.page_size
    wanted = paging(cursor, limit, listing.kinds, default=default, most=most)
    if as_file:
        return await _file(listing, wanted, api.settings.page_size_max)
    return wanted.page(await listing.fetch(wanted.after, wanted.fetch), listing.keys)


def table_answer(table: Table[ItemT], items: Sequence[ItemT], *, cut: bool = False) -> Stream:
    """The file of items that are all there; ``cut``: there would have been more."""

    async def once() -> AsyncIterator[str]:
        yield lines([list(table.columns)]) + table.rows(items)

    return _stream(table, once(), len(items), cut=cut)


async def _file(listing: Listing[ItemT], wanted: Paging, size: int) -> Stream:
    first = await listing.fetch(wanted.after, min(wanted.fetch, size))
    whole = wanted.fetch <= size or len(first) < size
    cut = wanted.limit < (len(first) if whole else await listing.count(wanted.after, wanted.fetch))
    return _stream(listing.table, _sent(listing, first, wanted.limit, size, cut=cut), wanted.limit, cut=cut)


async def _sent(listing: Listing[ItemT], items: list[ItemT], most: int, size: int, *, cut: bool) -> AsyncIterator[str]:
    yield lines([list(listing.table.columns)])
    left = most
    while items and left > 0:
        shown = items[:left]
        yield listing.table.rows(shown)
        left -= len(shown)
        items = await listing.fetch(tuple(listing.keys(shown[-1])), min(left, size) or 1)
    if items and not cut:
        msg = f"{listing.table.name} has grown while it was sent"
        raise GrownError(msg)


def _stream(table: Table[Any], content: AsyncIterator[str], rows: int, *, cut: bool) -> Stream:
    name = f"{table.name}-first-{rows}" if cut else table.name
    headers = {
        "Content-Type": _CONTENT_TYPE,  # as media_type, the one of the route would win
        "Content-Disposition": f'attachment; filename="{name}.csv"',
        "Cache-Control": "no-store",
        "Vary": "Accept",
        "X-Truncated": "true" if cut else "false",
    }
    return Stream(content, headers=headers)
