"""What control groups say about what a container may use; pure readings of the kernel's texts.

Both hierarchies are read: version 2, and version 1 where the memory and cpu controllers have trees of their own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

# Version 1 writes "no limit" as the largest multiple of the page size; no machine has a petabyte.
_NO_LIMIT = 1 << 50


@dataclass(frozen=True, slots=True)
class Tree:
    """Where a hierarchy is mounted, and the group in it, as paths; ``group`` is relative to ``mount``."""

    version: int
    mount: str
    group: str

    def levels(self) -> list[str]:
        """The group and all its ancestors that are visible, as paths below ``mount``, the group itself first."""
        group = PurePosixPath(self.group.lstrip("/"))
        return [str(level) for level in (group, *group.parents)]


@dataclass(frozen=True, slots=True)
class Memory:
    """A limit in bytes, and what of it is in use."""

    limit: int
    used: int

    @property
    def percent(self) -> float:
        """Percent of the limit."""
        return 100.0 * self.used / self.limit


def trees(mountinfo: str, cgroup: str) -> dict[str, Tree]:
    """Controller → tree, of ``/proc/self/mountinfo`` and ``/proc/self/cgroup``.

    Controllers: ``memory``, ``cpu``, ``cpuacct``, ``cpuset``; version 2 stands for all that version 1 does not have.
    """
    groups = _groups(cgroup)
    found: dict[str, Tree] = {}
    for root, mount, kind, options in _mounts(mountinfo):
        if kind == "cgroup2" and "" in groups:
            for controller in ("memory", "cpu", "cpuacct", "cpuset"):
                found.setdefault(controller, Tree(2, mount, _below(root, groups[""])))
        elif kind == "cgroup":
            for controller in options & groups.keys():
                found[controller] = Tree(1, mount, _below(root, groups[controller]))
    return found


def _groups(cgroup: str) -> dict[str, str]:
    """Controller → path of the group; the name of version 2 is empty."""
    lines = (line.split(":", 2) for line in cgroup.splitlines() if line.count(":") >= 2)
    return {controller: path for _, controllers, path in lines for controller in controllers.split(",")}


def _mounts(mountinfo: str) -> Iterable[tuple[str, str, str, set[str]]]:
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        here, there = before.split(), after.split()
        if len(here) > 4 and len(there) > 2 and there[0] in ("cgroup", "cgroup2"):
            yield here[3], here[4], there[0], set(there[2].split(","))


def _below(root: str, path: str) -> str:
    """A group's path below the part of the hierarchy that is mounted; its top when the group is not below it."""
    if root == "/":
        return "/" if path.startswith("/..") else path
    return path.removeprefix(root) or "/" if (path + "/").startswith(root.rstrip("/") + "/") else "/"


def number(text: str) -> int | None:
    """A number of a control file; None for ``max``, ``-1``, no limit, and nothing."""
    try:
        value = int(text)
    except ValueError:
        return None
    return value if 0 <= value < _NO_LIMIT else None


def table(text: str) -> dict[str, int]:
    """A file of ``name number`` lines, such as ``memory.stat``."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def memory_of(files: Mapping[str, str], version: int, machine: int) -> Memory | None:
    """Limit and use of one level; None when it limits to no less than the machine has.

    What the kernel can drop at once, the file pages not used lately, does not count as used.
    """
    names = ("memory.max", "memory.current", "inactive_file")
    if version == 1:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    limit, usage = number(files.get(names[0], "")), number(files.get(names[1], ""))
    if not limit or usage is None or limit >= machine:
        return None
    return Memory(limit, max(0, usage - table(files.get("memory.stat", "")).get(names[2], 0)))


def quota_of(files: Mapping[str, str], version: int) -> float | None:
    """Cores that one level may use, by its quota; None for as many as there are."""
    if version == 2:
        quota, _, period = files.get("cpu.max", "").strip().partition(" ")
    else:
        quota, period = files.get("cpu.cfs_quota_us", ""), files.get("cpu.cfs_period_us", "")
    share, whole = number(quota), number(period)
    return share / whole if share and whole else None


def cores_of(files: Mapping[str, str], version: int) -> int | None:
    """How many cores one level's set has, such as ``0-3,8``; None when it says nothing."""
    cores = 0
    for part in files.get("cpuset.cpus.effective" if version == 2 else "cpuset.cpus", "").strip().split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            cores += int(last or first) - int(first) + 1
    return cores or None


def cpu_seconds_of(files: Mapping[str, str], version: int) -> float | None:
    """Cpu seconds that one level has used so far."""
    if version == 2:
        used = table(files.get("cpu.stat", "")).get("usage_usec")
        return None if used is None else used / 1e6
    nanoseconds = files.get("cpuacct.usage", "").strip()
    return int(nanoseconds) / 1e9 if nanoseconds.isdigit() else None
