"""Commands that run to their end, with their output in a log."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from infrawatch_local.errors import StepFailedError

_NOT_PASSED_ON = ("INFRAWATCH_", "PYTHONPATH", "PYTHONHOME")


def own_environment() -> dict[str, str]:
    """This process' environment without what would change the behaviour of our programs: the plan tells them that."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED_ON)}


def run_logged(
    command: Sequence[str],
    log: Path,
    what: str,
    remedy: str = "Mend what it says, then run the same command again.",
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a command with its output in a fresh log. Raises ``StepFailedError`` when it fails; ``what`` names it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=own_environment() if environment is None else environment,
            check=False,
        )
    if done.returncode != 0:
        raise StepFailedError(f"{what} failed with exit code {done.returncode}", log, remedy)


def succeeds(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> bool:
    """Whether a command ends with 0; its output is appended to a log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, check=False
        )
    return done.returncode == 0


def output_of(command: Sequence[str], log: Path, what: str, environment: Mapping[str, str]) -> str:
    """Run a command for its standard output; standard error is appended to a log. Raises ``StepFailedError``."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=environment, check=False
        )
    if done.returncode != 0:
        raise StepFailedError(
            f"{what} failed with exit code {done.returncode}",
            log,
            "Mend what it says, then run the same command again.",
        )
    return done.stdout.decode()
