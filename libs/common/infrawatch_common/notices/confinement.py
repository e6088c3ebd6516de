"""Keeps another's code to what it is for: it connects where messages may go, and does nothing else to this machine.

What sends to a hundred services cannot be trusted to connect to the address that was checked, nor to stay there.
So the connection itself is checked, by an audit hook of the interpreter, in the threads that ask for it.
"""

import os
import socket
import sys
import sysconfig
import threading
import time
import zoneinfo
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from infrawatch_common.notices.addresses import Targets

_CONNECTS = ("socket.connect", "socket.sendto", "socket.sendmsg")
_FORBIDDEN = tuple(
    (event, what)
    for what, events in {
        "start threads": "_thread.start",  # they would not be confined; Python 3.11 does not tell of them
        "run programs": "subprocess. pty. os.system os.exec os.fork os.posix_spawn os.spawn",
        "write to the system's log": "syslog.",
        "change files": "shutil. tempfile. sqlite3. os.chmod os.chown os.link os.mkdir os.remove os.rename os.rmdir"
        " os.symlink os.truncate os.utime",
    }.items()
    for event in events.split()
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class RefusedError(PermissionError):
    """What was tried is not allowed in here. An ``OSError``, which networking code takes for a failed connection."""


class Confinement:
    """What this thread may do. ``refusals`` has what was refused, in sentences."""

    def __init__(self, targets: Targets | None, until: float | None) -> None:
        self._targets = targets
        self.until = until
        self.refusals: list[str] = []

    def judge(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Raise ``RefusedError`` if it may not."""
        refusal = self._refusal(event, arguments)
        if refusal is not None:
            self.refusals.append(refusal)
            raise RefusedError(refusal)

    def _refusal(self, event: str, arguments: tuple[Any, ...]) -> str | None:
        if event in _CONNECTS:
            return self._connect_refusal(arguments[1])
        if event == "open":
            return None if _is_readable(*arguments) else "it must not use files"
        return next((f"it must not {what}" for prefix, what in _FORBIDDEN if event.startswith(prefix)), None)

    def _connect_refusal(self, address: Any) -> str | None:
        if address is None:  # a connected socket sends on
            return None
        if self._targets is None or not isinstance(address, tuple):
            return (
                "it must not connect to anything in here" if self._targets is None else "it must not use local sockets"
            )
        if self.until is not None and time.monotonic() > self.until:
            return "its time was up"
        host = str(address[0])
        refusal = self._targets.refusal(host)
        return None if refusal is None or host in _addresses(self._targets) else refusal


def _addresses(targets: Targets) -> set[str]:
    """Those that allowed host names have now."""
    found: set[str] = set()
    for name in targets.names:
        try:
            found |= {str(info[4][0]) for info in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
        except OSError:  # a name without address allows none
            continue
    return found


@cache
def _readable_roots() -> tuple[str, ...]:
    """Python's own files, which it reads to import and to know time zones."""
    paths = sysconfig.get_paths()
    libraries = (paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    return tuple({os.path.join(os.path.realpath(root), "") for root in (*libraries, *zoneinfo.TZPATH)})  # noqa: PTH118


def _is_readable(path: Any, _mode: Any, flags: int) -> bool:
    if isinstance(path, int):
        return True
    real = os.path.realpath(os.fsdecode(path))
    return not flags & _WRITES and real.startswith(_readable_roots())


_here = threading.local()


def _hook(event: str, arguments: tuple[Any, ...], here: threading.local = _here) -> None:
    confinement = getattr(here, "confinement", None)
    if confinement is None:
        return
    here.confinement = None  # what the judgement itself does is ours
    try:
        confinement.judge(event, arguments)
    finally:
        here.confinement = confinement


_installing = threading.Lock()


@cache
def _install() -> None:
    sys.addaudithook(_hook)


@contextmanager
def confined(targets: Targets | None, until: float | None = None) -> Iterator[Confinement]:
    """Confine this thread: it connects to what ``targets`` allows (None: nothing), until ``until`` (monotonic)."""
    with _installing:
        _install()
    confinement = Confinement(targets, until)
    _here.confinement = confinement
    try:
        yield confinement
    finally:
        _here.confinement = None


def current() -> Confinement | None:
    """That of this thread."""
    return getattr(_here, "confinement", None)
