"""Telemetry of the host."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

# Filesystems that are full by design.
_ALWAYS_FULL = frozenset({"squashfs", "iso9660", "erofs", "udf", "cramfs", "romfs"})


@dataclass(frozen=True, slots=True)
class Reading:
    """What one sample says; percent to two decimals, whole seconds of uptime."""

    cpu: float
    memory: float
    disk: float
    uptime: int


def start_cpu_window() -> None:
    """Begin the time over which the next reading averages the cpu."""
    psutil.cpu_percent(interval=None)


def read_telemetry() -> Reading:
    """The state of the host now; cpu is the average since the reading before."""
    return Reading(
        cpu=_percent(psutil.cpu_percent(interval=None)),
        memory=_percent(psutil.virtual_memory().percent),
        disk=_percent(max(_disk_usages(), default=psutil.disk_usage("/").percent)),
        uptime=int(time.clock_gettime(time.CLOCK_BOOTTIME)),
    )


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
