"""Configuration of the host: system, kernel, packages."""

import asyncio
import json
import platform
from collections.abc import Sequence
from pathlib import Path

# First on the path wins, as it does when the interpreter imports.
_LIST_DISTRIBUTIONS = """
import importlib.metadata, json, sys
found = {}
for distribution in importlib.metadata.distributions():
    name = distribution.metadata["Name"]
    if name:
        found.setdefault(name, distribution.version)
json.dump(found, sys.stdout)
"""
_DPKG_FORMAT = "${db:Status-Status}\\t${binary:Package}\\t${Version}\\n"


class SourceError(Exception):
    """A source could not be read. A snapshot without it would claim that its packages are gone."""


def os_info() -> str:
    """The distribution by its own name, as ``os-release(5)`` has it."""
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()


def kernel() -> str:
    """The running kernel's release."""
    return platform.release()


async def packages(interpreters: Sequence[str], timeout: float) -> dict[str, dict[str, str]]:  # noqa: ASYNC109
    """Source → package → version, of every package manager that is present. Raises ``SourceError``."""
    found: dict[str, dict[str, str]] = {}
    if _present("/usr/bin/dpkg-query"):
        found["dpkg"] = parse_dpkg(await _output(["/usr/bin/dpkg-query", "-W", "-f", _DPKG_FORMAT], timeout))
    for interpreter in interpreters:
        if _present(interpreter):
            listed = await _output([interpreter, "-I", "-c", _LIST_DISTRIBUTIONS], timeout)
            found[f"python:{interpreter}"] = json.loads(listed)
    return found


def parse_dpkg(text: str) -> dict[str, str]:
    """Installed packages of dpkg-query's output; removed ones that left configuration behind do not count."""
    rows = (line.split("\t") for line in text.splitlines())
    return {name: version for status, name, version in rows if status == "installed"}


def _present(program: str) -> bool:
    return Path(program).exists()


async def _output(command: Sequence[str], timeout: float) -> str:  # noqa: ASYNC109
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(timeout):
            output, errors = await process.communicate()
    except TimeoutError as error:
        process.kill()
        await process.wait()
        msg = f"{command[0]} took longer than {timeout:g} s"
        raise SourceError(msg) from error
    if process.returncode != 0:
        msg = f"{command[0]} ended with {process.returncode}: {errors.decode(errors='replace')[-200:].strip()}"
        raise SourceError(msg)
    return output.decode(errors="replace")
