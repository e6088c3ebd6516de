"""The spool on disk: order, bound, and what a crash leaves."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infrawatch_agent.spool import END, Entry, Spool, put_aside

SMALLEST = 8_000_000


def spool(directory: Path, max_bytes: int = SMALLEST) -> Spool:
    return Spool(directory / "spool.sqlite", max_bytes)


def append(made: Spool, *bodies: bytes) -> list[int]:
    return made.append([("topic", body) for body in bodies])


def waiting(made: Spool, limit: int = 10_000_000, **options: object) -> list[Entry]:
    return made.read(0, END, limit=limit, **{"most_bytes": END, **options})  # type: ignore[arg-type]


def remove(made: Spool, entries: list[Entry]) -> None:
    made.remove(frozenset(entry.number for entry in entries))


def test_records_come_back_in_order_and_stay_until_they_are_removed(tmp_path: Path) -> None:
    made = spool(tmp_path)
    for number in range(5):
        append(made, b"%d" % number)
    first = waiting(made, 2)
    assert [entry.body for entry in first] == [b"0", b"1"]
    assert waiting(made, 2) == first
    remove(made, first)
    assert [entry.body for entry in waiting(made)] == [b"2", b"3", b"4"]
    made.close()


def test_what_was_spooled_is_there_after_a_restart(tmp_path: Path) -> None:
    made = spool(tmp_path)
    append(made, b"record")
    made.close()
    again = spool(tmp_path)
    assert (again.records, again.bytes) == (1, 6)
    assert waiting(again)[0].body == b"record"
    again.close()


def test_a_read_takes_no_more_bytes_than_it_may_but_always_one_record(tmp_path: Path) -> None:
    made = spool(tmp_path)
    append(made, b"a" * 100, b"b" * 100, b"c" * 100)
    assert len(waiting(made, most_bytes=250)) == 2
    assert len(waiting(made, most_bytes=1)) == 1
    made.close()


def test_a_read_leaves_out_topics_and_numbers(tmp_path: Path) -> None:
    made = spool(tmp_path)
    numbers = made.append([("a", b"0"), ("b", b"1"), ("a", b"2"), ("a", b"3")])
    found = waiting(made, 2, without={"b"}, skip={numbers[0]})
    assert [entry.body for entry in found] == [b"2", b"3"]
    made.close()


def test_a_full_spool_drops_the_oldest_and_counts_them_across_restarts(tmp_path: Path) -> None:
    made = spool(tmp_path)
    for number in range(30):
        append(made, b"%d" % number + b"x" * 500_000)
    kept = [int(entry.body.rstrip(b"x")) for entry in waiting(made)]
    assert kept == list(range(made.dropped, 30))
    assert 0 < made.dropped < 25
    made.close()
    again = spool(tmp_path)
    assert again.dropped == 30 - len(kept)
    again.close()


def test_removing_what_was_dropped_meanwhile_changes_nothing(tmp_path: Path) -> None:
    made = spool(tmp_path)
    append(made, b"a")
    in_flight = waiting(made, 1)
    for _ in range(5):
        append(made, b"b" * 2_000_000)
    counts = made.records, made.bytes
    remove(made, in_flight)
    assert (made.records, made.bytes) == counts
    made.close()


def test_a_damaged_file_is_put_aside_once_and_collection_goes_on(tmp_path: Path) -> None:
    for _ in range(2):
        for name in ("spool.sqlite", "spool.sqlite-wal"):
            (tmp_path / name).write_bytes(b"this is no database" * 1000)
        made = spool(tmp_path)
        append(made, b"record")
        assert made.records == 1
        made.close()
    assert [path.name for path in tmp_path.glob("*broken*")] == ["spool.sqlite.broken"]


def test_what_belongs_to_a_damaged_file_is_not_taken_for_the_new_ones(tmp_path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"spool.sqlite{suffix}").write_bytes(b"old")
    put_aside(tmp_path / "spool.sqlite")
    assert [path.name for path in tmp_path.iterdir()] == ["spool.sqlite.broken"]


@settings(max_examples=25)
@given(st.lists(st.one_of(st.integers(1, 2_000_000), st.integers(1, 600), st.none()), max_size=40))
def test_the_files_stay_within_the_bound_and_the_counts_are_those_of_the_file(steps: list[int | None]) -> None:
    """A number appends that many bytes; None removes the three oldest."""
    with TemporaryDirectory() as directory:
        check_bound(Path(directory) / "spool.sqlite", steps)


def check_bound(path: Path, steps: list[int | None]) -> None:
    made = Spool(path, SMALLEST)
    for step in steps:
        if step is None:
            remove(made, waiting(made, 3))
        else:
            append(made, b"x" * step)
        assert made.file_bytes() <= SMALLEST
    made.close()
    with sqlite3.connect(path) as database:
        counted = database.execute("SELECT count(*), coalesce(sum(length(body)), 0) FROM records").fetchone()
    database.close()
    assert counted == (made.records, made.bytes)


def test_an_emptied_spool_gives_its_space_back(tmp_path: Path) -> None:
    made = spool(tmp_path)
    for _ in range(40):
        append(made, b"x" * 100_000)
    full = made.file_bytes()
    for entry in waiting(made):
        remove(made, [entry])
    assert made.file_bytes() < full / 2
    made.close()


def test_a_torn_tail_costs_no_more_than_the_records_in_it(tmp_path: Path) -> None:
    """A power cut leaves any beginning of the write-ahead log, and garbage behind it."""
    made = spool(tmp_path)
    for number in range(20):
        append(made, b"%d" % number)
    log = (tmp_path / "spool.sqlite-wal").read_bytes()
    found: list[int] = []
    for cut in [*range(0, len(log), 1000), len(log)]:
        torn = tmp_path / f"torn-{cut}"
        torn.mkdir()
        shutil.copy(tmp_path / "spool.sqlite", torn)
        (torn / "spool.sqlite-wal").write_bytes(log[:cut] + b"\xff" * 3000)
        again = spool(torn)
        kept = [int(entry.body) for entry in waiting(again)]
        assert kept == list(range(len(kept)))
        append(again, b"20")
        again.close()
        found.append(len(kept))
    made.close()
    assert found == sorted(found)
    assert (min(found), max(found)) == (0, 20)


APPENDER = """
import sys
from pathlib import Path
from infrawatch_agent.spool import Spool
made = Spool(Path(sys.argv[1]), 8_000_000)
number = made.records
while True:
    made.append([("topic", b"%d " % number + b"x" * (number * 7919 % 20_000))])
    print(number, flush=True)
    number += 1
"""


@pytest.mark.parametrize("after", range(0, 40, 8))
def test_what_was_spooled_survives_a_kill_in_the_middle_of_a_write(tmp_path: Path, after: int) -> None:
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", APPENDER, str(tmp_path / "spool.sqlite")], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        told = [int(process.stdout.readline()) for _ in range(after + 1)]
        process.kill()
        told += [int(line) for line in process.stdout.read().splitlines()]
        process.wait()
        process.stdout.close()
        made = spool(tmp_path)
        kept = [int(entry.body.split(b" ")[0]) for entry in waiting(made)]
        made.close()
        assert kept == list(range(len(kept)))
        assert max(told) < len(kept) <= max(told) + 2
