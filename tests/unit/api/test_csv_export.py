"""Lists as CSV files: nothing in them is a formula, nothing is lost, and a file says whether it was cut."""

import csv
import io
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar import Litestar, Request, get
from litestar.exceptions import LitestarException
from litestar.testing import TestClient

from infrawatch_api.csv_export import Format, GrownError, Listing, Table, listed
from infrawatch_api.domain.csv_text import cell, guarded, lines, prefers_csv, unguarded
from infrawatch_api.pagination import Cursor, Limit

# Many of the marks that matter, and everything else now and then.
texts = st.text(st.sampled_from("=+-@\t\r\n '\"`;,|a1\u00a0\ufeff\u200b\uff1d\u2019") | st.characters(codec="utf-8"))
# What programs that look for numbers and formulas overlook before them.
OVERLOOKED = " '\"`\u00a0\ufeff\u200b\u2019"


def read(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def is_formula(text: str) -> bool:
    beginning = text.lstrip(OVERLOOKED)[:1]
    return not text.startswith("'") and beginning != "" and beginning in "=+-@\uff1d\t\r\n"


@given(st.lists(st.lists(texts, min_size=2, max_size=5), min_size=1, max_size=4))
def test_reading_a_file_back_gives_the_values_and_no_cell_is_a_formula(rows: list[list[str]]) -> None:
    cells = read(lines(rows))

    assert [[unguarded(one) for one in row] for row in cells] == rows
    assert not [one for row in cells for one in row if is_formula(one)]


@given(st.lists(st.lists(texts, min_size=2, max_size=5), min_size=1, max_size=4))
def test_a_program_that_separates_by_semicolons_or_tabs_finds_no_formula_either(rows: list[list[str]]) -> None:
    for delimiter in ";\t":
        cells = [one for row in read(lines(rows), delimiter) for one in row]
        assert not [one for one in cells if one.lstrip('"\u00a0\ufeff\u200b ')[:1] in tuple("=+-@\uff1d")]


@given(texts)
def test_guarding_can_be_undone(text: str) -> None:
    assert unguarded(guarded(text)) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("openssl", "openssl"),
        ("3.0.15-1", "3.0.15-1"),
        ("libstdc++6", "libstdc++6"),
        ("a@b", "a@b"),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t'=1"),
        ("\rx", "'\rx"),
        ("\nx", "'\nx"),
        ("  =1", "'  =1"),
        ('"=1"', '\'"=1"'),
        ("'=1", "''=1"),
        ("`=1", "'`=1"),
        ("\u2019=1", "'\u2019=1"),
        ("\ufeff=1", "'\ufeff=1"),
        ("\u200b\u00a0=1", "'\u200b\u00a0=1"),
        ("\uff1d1", "'\uff1d1"),
        ("a;=1", "a;'=1"),
        ("a\r\n=1", "a\r\n'=1"),
        ("it's", "it's"),
    ],
)
def test_what_could_be_read_as_a_formula_gets_an_apostrophe(text: str, shown: str) -> None:
    assert guarded(text) == shown


def test_values_are_written_as_the_api_writes_them() -> None:
    moment = datetime(2026, 11, 28, 3, tzinfo=timezone(timedelta(hours=1)))

    assert [cell(one) for one in (None, True, False, 5, 1.5, moment, UUID(int=1), Format.CSV)] == [
        *("", "true", "false", "5", "1.5", "2026-11-28T02:00:00Z"),
        "00000000-0000-0000-0000-000000000001",
        "csv",
    ]
    assert cell(-5) == "'-5"


def test_lines_are_those_of_rfc_4180() -> None:
    assert lines([["a,b", 'say "hi"', "c\nd"], [None, "", "e"]]) == '"a,b","say ""hi""","c\nd"\r\n,,e\r\n'


