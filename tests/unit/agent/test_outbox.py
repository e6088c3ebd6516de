"""What waits to be sent, whatever the disk does."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from infrawatch_agent.domain.drops import Drop
from infrawatch_agent.outbox import Outbox
from infrawatch_agent.spool import Entry, Spool

MEMORY = 10_000


def outbox(directory: Path) -> Outbox:
    return Outbox(directory / "state" / "spool.sqlite", 8_000_000, MEMORY)


def put(made: Outbox, *numbers: int, topic: str = "samples") -> None:
    for number in numbers:
        made.put(topic, b"%d" % number)


def told(entries: list[Entry]) -> list[int]:
    return [int(entry.body.rstrip(b"x")) for entry in entries]


class Disk:
    """Makes every write of the spool fail as a full or a read-only disk does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def break_(self, name: str = "SQLITE_FULL") -> None:
        def fail(*_: Any) -> Any:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorname = name
            raise error

        for method in ("append", "remove"):
            self._monkeypatch.setattr(Spool, method, fail)

    def mend(self) -> None:
        self._monkeypatch.undo()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_after_an_outage_the_newest_record_is_live_and_the_rest_is_backlog_in_order(tmp_path: Path) -> None:
    made = outbox(tmp_path)
    put(made, *range(5))
    made.begin_live()
    put(made, 5)
    assert told(made.live(10)) == [4, 5]
    assert told(made.backlog(2)) == [0, 1]
    made.done(made.live(10))
    made.done(made.backlog(2))
    assert made.live(10) == []
    assert told(made.backlog(10)) == [2, 3]
    made.close()


def test_a_topic_can_be_left_out_of_both_lanes(tmp_path: Path) -> None:
    made = outbox(tmp_path)
    put(made, 0, topic="other")
    put(made, 1, 2)
    made.begin_live()
    put(made, 3, topic="other")
    assert told(made.backlog(10, {"other"})) == [1]
    assert told(made.live(10, {"other"})) == [2]
    made.close()


def test_while_the_disk_is_full_records_are_sent_from_memory(tmp_path: Path, disk: Disk) -> None:
    made = outbox(tmp_path)
    made.begin_live()
    put(made, 0)
    disk.break_()
    put(made, 1, 2)
    assert "database or disk is full" in str(made.problem)
    assert told(made.live(10)) == [0], "those on disk are older"
    made.done(made.live(10))
    assert told(made.live(10)) == [1, 2], "what was sent does not come again though the disk keeps it"
    made.done(made.live(1))
    assert told(made.live(10)) == [2]
    assert sum(made.drops.values()) == 0
    disk.mend()
    put(made, 3)
    assert made.problem is None
    assert told(made.live(10)) == [2, 3]
    made.close()
    again = outbox(tmp_path)
    again.begin_live()
    assert told(again.backlog(10)) + told(again.live(10)) == [2, 3]
    again.close()


def test_memory_is_bounded_and_what_it_drops_is_counted(tmp_path: Path, disk: Disk) -> None:
    made = outbox(tmp_path)
    disk.break_("SQLITE_IOERR_WRITE")
    for number in range(20):
        made.put("samples", b"%d" % number + b"x" * 1000)
    kept = told(made.live(100))
    assert kept == list(range(20 - len(kept), 20))
    assert 5 < len(kept) < 10
    assert made.drops[Drop.SPOOL_NOT_WRITABLE] == 20 - len(kept)
    disk.mend()
    made.close()


def test_a_record_that_moves_to_the_disk_while_it_is_in_flight_is_sent_once(tmp_path: Path, disk: Disk) -> None:
    made = outbox(tmp_path)
    disk.break_()
    put(made, 0, 1)
    in_flight = made.live(10)
    disk.mend()
    put(made, 2)
    made.done(in_flight)
    assert told(made.live(10)) == [2]
    assert made.records == 1
    made.close()


def test_the_backlog_waits_while_the_disk_cannot_forget_what_was_sent(tmp_path: Path, disk: Disk) -> None:
    made = outbox(tmp_path)
    put(made, *range(4))
    made.begin_live()
    disk.break_()
    made.done(made.backlog(1))
    assert made.backlog(10) == []
    disk.mend()
    put(made, 4)
    assert told(made.backlog(10)) == [1, 2]
    made.close()


def test_a_spool_that_cannot_be_opened_is_used_as_soon_as_it_can(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way of the directory")
    made = outbox(tmp_path)
    assert "cannot be used" in str(made.problem)
    put(made, 0)
    assert told(made.live(10)) == [0]
    (tmp_path / "state").unlink()
    put(made, 1)
    assert made.problem is None
    assert told(made.live(10)) == [0, 1]
    made.close()


def test_a_file_that_is_damaged_while_it_is_used_is_put_aside(tmp_path: Path, disk: Disk) -> None:
    made = outbox(tmp_path)
    put(made, 0)
    disk.break_("SQLITE_CORRUPT")
    put(made, 1)
    disk.mend()
    put(made, 2)
    assert made.problem is None
    assert told(made.live(10)) == [1, 2]
    assert (tmp_path / "state" / "spool.sqlite.broken").exists()
    made.close()


def test_what_is_refused_is_forgotten_and_counted(tmp_path: Path) -> None:
    made = outbox(tmp_path)
    put(made, 0, 1)
    made.refused(made.live(1))
    assert told(made.live(10)) == [1]
    assert made.drops[Drop.REFUSED_BY_BROKER] == 1
    made.close()
