"""What a container may use, by the kernel's own texts; fixture trees stand for machines."""

import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from infrawatch_agent.domain.cgroups import Memory
from infrawatch_agent.sources.containers import ControlGroup, CpuLimit, in_container
from infrawatch_agent.sources.telemetry import Telemetry

GIB = 1 << 30
MACHINE_MEMORY, MACHINE_CORES = 64 * GIB, 16
V2_MOUNT = "29 22 0:26 {root} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNTS = "".join(
    f"{number} 22 0:{number} {{root}} /sys/fs/cgroup/{name} ro,nosuid - cgroup cgroup rw,{name}\n"
    for number, name in enumerate(("memory", "cpu,cpuacct", "cpuset"), start=30)
)
V1_GROUPS = "9:memory:{path}\n4:cpu,cpuacct:{path}\n3:cpuset:{path}\n1:name=systemd:{path}\n"


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def version_2(root: Path, path: str, levels: dict[str, dict[str, str]], mount_root: str = "/") -> Path:
    """``levels``: path of a group below the mount → its files."""
    files = {"proc/self/mountinfo": V2_MOUNT.format(root=mount_root), "proc/self/cgroup": f"0::{path}\n"}
    for level, content in levels.items():
        files |= {f"sys/fs/cgroup/{level}/{name}": text for name, text in content.items()}
    return tree(root, files)


def version_1(root: Path, path: str, mount_root: str, files: dict[str, str]) -> Path:
    described = {
        "proc/self/mountinfo": V1_MOUNTS.format(root=mount_root),
        "proc/self/cgroup": V1_GROUPS.format(path=path),
    }
    return tree(root, described | {f"sys/fs/cgroup/{name}": text for name, text in files.items()})


def group(root: Path, **environment: str) -> ControlGroup:
    return ControlGroup(environment, root)


def limits(root: Path, **environment: str) -> tuple[Memory | None, CpuLimit | None]:
    made = group(root, **environment)
    return made.memory(MACHINE_MEMORY), made.cpu(MACHINE_CORES)


V2_CONTAINER = {
    "memory.max": f"{2 * GIB}\n",
    "memory.current": f"{GIB}\n",
    "memory.stat": f"anon 1\ninactive_file {GIB // 2}\nactive_file 7\n",
    "cpu.max": "150000 100000\n",
    "cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
    "cpuset.cpus.effective": "0-15\n",
}
NO_LIMIT_V2 = {"memory.max": "max\n", "memory.current": "5\n", "cpu.max": "max 100000\n", "cpu.stat": "usage_usec 9\n"}


