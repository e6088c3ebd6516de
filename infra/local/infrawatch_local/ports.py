"""Ports: which are free, and who holds those that are not."""

import random
import socket
from collections.abc import Mapping
from pathlib import Path

from infrawatch_local.errors import LocalError
from infrawatch_local.settings import port_variable

LOOPBACK = "127.0.0.1"

# Below the range from which Linux takes the near end of outgoing connections: a client that keeps trying to reach a
# stopped server on a port of that range would in the end connect to itself, and hold the port.
_FREE_RANGE = range(15000, 25000)


def is_free(port: int) -> bool:
    """Whether a program could listen on this port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Some different free ports."""
    found: list[int] = []
    for port in random.sample(_FREE_RANGE, len(_FREE_RANGE)):
        if len(found) == count:
            return found
        if is_free(port):
            found.append(port)
    raise LocalError(f"{count} free ports were not to be found from {_FREE_RANGE.start} to {_FREE_RANGE.stop}")


def check_free(program: str, ports: Mapping[str, int]) -> None:
    """Raise ``LocalError`` that names the first taken port, its holder, and the setting that moves it."""
    for name, port in ports.items():
        if not is_free(port):
            raise LocalError(conflict(program, name, port, holder(port)))


def conflict(program: str, name: str, port: int, held_by: str) -> str:
    """What to say about a taken port."""
    return f"port {port} ({program}) is taken by {held_by}: stop it, or set {port_variable(name)} to another port"


def holder(port: int) -> str:
    """Who listens on a port, as far as this user may know."""
    inodes = {inode for table in ("tcp", "tcp6") for inode in listening(_read(Path("/proc/net") / table), port)}
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and inodes & _sockets(process):
            return f"pid {process.name} ({_read(process / 'comm').strip()})"
    return "another program (of another user)"


def listening(table: str, port: int) -> list[str]:
    """The inodes of the sockets in a ``/proc/net/tcp`` that listen on a port."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return [row[9] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port]


def _sockets(process: Path) -> set[str]:
    found = set()
    try:
        for descriptor in (process / "fd").iterdir():
            found.add(str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]"))
    except OSError:
        pass
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
