"""A program that runs for long: what it is, and how it is started. One definition serves `up` and the tests."""

import json
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from infrawatch_local import sandbox, stamps
from infrawatch_local.commands import own_environment
from infrawatch_local.processes import Process

# Every process of a program carries this variable with the path of its log: so strays are found and told apart.
MARK = "INFRAWATCH_PROGRAM"


@dataclass(frozen=True)
class Program:
    """What is run. ``files``: path → text of its configuration, written before each start."""

    name: str
    command: tuple[str, ...]
    stop_signal: int
    sandboxed: bool
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Changes when the program would be started differently."""
        return stamps.digest(json.dumps(asdict(self), sort_keys=True))

    def write_files(self) -> None:
        """Write the configuration."""
        for name, text in self.files.items():
            path = Path(name)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text(text)

    def launch(self, log: Path, before_exec: Callable[[], None] | None = None) -> "subprocess.Popen[bytes]":
        """Start it in a session of its own, away from the terminal, with its output appended to the log."""
        base = sandbox.ENVIRONMENT if self.sandboxed else own_environment()
        with log.open("ab") as output:
            return subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**base, **self.environment, MARK: str(log)},
                start_new_session=True,
                preexec_fn=before_exec,  # given by the keeper alone, which has a single thread
            )

    def main_process(self, launched: Process) -> Process | None:
        """The program itself, which signals are meant for: in a sandbox the child of bubblewrap, which would not
        pass them on but end at once.
        """
        if not self.sandboxed:
            return launched if launched.alive() else None
        return next(iter(launched.children()), None)


class Component(ABC):
    """A part of the stack: a program, how its data is prepared, and how to see that it is ready."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Its name in settings, logs and messages."""

    @property
    @abstractmethod
    def ports(self) -> Mapping[str, int]:
        """Its ports by the names of their settings; the first is the one that people care about."""

    @abstractmethod
    def program(self) -> Program:
        """What is run."""

    def prepare(self, log_dir: Path) -> None:  # noqa: B027 - most have nothing to prepare
        """Make its data when there is none yet; called after the configuration was written."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it does its work now."""
