"""Keepers from the outside: start one, stop one, ask what it does."""

import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from infrawatch_local import keeper, processes
from infrawatch_local.commands import own_environment
from infrawatch_local.errors import StepFailedError
from infrawatch_local.keeper_state import KeeperState
from infrawatch_local.processes import Process
from infrawatch_local.program import MARK, Component
from infrawatch_local.settings import Settings

_KEEPER_STARTS_WITHIN = 15.0
_PACKAGE_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Supervisor:
    """The keepers of one state directory."""

    state_dir: Path
    log_dir: Path

    @classmethod
    def of(cls, settings: Settings) -> "Supervisor":
        """The keepers that belong to these settings."""
        return cls(settings.state_dir, settings.log_dir)

    def log(self, component: Component) -> Path:
        """Where a program's output goes."""
        return self.log_dir / f"{component.name}.log"

    def state(self, component: Component) -> KeeperState | None:
        """What its keeper says; nothing when there is no living keeper."""
        state = KeeperState.load(self._state_file(component))
        return state if state and state.keeper.alive() else None

    def main_process(self, component: Component) -> Process | None:
        """The program itself, if it runs."""
        state = self.state(component)
        return component.program().main_process(state.launched) if state and state.launched else None

    def start(self, component: Component) -> None:
        """Write its configuration, prepare its data, and start a keeper."""
        self._end_strays(component)
        program, log, state_file = component.program(), self.log(component), self._state_file(component)
        state_file.parent.mkdir(parents=True, exist_ok=True)
        self.log_dir.mkdir(parents=True, exist_ok=True)
        program.write_files()
        component.prepare(self.log_dir)
        self._start_keeper(keeper.order(program, log, state_file), log)
        if not processes.wait_until(lambda: self.state(component) is not None, _KEEPER_STARTS_WITHIN):
            raise StepFailedError(f"the keeper of {component.name} did not start", log, "Look at the lines above.")

    def stop(self, component: Component) -> bool:
        """Stop a program with its keeper, and what a dead keeper left behind; whether there was anything."""
        state = self.state(component)
        if state:
            state.keeper.signal(signal.SIGTERM)
            if not processes.wait_gone([state.keeper], keeper.STOP_GRACE + 10):
                state.keeper.signal(signal.SIGKILL)
        strays = self._end_strays(component)
        self._state_file(component).unlink(missing_ok=True)
        return state is not None or strays

    def _end_strays(self, component: Component) -> bool:
        strays = processes.marked(MARK, str(self.log(component)))
        processes.end(strays, keeper.STOP_GRACE)
        return bool(strays)

    def _state_file(self, component: Component) -> Path:
        return self.state_dir / "run" / f"{component.name}.json"

    @staticmethod
    def _start_keeper(order: str, log: Path) -> None:
        with log.open("ab") as output:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "infrawatch_local.keeper"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**own_environment(), "PYTHONPATH": str(_PACKAGE_ROOT)},
                cwd="/",
                start_new_session=True,
            )
        assert child.stdin is not None
        with child.stdin as pipe:
            pipe.write(order.encode())
