import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from infrawatch_agent.spool import Spool


def spool(directory: Path, max_bytes: int = 10_000) -> Spool:
    return Spool(directory / "spool.sqlite", max_bytes)


def test_records_come_back_in_order_and_stay_until_they_are_removed(tmp_path: Path) -> None:
    made = spool(tmp_path)
    for number in range(5):
        made.append("topic", b"%d" % number)
    first = made.oldest(2)
    assert [entry.body for entry in first] == [b"0", b"1"]
    assert made.oldest(2) == first
    made.remove(first)
    assert [entry.body for entry in made.oldest(10)] == [b"2", b"3", b"4"]
    made.close()


def test_what_was_spooled_is_there_after_a_restart(tmp_path: Path) -> None:
    made = spool(tmp_path)
    made.append("topic", b"record")
    made.close()
    again = spool(tmp_path)
    assert (again.records, again.bytes) == (1, 6)
    assert again.oldest(1)[0].body == b"record"
    again.close()


def test_a_full_spool_drops_the_oldest_and_counts_them_across_restarts(tmp_path: Path) -> None:
    made = spool(tmp_path, max_bytes=30)
    for number in range(5):
        made.append("topic", b"%010d" % number)
    assert made.dropped == 2
    assert [int(entry.body) for entry in made.oldest(10)] == [2, 3, 4]
    made.close()
    again = spool(tmp_path, max_bytes=30)
    assert again.dropped == 2
    again.close()


def test_removing_what_was_dropped_meanwhile_changes_nothing(tmp_path: Path) -> None:
    made = spool(tmp_path, max_bytes=20)
    made.append("topic", b"a" * 10)
    in_flight = made.oldest(1)
    made.append("topic", b"b" * 20)
    made.remove(in_flight)
    assert (made.records, made.bytes) == (1, 20)
    made.close()


def test_a_damaged_file_is_put_aside_and_collection_goes_on(tmp_path: Path) -> None:
    (tmp_path / "spool.sqlite").write_bytes(b"this is no database" * 100)
    made = spool(tmp_path)
    made.append("topic", b"record")
    assert made.records == 1
    assert len(list(tmp_path.glob("spool.sqlite.broken-*"))) == 1
    made.close()


@given(st.lists(st.one_of(st.integers(1, 40), st.none()), max_size=60))
def test_the_bound_holds_and_the_counts_are_those_of_the_file(steps: list[int | None]) -> None:
    """A number appends that many bytes; None removes the three oldest."""
    with TemporaryDirectory() as directory:
        check_bound(Path(directory) / "spool.sqlite", steps)


def check_bound(path: Path, steps: list[int | None]) -> None:
    made = Spool(path, max_bytes=100)
    for step in steps:
        if step is None:
            made.remove(made.oldest(3))
        else:
            made.append("topic", b"x" * step)
        assert made.bytes <= 100
    made.close()
    with sqlite3.connect(path) as database:
        counted = database.execute("SELECT count(*), coalesce(sum(length(body)), 0) FROM records").fetchone()
    database.close()
    assert counted == (made.records, made.bytes)
