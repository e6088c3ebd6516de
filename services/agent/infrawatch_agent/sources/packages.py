"""What is installed, by source: package managers, Python interpreters and virtual environments."""

import asyncio
import contextlib
import glob
import json
import os
import re
import signal
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

# First on the path wins, as it does when the interpreter imports. Names that PEP 503 takes for the same are one.
_LIST_DISTRIBUTIONS = """
import json, re, sys
try:
    from importlib.metadata import distributions
    pairs = ((found.metadata["Name"], found.version) for found in distributions())
except ImportError:  # before Python 3.8
    import pkg_resources
    pairs = ((found.project_name, found.version) for found in pkg_resources.working_set)
listed, seen = {}, set()
for name, version in pairs:
    key = re.sub("[-_.]+", "-", str(name)).lower()
    if name and key not in seen:
        seen.add(key)
        listed[str(name)] = str(version)
json.dump(listed, sys.stdout)
"""
_DPKG_FORMAT = "${db:Status-Status}\\t${binary:Package}\\t${Version}\\n"
_RPM_FORMAT = "%{NAME}\\t%{ARCH}\\t%{EPOCH}\\t%{VERSION}-%{RELEASE}\\n"
_DPKG, _DPKG_STATUS = "usr/bin/dpkg-query", "var/lib/dpkg/status"
_RPM = "usr/bin/rpm"
_RPM_DATABASES = tuple(
    f"{directory}/{file}"
    for directory in ("usr/lib/sysimage/rpm", "var/lib/rpm")
    for file in ("rpmdb.sqlite", "Packages.db", "Packages")
)
_APK_DATABASES = ("usr/lib/apk/db/installed", "lib/apk/db/installed")
_END_TIMEOUT = 5.0
_INTERPRETER = re.compile(r"(?:python|pypy)(?:\d+(?:\.\d+)*)?")
# Package → version.
Packages = dict[str, str]


class SourceError(Exception):
    """A source could not be read. A snapshot without it would claim that its packages are gone."""


class Lister:
    """Lists what is installed below ``root``. A program may take ``timeout`` seconds and print ``most_bytes``."""

    def __init__(self, patterns: Sequence[str], timeout: float, most_bytes: int, root: Path = Path("/")) -> None:
        self._patterns = patterns
        self._timeout = timeout
        self._most_bytes = most_bytes
        self._root = root

    async def everything(self) -> dict[str, Packages]:
        """Source → package → version, of every source that is there. Raises ``SourceError``."""
        return {source: await self.packages(source) for source in self.sources()}

    def sources(self) -> list[str]:
        """The sources that are there: ``dpkg``, ``rpm``, ``apk``, ``python:PATH``."""
        found = []
        if self._there(_DPKG) and self._there(_DPKG_STATUS):
            found.append("dpkg")
        if self._there(_RPM) and any(map(self._there, _RPM_DATABASES)):
            found.append("rpm")
        if any(map(self._there, _APK_DATABASES)):
            found.append("apk")
        return found + [f"python:{path}" for path in python_environments(self._patterns)]

    async def packages(self, source: str) -> Packages:
        """What one source lists. Raises ``SourceError``."""
        kind, _, path = source.partition(":")
        try:
            if kind == "dpkg":
                return parse_dpkg(await self._output([str(self._root / _DPKG), "-W", "-f", _DPKG_FORMAT]))
            if kind == "rpm":
                return parse_rpm(await self._output([str(self._root / _RPM), "-qa", "--qf", _RPM_FORMAT]))
            if kind == "apk":
                return parse_apk(self._apk_database())
            listed = json.loads(await self._output([str(interpreter_of(Path(path))), "-I", "-c", _LIST_DISTRIBUTIONS]))
        except (OSError, ValueError) as error:
            msg = f"{source} cannot be listed: {error}"
            raise SourceError(msg) from error
        return dict(listed)

    def _there(self, path: str) -> bool:
        return (self._root / path).exists()

    def _apk_database(self) -> str:
        path = next(path for path in _APK_DATABASES if self._there(path))
        with (self._root / path).open(encoding="utf-8", errors="replace") as file:
            return file.read()

    async def _output(self, command: Sequence[str]) -> str:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        )
        errors = asyncio.ensure_future(_read(process.stderr, self._most_bytes))
        try:
            async with asyncio.timeout(self._timeout):
                output = await _read(process.stdout, self._most_bytes)
                complaint = (await errors).decode(errors="replace")[-200:].strip()
                code = await process.wait()
        except TimeoutError as error:
            msg = f"{command[0]} took longer than {self._timeout:g} s"
            raise SourceError(msg) from error
        except asyncio.LimitOverrunError as error:
            msg = f"{command[0]} printed more than {self._most_bytes} bytes"
            raise SourceError(msg) from error
        finally:
            errors.cancel()
            await asyncio.gather(errors, return_exceptions=True)
            await _end(process)
        if code != 0:
            msg = f"{command[0]} ended with {code}: {complaint}"
            raise SourceError(msg)
        return output.decode(errors="replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill a program that still runs, with all that it has started."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_END_TIMEOUT):
            await process.communicate()  # a process only counts as ended when its output is read to the end


