"""What the container may use, and uses; ``None`` wherever the machine's own numbers are the true ones."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from infrawatch_agent.domain import cgroups
from infrawatch_agent.domain.cgroups import Memory, Tree

# The initial control group namespace has this inode on every kernel (PROC_CGROUP_INIT_INO).
_INITIAL_NAMESPACE = "cgroup:[4026531835]"
_MARKS = (".dockerenv", "run/.containerenv")
_FILES = {
    ("memory", 1): ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat"),
    ("memory", 2): ("memory.max", "memory.current", "memory.stat"),
    ("cpu", 1): ("cpu.cfs_quota_us", "cpu.cfs_period_us"),
    ("cpu", 2): ("cpu.max", "cpu.stat"),
    ("cpuacct", 1): ("cpuacct.usage",),
    ("cpuacct", 2): ("cpu.stat",),
    ("cpuset", 1): ("cpuset.cpus",),
    ("cpuset", 2): ("cpuset.cpus.effective",),
}


@dataclass(frozen=True, slots=True)
class CpuLimit:
    """Cores that may be used (a fraction where a quota says so), and cpu seconds used so far."""

    cores: float
    used: float


class ControlGroup:
    """The agent's control groups. ``root`` is where ``/proc`` and ``/sys`` are; their files may change at any time."""

    def __init__(self, environment: Mapping[str, str], root: Path = Path("/")) -> None:
        self._root = root
        self._trees = cgroups.trees(_text(root / "proc/self/mountinfo"), _text(root / "proc/self/cgroup"))
        # Under systemd the agent's own service has limits too, and they are not the container's.
        self._own_service = "INVOCATION_ID" in environment

    def memory(self, machine: int) -> Memory | None:
        """The level that is nearest to its limit; ``machine`` is what the machine has, in bytes."""
        tree = self._trees.get("memory")
        if tree is None:
            return None
        levels = (
            cgroups.memory_of(self._files("memory", level), tree.version, machine) for level in self._levels(tree)
        )
        return max((level for level in levels if level), key=lambda level: level.percent, default=None)

    def cpu(self, machine: int) -> CpuLimit | None:
        """The tightest quota or set of cores; None when it leaves all of the machine's ``machine`` cores."""
        limits = [*self._limits("cpu", cgroups.quota_of), *self._limits("cpuset", cgroups.cores_of)]
        cores, level = min(limits, default=(machine, ""))
        tree = self._trees.get("cpuacct")
        if cores >= machine or tree is None:
            return None
        for counted in (level, tree.levels()[0]):  # version 1 may count in a tree with other groups
            used = cgroups.cpu_seconds_of(self._files("cpuacct", counted), tree.version)
            if used is not None:
                return CpuLimit(cores, used)
        return None

    def _limits(
        self, controller: str, limit_of: Callable[[Mapping[str, str], int], float | None]
    ) -> Iterator[tuple[float, str]]:
        tree = self._trees.get(controller)
        for level in self._levels(tree) if tree else ():
            limit = limit_of(self._files(controller, level), tree.version) if tree else None
            if limit is not None:
                yield limit, level

    def _levels(self, tree: Tree) -> list[str]:
        levels = tree.levels()
        return levels[1:] if self._own_service and levels[0].endswith(".service") else levels

    def _files(self, controller: str, level: str) -> dict[str, str]:
        tree = self._trees[controller]
        directory = self._root / tree.mount.lstrip("/") / level
        return {name: _text(directory / name) for name in _FILES[controller, tree.version]}


def container_control_group(when: str) -> ControlGroup | None:
    """The control groups to report, ``when`` being ``auto`` (in a container), ``on`` or ``off``."""
    if when == "off" or (when == "auto" and not in_container(os.environ)):
        return None
    return ControlGroup(os.environ)


def in_container(environment: Mapping[str, str], root: Path = Path("/")) -> bool:
    """Whether this is a container: a control group namespace of its own, or a mark that container engines leave."""
    if "container" in environment or "KUBERNETES_SERVICE_HOST" in environment:
        return True
    try:
        if (root / "proc/self/ns/cgroup").readlink().name != _INITIAL_NAMESPACE:
            return True
    except OSError:
        pass  # a kernel without such namespaces
    return any((root / mark).exists() for mark in _MARKS)


def _text(path: Path) -> str:
    """A file's text; empty when it is not there, which for a control file means that it limits nothing."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