def test_version_2_with_a_namespace_of_its_own(tmp_path: Path) -> None:
    memory, cpu = limits(version_2(tmp_path, "/", {"": V2_CONTAINER}))
    assert memory == Memory(2 * GIB, GIB // 2)
    assert memory.percent == 25.0
    assert cpu == CpuLimit(1.5, 2.5)


def test_version_2_in_the_machines_namespace(tmp_path: Path) -> None:
    path = "/system.slice/docker-abc.scope"
    memory, cpu = limits(version_2(tmp_path, path, {path[1:]: V2_CONTAINER, "system.slice": NO_LIMIT_V2}))
    assert memory == Memory(2 * GIB, GIB // 2)
    assert cpu == CpuLimit(1.5, 2.5)


def test_the_ancestor_nearest_to_its_limit_counts(tmp_path: Path) -> None:
    pod = {"memory.max": f"{3 * GIB}", "memory.current": f"{int(2.7 * GIB)}", "cpu.max": "50000 100000"}
    used = {"cpu.stat": "usage_usec 7000000\n"}
    levels = {"kubepods/pod1/app": V2_CONTAINER, "kubepods/pod1": pod | used, "kubepods": NO_LIMIT_V2}
    memory, cpu = limits(version_2(tmp_path, "/kubepods/pod1/app", levels))
    assert memory == Memory(3 * GIB, int(2.7 * GIB))
    assert cpu == CpuLimit(0.5, 7.0)


def test_no_limit_leaves_the_machines_numbers(tmp_path: Path) -> None:
    assert limits(version_2(tmp_path, "/", {"": NO_LIMIT_V2 | {"cpuset.cpus.effective": "0-15"}})) == (None, None)


def test_a_limit_beyond_the_machine_limits_nothing(tmp_path: Path) -> None:
    beyond = V2_CONTAINER | {"memory.max": f"{MACHINE_MEMORY}", "cpu.max": "3200000 100000"}
    assert limits(version_2(tmp_path, "/", {"": beyond})) == (None, None)


def test_a_set_of_cores_limits_too(tmp_path: Path) -> None:
    few = NO_LIMIT_V2 | {"cpuset.cpus.effective": "0-1,8\n"}
    assert limits(version_2(tmp_path, "/", {"": few}))[1] == CpuLimit(3, 9e-6)


V1_CONTAINER = {
    "memory/memory.limit_in_bytes": f"{GIB}\n",
    "memory/memory.usage_in_bytes": f"{GIB // 2}\n",
    "memory/memory.stat": f"cache 1\ninactive_file 3\ntotal_inactive_file {GIB // 4}\n",
    "cpu,cpuacct/cpu.cfs_quota_us": "200000\n",
    "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    "cpu,cpuacct/cpuacct.usage": "3500000000\n",
    "cpuset/cpuset.cpus": "0-15\n",
}


@pytest.mark.parametrize(("path", "mount_root"), [("/docker/abc", "/docker/abc"), ("/", "/"), ("/x/y", "/docker/abc")])
def test_version_1(tmp_path: Path, path: str, mount_root: str) -> None:
    memory, cpu = limits(version_1(tmp_path, path, mount_root, V1_CONTAINER))
    assert memory == Memory(GIB, GIB // 4)
    assert cpu == CpuLimit(2.0, 3.5)


def test_version_1_without_limits(tmp_path: Path) -> None:
    free = V1_CONTAINER | {
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
        "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
    }
    assert limits(version_1(tmp_path, "/", "/", free)) == (None, None)


def test_version_1_beside_version_2_counts(tmp_path: Path) -> None:
    root = version_1(tmp_path, "/", "/", V1_CONTAINER)
    for name, line in (
        ("mountinfo", "50 22 0:50 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"),
        ("cgroup", "0::/\n"),
    ):
        path = root / "proc/self" / name
        path.write_text(line + path.read_text())
    assert limits(root)[0] == Memory(GIB, GIB // 4)


def test_the_limits_of_the_agents_own_service_are_not_the_containers(tmp_path: Path) -> None:
    own = {"memory.max": "64000000", "memory.current": "32000000", "cpu.max": "20000 100000"}
    levels = {"system.slice/agent.service": own | {"cpu.stat": "usage_usec 1\n"}, "": V2_CONTAINER}
    root = version_2(tmp_path, "/system.slice/agent.service", levels)
    assert limits(root, INVOCATION_ID="0123")[0] == Memory(2 * GIB, GIB // 2)
    assert limits(root)[0] == Memory(64_000_000, 32_000_000)


@pytest.mark.parametrize("text", ["", "rubbish\n", "1\n2\n", "max max\n", "9" * 30, "-5\n", "0\n"])
def test_files_that_say_nothing_limit_nothing(tmp_path: Path, text: str) -> None:
    assert limits(version_2(tmp_path, "/", {"": dict.fromkeys(V2_CONTAINER, text)})) == (None, None)


def test_a_machine_without_control_groups_has_no_limits(tmp_path: Path) -> None:
    assert limits(tmp_path) == (None, None)


def test_a_container_is_known_by_its_namespace_or_by_its_engines_mark(tmp_path: Path) -> None:
    namespace = tmp_path / "proc/self/ns/cgroup"
    namespace.parent.mkdir(parents=True)
    namespace.symlink_to("cgroup:[4026531835]")
    assert not in_container({}, tmp_path)
    assert in_container({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, tmp_path)
    (tmp_path / ".dockerenv").touch()
    assert in_container({}, tmp_path)
    (tmp_path / ".dockerenv").unlink()
    namespace.unlink()
    namespace.symlink_to("cgroup:[4026532601]")
    assert in_container({}, tmp_path)


def test_cpu_is_percent_of_what_the_container_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 110.0, 120.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(psutil, "cpu_count", lambda: MACHINE_CORES)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Any)
    monkeypatch.setattr(Any, "total", MACHINE_MEMORY, raising=False)
    root = version_2(tmp_path, "/", {"": V2_CONTAINER})
    telemetry = Telemetry(group(root))
    telemetry.start_cpu_window()
    (root / "sys/fs/cgroup/cpu.stat").write_text("usage_usec 10000000\n")
    reading = telemetry.read()
    assert reading.cpu == 50.0, "7.5 of the 15 cpu seconds that 1.5 cores have in 10 s"
    assert reading.memory == 25.0
    (root / "sys/fs/cgroup/cpu.max").write_text("max 100000\n")
    (root / "sys/fs/cgroup/memory.max").write_text("max\n")
    monkeypatch.setattr(psutil, "cpu_percent", lambda **_: 12.0)
    monkeypatch.setattr(Any, "percent", 34.0, raising=False)
    reading = telemetry.read()
    assert (reading.cpu, reading.memory) == (12.0, 34.0), "without limits, the machine's"


def test_the_group_that_this_test_runs_in_can_be_read() -> None:
    memory = ControlGroup({}).memory(1 << 60)
    assert memory is None or 0 <= memory.percent <= 110
