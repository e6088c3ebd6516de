"""Where the numbers and lists come from."""

import asyncio
import subprocess
import sys
import venv
from pathlib import Path

import psutil
import pytest

from infrawatch_agent.sources.packages import (
    Lister,
    SourceError,
    parse_apk,
    parse_dpkg,
    parse_rpm,
    python_environments,
)
from infrawatch_agent.sources.telemetry import Telemetry


def lister(*patterns: str, timeout: float = 30.0, most_bytes: int = 4_000_000, root: Path = Path("/")) -> Lister:
    return Lister(patterns, timeout, most_bytes, root)


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_removed_packages_do_not_count_as_installed() -> None:
    listed = "installed\topenssl\t3.0.15-1\nconfig-files\tnginx\t1.26\ninstalled\tlibc6:amd64\t2.41\n"
    assert parse_dpkg(listed) == {"openssl": "3.0.15-1", "libc6:amd64": "2.41"}


RPM = """\
bash\tx86_64\t(none)\t5.1.8-9.el9
openssl-libs\tx86_64\t1\t3.2.2-6.el9_5
glibc\tx86_64\t(none)\t2.34-125.el9
glibc\ti686\t(none)\t2.34-125.el9
kernel-core\tx86_64\t(none)\t5.14.0-503.el9
kernel-core\tx86_64\t(none)\t5.14.0-427.el9
gpg-pubkey\t(none)\t(none)\t8483c65d-5ccc5b19
tzdata\tnoarch\t0\t2024b-2.el9
"""


def test_rpm_packages_are_named_once_with_every_version_and_with_their_architecture_where_that_matters() -> None:
    assert parse_rpm(RPM) == {
        "bash": "5.1.8-9.el9",
        "openssl-libs": "1:3.2.2-6.el9_5",
        "glibc:x86_64": "2.34-125.el9",
        "glibc:i686": "2.34-125.el9",
        "kernel-core": "5.14.0-427.el9, 5.14.0-503.el9",
        "gpg-pubkey": "8483c65d-5ccc5b19",
        "tzdata": "2024b-2.el9",
    }


APK = """\
C:Q1gVLTOp9nLiSYlIgQ7rbHqLk8j0Y=
P:musl
V:1.2.5-r0
A:x86_64
S:405632
T:the musl c library (libc) implementation
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755
Z:Q1XNUTuqB8Y+uFHIkd4XcJIgpSXvk=

C:Q1mxOdI8fLpLSyTNHW+tDxtFfhRJ8=
P:busybox
V:1.36.1-r29
A:x86_64
p:/bin/sh cmd:busybox=1.36.1-r29
"""


def test_apk_packages_are_read_from_its_database() -> None:
    assert parse_apk(APK) == {"musl": "1.2.5-r0", "busybox": "1.36.1-r29"}