async def _read(stream: asyncio.StreamReader | None, most: int) -> bytes:
    content = bytearray()
    while stream is not None and (piece := await stream.read(65_536)):
        content += piece
        if len(content) > most:
            msg = "too much"
            raise asyncio.LimitOverrunError(msg, len(content))
    return bytes(content)


def python_environments(patterns: Iterable[str]) -> list[str]:
    """The interpreters and virtual environments that match, each once, in order.

    A virtual environment whose interpreter is gone runs nothing and does not count.
    """
    found: dict[str, str] = {}
    for pattern in patterns:
        for path in map(Path, sorted(glob.glob(pattern))):  # noqa: PTH207 - patterns are absolute
            if path.is_dir():
                if (path / "pyvenv.cfg").exists() and interpreter_of(path).exists():
                    found.setdefault(str(path.resolve()), str(path))
            elif os.access(path, os.X_OK) and (str(path) == pattern or _INTERPRETER.fullmatch(path.name)):
                found.setdefault(str(_identity_of(path)), str(path))
    return list(found.values())


def _identity_of(interpreter: Path) -> Path:
    """What tells interpreters apart: that of a virtual environment is a link to another one, and yet not the same."""
    in_environment = (interpreter.parent.parent / "pyvenv.cfg").exists()
    return interpreter.parent.parent.resolve() if in_environment else interpreter.resolve()


def interpreter_of(path: Path) -> Path:
    """The interpreter of a virtual environment, or the path itself when it is one."""
    return path / "bin" / "python" if path.is_dir() else path


def parse_dpkg(text: str) -> Packages:
    """Installed packages of dpkg-query's output; removed ones that left configuration behind do not count."""
    rows = (line.split("\t") for line in text.splitlines())
    return {name: version for status, name, version in rows if status == "installed"}


def parse_rpm(text: str) -> Packages:
    """Packages of rpm's output, with epoch where there is one, as dnf writes it."""
    rows = (line.split("\t") for line in text.splitlines())
    return _named(
        (name, arch, version if epoch in ("(none)", "0") else f"{epoch}:{version}")
        for name, arch, epoch, version in rows
    )


def parse_apk(text: str) -> Packages:
    """Packages of apk's database: blocks of ``LETTER:value`` lines with an empty line between."""

    def blocks() -> Iterator[tuple[str, str, str]]:
        for block in text.split("\n\n"):
            values = dict(line.split(":", 1) for line in block.splitlines() if line[1:2] == ":")
            if "P" in values:
                yield values["P"], values.get("A", ""), values.get("V", "")

    return _named(blocks())


def _named(rows: Iterable[tuple[str, str, str]]) -> Packages:
    """Name → version of rows (name, architecture, version).

    A package that is there for several architectures is named with each; one that is there in several versions, as
    kernels are, has them all, in order.
    """
    versions: dict[str, dict[str, set[str]]] = {}
    for name, architecture, version in rows:
        versions.setdefault(name, {}).setdefault(architecture, set()).add(version)
    return {
        name if len(architectures) == 1 else f"{name}:{architecture}": _joined(found)
        for name, architectures in versions.items()
        for architecture, found in architectures.items()
    }


def _joined(versions: Iterable[str]) -> str:
    return ", ".join(sorted(versions))
