"""Values as cells of a CSV file, which spreadsheet programs open too: none of them becomes a formula there.

What agents send is data. A cell that begins as a formula does gets an apostrophe before it, which such programs take
for "this is text". ``unguarded`` takes it away again, so that nothing is lost.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

Cell = str | int | float | datetime | UUID | None

# What programs overlook at the beginning of a cell: spaces and marks that are not seen, and quotes.
_OVERLOOKED = (
    "[\x00-\x08\x0b\x0c\x0e-\x20\x7f-\xa0\xad"
    "\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff"
    "\"'`\u2018-\u201f]*"
)
_FORMULA = "[=+\\-@\uff1d\uff0b\uff0d\uff20]"  # and their wide forms
_BREAKS = "\t\r\n"
# Where a cell begins, or would begin for a program that separates cells by semicolons or tabs, and knows no quotes.
_BEGINNING = f"(?:\\A|(?<=[;{_BREAKS}]))"
_GUARDED = f"(?:{_BEGINNING}(?={_OVERLOOKED}{_FORMULA})|\\A(?={_OVERLOOKED}[{_BREAKS}]))"
_TO_GUARD = re.compile(_GUARDED)
_PLAIN = re.compile(f"[A-Za-z0-9][^;{_BREAKS}]*")  # nearly all cells
_GUARD = re.compile(f"(?:{_BEGINNING}'(?={_OVERLOOKED}{_FORMULA})|\\A'(?={_OVERLOOKED}[{_BREAKS}]))")
_ACCEPTED = re.compile(r"\s*([^\s;,]+)\s*(?:;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*)?", re.ASCII)


def guarded(text: str) -> str:
    """The text with an apostrophe wherever a program could begin to read a formula; ``unguarded`` is its inverse."""
    return text if _PLAIN.fullmatch(text) else _TO_GUARD.sub("'", text)


def unguarded(text: str) -> str:
    """The text that ``guarded`` was given."""
    return _GUARD.sub("", text)


def cell(value: Cell) -> str:
    """A value as it stands in a file: nothing for None, RFC 3339 in UTC for times, and never a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return guarded(str(value))


def lines(rows: Iterable[Sequence[Cell]]) -> str:
    """Rows as RFC 4180 has them: commas, quotes where they are needed, and CRLF after each."""
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\r\n").writerows([cell(value) for value in row] for row in rows)
    return written.getvalue()


def prefers_csv(accept: str | None) -> bool:
    """Whether an ``Accept`` header names CSV, and wants it no less than JSON."""
    wanted = {}
    for part in (accept or "").lower().split(","):
        if found := _ACCEPTED.fullmatch(part):
            wanted[found[1]] = float(found[2]) if found[2] else 1.0
    return wanted.get("text/csv", 0.0) > 0 and wanted["text/csv"] >= wanted.get("application/json", 0.0)
