"""Telemetry of the host."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from infrawatch_agent.sources.containers import ControlGroup

# Filesystems that are full by design.
_ALWAYS_FULL = frozenset({"squashfs", "iso9660", "erofs", "udf", "cramfs", "romfs"})


@dataclass(frozen=True, slots=True)
class Reading:
    """What one sample says; percent to two decimals, whole seconds of uptime."""

    cpu: float
    memory: float
    disk: float
    uptime: int


class Telemetry:
    """Reads the host; in a container with limits, cpu and memory are percent of what the container may use."""

    def __init__(self, group: ControlGroup | None) -> None:
        self._group = group
        self._cores = psutil.cpu_count() or 1
        self._memory = psutil.virtual_memory().total
        self._used_before: tuple[float, float] | None = None  # cpu seconds, at which monotonic time

    def start_cpu_window(self) -> None:
        """Begin the time over which the next reading averages the cpu."""
        psutil.cpu_percent(interval=None)
        self._container_cpu()

    def read(self) -> Reading:
        """The state of the host now; cpu is the average since the reading before."""
        machine, container = psutil.cpu_percent(interval=None), self._container_cpu()
        return Reading(
            cpu=_percent(machine if container is None else container),
            memory=_percent(self._memory_percent()),
            disk=_percent(max(_disk_usages(), default=psutil.disk_usage("/").percent)),
            uptime=int(time.clock_gettime(time.CLOCK_BOOTTIME)),
        )

    def _memory_percent(self) -> float:
        limited = self._group.memory(self._memory) if self._group else None
        return psutil.virtual_memory().percent if limited is None else limited.percent

    def _container_cpu(self) -> float | None:
        limit = self._group.cpu(self._cores) if self._group else None
        before, now = self._used_before, time.monotonic()
        self._used_before = (limit.used, now) if limit else None
        if limit is None or before is None or now <= before[1]:
            return None
        return 100.0 * (limit.used - before[0]) / ((now - before[1]) * limit.cores)


def _disk_usages() -> Iterable[float]:
    """Percent in use of each real filesystem, once per device however often it is mounted."""
    seen: set[str] = set()
    for partition in psutil.disk_partitions(all=False):
        if partition.fstype in _ALWAYS_FULL or partition.device in seen:
            continue
        seen.add(partition.device)
        try:
            yield psutil.disk_usage(partition.mountpoint).percent
        except OSError:
            continue  # unmounted meanwhile, or not ours to see


def _percent(value: float) -> float:
    return round(min(100.0, max(0.0, value)), 2)
