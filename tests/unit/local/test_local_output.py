import io
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infrawatch_local import logs, secret_files, state_dir, status
from infrawatch_local.errors import LocalError, StepFailedError
from infrawatch_local.readback import latest_sample, lists_something


def test_a_failed_step_shows_the_last_twenty_lines(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    said = str(StepFailedError("kafka failed", log, "Try again."))
    assert said.startswith(f"kafka failed. The end of {log}:\n    line 80\n")
    assert said.endswith("    line 99\nTry again.")


def test_a_follower_gives_whole_new_lines_across_truncation(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text("an old and rather long line\n")
    follower = logs.Follower(log)
    with log.open("a") as file:
        file.write("new\nhalf")
    assert list(follower.new_lines()) == ["new"]
    with log.open("a") as file:
        file.write(" a line\n")
    assert list(follower.new_lines()) == ["half a line"]
    log.write_text("after\n")
    assert list(follower.new_lines()) == ["after"]


def test_logs_have_their_names_in_front(tmp_path: Path) -> None:
    for name in ("api", "kafka"):
        (tmp_path / f"{name}.log").write_text("one\ntwo\n")
    out = io.StringIO()
    logs.show([tmp_path / "api.log", tmp_path / "kafka.log", tmp_path / "absent.log"], 1, out, follow=False)
    assert out.getvalue() == "api    | two\nkafka  | two\n"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0s"), (45, "45s"), (187, "3m 7s"), (7500, "2h 5m"), (349200, "4d 1h"), (-1, "0s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert status.duration(seconds) == text


def test_all_is_well_only_when_all_run_and_are_ready() -> None:
    well = status.Row("api", "running", "1", "8080", "1s", "0", "ready")
    assert status.all_well([well])
    assert not status.all_well([well, status.Row("ingest", "running", "2", "1", "1s", "0", "not ready")])
    assert not status.all_well([well, status.Row("ingest", "stopped", "-", "1", "-", "-", "-")])


def test_a_sample_is_found_by_host() -> None:
    answer = {
        "items": [
            {"host_id": "other", "timestamp": "2026-11-22T11:00:00Z"},
            {"host_id": "this", "timestamp": "2026-11-22T10:00:00.5Z"},
            {"host_id": "new", "timestamp": None},
        ]
    }
    assert latest_sample(answer, "this") == datetime(2026, 11, 22, 10, 0, 0, 500000, tzinfo=UTC)
    assert latest_sample(answer, "new") is None
    assert latest_sample(answer, "absent") is None
    assert latest_sample(None, "this") is None


@pytest.mark.parametrize(
    ("answer", "listed"), [({"items": [{}]}, True), ({"items": []}, False), (None, False), ([], False)]
)
def test_a_page_lists_something_only_where_it_has_items(answer: object, listed: bool) -> None:
    assert lists_something(answer) is listed


def test_a_secret_is_private_and_made_once(tmp_path: Path) -> None:
    path = secret_files.ensure(tmp_path / "secrets" / "one")
    first = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(first) >= 40
    assert secret_files.ensure(path).read_text() == first


def test_only_a_state_directory_is_removed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    with pytest.raises(LocalError, match="neither empty nor"):
        state_dir.prepare(precious)
    with pytest.raises(LocalError, match="stays as it is"):
        state_dir.remove(precious)
    ours = tmp_path / "ours"
    state_dir.prepare(ours)
    state_dir.prepare(ours)
    state_dir.remove(ours)
    assert precious.exists()
    assert not ours.exists()