async def test_every_package_manager_that_has_a_database_is_listed(tmp_path: Path) -> None:
    program(tmp_path / "usr/bin/dpkg-query", "printf 'installed\\topenssl\\t3.0\\n'")
    program(tmp_path / "usr/bin/rpm", "printf 'bash\\tx86_64\\t(none)\\t5.1\\n'")
    assert await lister(root=tmp_path).everything() == {}, "the program alone is no database"
    for name, content in (("var/lib/dpkg/status", ""), ("var/lib/rpm/rpmdb.sqlite", ""), ("lib/apk/db/installed", APK)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert await lister(root=tmp_path).everything() == {
        "dpkg": {"openssl": "3.0"},
        "rpm": {"bash": "5.1"},
        "apk": {"musl": "1.2.5-r0", "busybox": "1.36.1-r29"},
    }


async def test_an_interpreter_that_fails_fails_the_snapshot_instead_of_emptying_it() -> None:
    with pytest.raises(SourceError, match="/bin/false"):
        await lister("/bin/false").everything()


def lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


async def test_an_interpreter_that_hangs_is_ended(tmp_path: Path) -> None:
    script = program(tmp_path / "python", f"sleep 600 & echo $! > {tmp_path}/pid; wait")
    with pytest.raises(SourceError, match="took longer"):
        await lister(str(script), timeout=0.5).everything()
    async with asyncio.timeout(10):
        while lives(int((tmp_path / "pid").read_text())):  # noqa: ASYNC110 - a grandchild tells nobody of its end
            await asyncio.sleep(0.01)


async def test_an_interpreter_that_prints_without_end_is_ended(tmp_path: Path) -> None:
    script = program(tmp_path / "python", "exec yes")
    with pytest.raises(SourceError, match="printed more than 100000 bytes"):
        await lister(str(script), most_bytes=100_000).everything()


async def test_what_an_interpreter_prints_instead_of_a_list_fails_the_snapshot(tmp_path: Path) -> None:
    script = program(tmp_path / "python", "echo hello")
    with pytest.raises(SourceError, match="cannot be listed"):
        await lister(str(script)).everything()


async def test_an_interpreter_that_is_not_there_is_left_out() -> None:
    assert not [source for source in await lister("/nowhere/python").everything() if source.startswith("python:")]


async def test_a_listing_program_gets_no_secrets_from_the_agents_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFRAWATCH_KAFKA_PASSWORD", "hunter2")
    script = program(tmp_path / "python", f"env > {tmp_path}/seen; echo '{{}}'")
    await lister(str(script)).everything()
    assert "hunter2" not in (tmp_path / "seen").read_text()


def distribution(site: Path, name: str, version: str) -> None:
    folder = site / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def environment(path: Path) -> Path:
    """A virtual environment; its site-packages."""
    venv.create(path, symlinks=True)
    return path / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"


async def test_a_virtual_environment_lists_what_its_own_interpreter_would_import(tmp_path: Path) -> None:
    site = environment(tmp_path / "app" / "venv")
    first = tmp_path / "first"
    (site / "first.pth").write_text(f"import sys; sys.path.insert(0, {str(first)!r})\n")
    distribution(first, "Shadowing_Name", "2.0")
    distribution(site, "shadowing.name", "1.0")
    distribution(site, "plain", "0.1")
    distribution(site / "plain" / "_vendor", "vendored", "9.9")
    environment(tmp_path / "other" / "venv")
    (tmp_path / "data" / "venv").mkdir(parents=True)

    listed = await lister(f"{tmp_path}/*/venv", root=tmp_path).everything()

    assert listed == {
        f"python:{tmp_path}/app/venv": {"Shadowing_Name": "2.0", "plain": "0.1"},
        f"python:{tmp_path}/other/venv": {},
    }


async def test_a_virtual_environment_whose_interpreter_is_gone_is_left_out(tmp_path: Path) -> None:
    environment(tmp_path / "venv")
    (tmp_path / "venv" / "bin" / "python").unlink()
    assert python_environments([str(tmp_path / "venv")]) == []


def test_each_interpreter_counts_once_and_tools_beside_it_do_not(tmp_path: Path) -> None:
    program(tmp_path / "python3.11", "")
    program(tmp_path / "python3-config", "")
    (tmp_path / "python3").symlink_to("python3.11")
    assert python_environments([f"{tmp_path}/python*"]) == [f"{tmp_path}/python3"]


def test_the_running_interpreters_own_listing_is_that_of_pip() -> None:
    listed = asyncio.run(lister(sys.executable).everything())[f"python:{sys.executable}"]
    frozen = subprocess.run(
        [sys.executable, "-I", "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    ).stdout
    assert dict(line.split("==") for line in frozen.split() if "==" in line).items() <= listed.items()


def test_a_reading_lies_within_its_bounds() -> None:
    telemetry = Telemetry(None)
    telemetry.start_cpu_window()
    reading = telemetry.read()
    assert all(0 <= value <= 100 for value in (reading.cpu, reading.memory, reading.disk))
    assert abs(reading.memory - psutil.virtual_memory().percent) < 5
    assert reading.uptime > 0
