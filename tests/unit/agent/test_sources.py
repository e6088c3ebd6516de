from pathlib import Path

import pytest

from infrawatch_agent.sources.configuration import SourceError, packages, parse_dpkg
from infrawatch_agent.sources.telemetry import read_telemetry, start_cpu_window


def test_removed_packages_do_not_count_as_installed() -> None:
    listed = "installed\topenssl\t3.0.15-1\nconfig-files\tnginx\t1.26\ninstalled\tlibc6:amd64\t2.41\n"
    assert parse_dpkg(listed) == {"openssl": "3.0.15-1", "libc6:amd64": "2.41"}


async def test_an_interpreter_that_fails_fails_the_snapshot_instead_of_emptying_it() -> None:
    with pytest.raises(SourceError, match="/bin/false"):
        await packages(["/bin/false"], timeout=10)


async def test_an_interpreter_that_hangs_is_ended(tmp_path: Path) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o755)
    with pytest.raises(SourceError, match="took longer"):
        await packages([str(script)], timeout=0.2)


async def test_an_interpreter_that_is_not_there_is_left_out() -> None:
    assert not [source for source in await packages(["/nowhere/python"], timeout=30) if source.startswith("python:")]


def test_a_reading_lies_within_its_bounds() -> None:
    start_cpu_window()
    reading = read_telemetry()
    assert all(0 <= value <= 100 for value in (reading.cpu, reading.memory, reading.disk))
    assert reading.uptime > 0
