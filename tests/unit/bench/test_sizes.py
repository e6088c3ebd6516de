from dataclasses import fields
from pathlib import Path

import pytest

from bench.__main__ import BENCHMARKS, main
from bench.sizes import SizeError, Sizes, parse

PAGE = Path(__file__).parents[3] / "docs" / "benchmarks.md"


def test_sizes_come_from_the_environment_and_empty_ones_are_unset() -> None:
    assert parse({"BENCH_RECORDS": "50000", "BENCH_ROUNDS": "", "HOME": "/"}) == Sizes(records=50_000)


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", "²"])
def test_a_wrong_size_is_refused_by_name(text: str) -> None:
    with pytest.raises(SizeError, match=r"^BENCH_ROUNDS is .* whole number above 0$"):
        parse({"BENCH_ROUNDS": text})


def test_an_unknown_size_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(SizeError, match=r"^there is no BENCH_ROUND; the sizes are BENCH_ROUNDS, BENCH_RECORDS,"):
        parse({"BENCH_ROUND": "1"})


def test_an_unknown_benchmark_is_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drain", "drane"]) == 2
    assert "there is no benchmark drane; the benchmarks are drain" in capsys.readouterr().err


def test_the_page_of_benchmarks_has_every_name_and_every_size_with_its_default() -> None:
    page = PAGE.read_text()
    for field in fields(Sizes):
        assert f"| `BENCH_{field.name.upper()}` | {field.default:,} |" in page
    for name in BENCHMARKS:
        assert f"`{name}`" in page