@pytest.mark.parametrize(
    ("accept", "preferred"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("text/*", False),
        ("application/json", False),
        ("text/csv", True),
        ("TEXT/CSV; q=0.5", True),
        ("text/csv, */*;q=0.1", True),
        ("application/json, text/csv;q=0.9", False),
        ("application/json;q=0.8, text/csv;q=0.9", True),
        ("text/csv;q=0", False),
        ("text/csv;q=inf", False),
        ("text/csv;q=nan,,;;", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
    ],
)
def test_the_accept_header_chooses(accept: str | None, preferred: bool) -> None:
    assert prefers_csv(accept) is preferred


TABLE: Table[int] = Table("numbers", {"number": lambda number: number, "text": lambda number: f"={number}"})


class Numbers:
    """So many numbers, from the greatest to 1; ``seen`` is what was asked of them."""

    def __init__(self, number: int, page: int = 10, rows: int = 25) -> None:
        self.number, self.seen = number, [0]
        self.api: Any = SimpleNamespace(settings=SimpleNamespace(csv_rows_max=rows, page_size=5, page_size_max=page))

    async def fetch(self, after: tuple[Any, ...] | None, limit: int) -> list[int]:
        self.seen.append(limit)
        first = after[0] - 1 if after else self.number
        return list(range(first, max(first - limit, 0), -1))

    async def count(self, after: tuple[Any, ...] | None, most: int) -> int:
        return min(after[0] - 1 if after else self.number, most)

    def client(self) -> TestClient[Litestar]:
        listing = Listing(TABLE, [int], lambda number: [number], self.fetch, self.count)

        @get("/")
        async def numbers(
            request: Request[Any, Any, Any], cursor: Cursor = None, limit: Limit = None
        ) -> dict[str, Any]:
            answer: Any = await listed(self.api, request, listing, form=None, cursor=cursor, limit=limit)
            return answer  # type: ignore[no-any-return]

        return TestClient(Litestar([numbers], logging_config=None))

    def file(self, **query: Any) -> Any:
        with self.client() as client:
            return client.get("/", params=query, headers={"Accept": "text/csv"})


def numbers_in(answer: Any) -> list[int]:
    header, *rows = read(answer.text)
    assert header == ["number", "text"]
    assert all(text == f"'={number}" for number, text in rows)
    return [int(number) for number, _ in rows]


@pytest.mark.parametrize("number", [0, 1, 9, 10, 11, 20, 24, 25])
def test_a_file_holds_all_and_says_so(number: int) -> None:
    numbers = Numbers(number)

    answer = numbers.file()

    assert numbers_in(answer) == list(range(number, 0, -1))
    assert answer.headers["x-truncated"] == "false"
    assert answer.headers["content-disposition"] == 'attachment; filename="numbers.csv"'
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("number", [26, 30, 500])
def test_a_file_that_is_cut_says_so_in_a_header_and_in_its_name(number: int) -> None:
    answer = Numbers(number).file()

    assert numbers_in(answer) == list(range(number, number - 25, -1))
    assert answer.headers["x-truncated"] == "true"
    assert answer.headers["content-disposition"] == 'attachment; filename="numbers-first-25.csv"'


@pytest.mark.parametrize(
    ("limit", "cut"), [(3, "true"), (9, "true"), (10, "true"), (15, "true"), (20, "false"), (99, "false")]
)
def test_a_limit_is_one_of_rows(limit: int, cut: str) -> None:
    answer = Numbers(20).file(limit=limit)

    assert numbers_in(answer) == list(range(20, max(20 - limit, 0), -1))
    assert answer.headers["x-truncated"] == cut


def test_a_file_is_read_in_pages() -> None:
    numbers = Numbers(500, page=10, rows=1000)

    assert len(numbers_in(numbers.file())) == 500
    assert max(numbers.seen) == 10


def test_a_file_begins_where_a_page_ended() -> None:
    numbers = Numbers(20)
    with numbers.client() as client:
        page = client.get("/").json()
        answer = client.get("/", params={"cursor": page["next_cursor"]}, headers={"Accept": "text/csv"})

    assert page["items"] + numbers_in(answer) == list(range(20, 0, -1))


def test_a_list_that_grows_meanwhile_breaks_the_download_instead_of_being_cut_in_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers = Numbers(26)

    async def count(_after: tuple[Any, ...] | None, _most: int) -> int:
        return 25

    monkeypatch.setattr(numbers, "count", count)
    with pytest.raises(LitestarException) as caught:
        numbers.file()
    assert isinstance(caught.value.__cause__, ExceptionGroup)
    assert caught.value.__cause__.subgroup(GrownError) is not None
