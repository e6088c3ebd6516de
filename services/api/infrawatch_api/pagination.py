"""Pages: one way for all lists.

A list fetches one item more than it shows, which tells whether there is a next page.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from litestar.params import QueryParameter

from infrawatch_api.contract.common import Page
from infrawatch_api.domain.cursor import Key, decode_cursor, encode_cursor

ItemT = TypeVar("ItemT")

Limit = Annotated[int | None, QueryParameter(ge=1, le=2**31 - 1, description="Most items of the page.")]
Cursor = Annotated[str | None, QueryParameter(description="The next_cursor of the page before.")]


@dataclass(frozen=True, slots=True)
class Paging:
    """``limit`` items that come after ``after``, the sort keys of the last item of the page before."""

    limit: int
    after: tuple[Any, ...] | None

    @property
    def fetch(self) -> int:
        """How many items to ask the database for."""
        return self.limit + 1

    @property
    def after_text(self) -> str | None:
        """The only sort key, where it is a text."""
        return str(self.after[0]) if self.after else None

    def page(self, items: list[ItemT], keys: Callable[[ItemT], Sequence[Key]]) -> Page[ItemT]:
        """The page of what was fetched; ``keys`` are the sort keys of an item."""
        shown = items[: self.limit]
        more = len(items) > self.limit
        return Page(shown, encode_cursor(keys(shown[-1])) if more else None)


def paging(cursor: str | None, limit: int | None, kinds: Sequence[type[Key]], *, default: int, most: int) -> Paging:
    """Which page is asked for; limits beyond ``most`` mean ``most``. Raises ``InvalidInputError``."""
    after = tuple(decode_cursor(cursor, kinds)) if cursor is not None else None
    return Paging(min(limit or default, most), after)
