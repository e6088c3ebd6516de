import os
import signal
import subprocess
import sys
from pathlib import Path

from infrawatch_local import processes
from infrawatch_local.keeper_state import KeeperState
from infrawatch_local.processes import Process

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_pid_that_somebody_else_has_now_is_not_ours() -> None:
    me = Process.of(os.getpid())
    assert me is not None
    assert me.alive()
    assert not Process(me.pid, me.started - 1).alive()


def test_a_process_of_another_start_gets_no_signal() -> None:
    with subprocess.Popen(SLEEP) as other:
        now = Process.of(other.pid)
        assert now is not None
        Process(now.pid, now.started + 1).signal(signal.SIGKILL)
        assert now.alive()
        now.signal(signal.SIGKILL)
        assert processes.wait_gone([now], 10)


def test_one_that_waits_to_be_reaped_is_not_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        assert processes.wait_until(lambda: Process.of(ended.pid) is None, 10)


def test_stat_of_a_program_with_an_odd_name() -> None:
    rest = " ".join(str(number) for number in range(5, 30))
    assert processes.parse_stat(f"42 (a) b (c) S 7 {rest}") == ("S", 7, 22)


def test_strays_are_found_by_their_mark_and_ended() -> None:
    mark = {"INFRAWATCH_TEST_MARK": str(os.getpid())}
    with subprocess.Popen(SLEEP, env={**os.environ, **mark}) as stray:
        found = processes.marked("INFRAWATCH_TEST_MARK", str(os.getpid()))
        assert [process.pid for process in found] == [stray.pid]
        processes.end(found, 10)
    assert stray.returncode == -signal.SIGTERM


def test_the_state_of_a_keeper_survives_writing_and_reading(tmp_path: Path) -> None:
    state = KeeperState(Process(1, 2), Process(3, 4), 5.5, 6, "fingerprint")
    state.save(tmp_path / "api.json")
    assert KeeperState.load(tmp_path / "api.json") == state
    between = KeeperState(Process(1, 2), None, 5.5, 6, "fingerprint")
    between.save(tmp_path / "api.json")
    assert KeeperState.load(tmp_path / "api.json") == between


def test_a_state_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert KeeperState.load(tmp_path / "absent.json") is None
    (tmp_path / "torn.json").write_text('{"keeper": ')
    assert KeeperState.load(tmp_path / "torn.json") is None
