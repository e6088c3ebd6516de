"""An isolated Kafka and database for tests: free ports, own data, no keepers; tests stop, kill and suspend them.

Everything ends with the process that started it, however that ends.
"""

import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from os import environ
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import quote

from infrawatch_local import ports, processes, secret_files
from infrawatch_local import settings as local_settings
from infrawatch_local.database import Database
from infrawatch_local.errors import LocalError, StepFailedError
from infrawatch_local.kafka import Kafka, KafkaPorts
from infrawatch_local.processes import Process
from infrawatch_local.program import Component
from infrawatch_local.tree import Runtime

START_TIMEOUT = 60.0
# Seconds after which an agent's connection must prove itself again; short, so that a test sees a deleted user go.
REAUTHENTICATE_AFTER = 5
STOP_TIMEOUT = 25.0

T = TypeVar("T")

# The kernel ties a sandbox to the thread that started it, not to the process. A test may start one from a thread that
# ends soon; this thread lasts as long as the process.
_launcher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="infrawatch-launcher")


class Server:
    """One server that a test controls. All calls block until they are done, or raise ``LocalError``."""

    def __init__(self, component: Component, log_dir: Path) -> None:
        self._component = component
        self._log_dir = log_dir
        self._launched: subprocess.Popen[bytes] | None = None
        self._main: Process | None = None

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self._log_dir / f"{self._component.name}.log"

    @property
    def running(self) -> bool:
        """Whether the server's process lives; one that is suspended does."""
        return self._main is not None and self._main.alive()

    @property
    def pid(self) -> int:
        """The server's own process (Java, or the postmaster), for instance to suspend it."""
        if self._main is None or not self._main.alive():
            raise LocalError(f"{self._component.name} does not run")
        return self._main.pid

    def start(self, timeout: float = START_TIMEOUT) -> None:
        """Start it and wait until it is ready."""
        self.launch()
        self.wait_ready(timeout)

    def launch(self) -> None:
        """Start it without waiting."""
        if self.running:
            raise LocalError(f"{self._component.name} runs already")
        program = self._component.program()
        self._log_dir.mkdir(parents=True, exist_ok=True)
        program.write_files()
        _in_launcher(lambda: self._component.prepare(self._log_dir))
        launched = _in_launcher(lambda: program.launch(self.log))
        self._launched = launched
        outer = Process.of(launched.pid)
        processes.wait_until(lambda: launched.poll() is not None or self._find_main(outer), START_TIMEOUT)

    def wait_ready(self, timeout: float = START_TIMEOUT) -> None:
        """Wait until it serves clients."""
        launched, name = self._launched, self._component.name
        if launched is None:
            raise LocalError(f"{name} was not started")
        processes.wait_until(lambda: launched.poll() is not None or self._component.is_ready(), timeout)
        if launched.poll() is not None:
            raise StepFailedError(f"{name} ended with exit code {launched.poll()}", self.log, "See the lines above.")
        if not self._component.is_ready():
            raise StepFailedError(f"{name} was not ready within {timeout:.0f} s", self.log, "See the lines above.")

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Stop it in good order; kill it when that takes too long. Nothing happens when it does not run."""
        self._end(self._component.program().stop_signal, timeout)

    def kill(self) -> None:
        """Kill it without warning, as a power cut would."""
        self._end(signal.SIGKILL, STOP_TIMEOUT)

    def _end(self, number: int, timeout: float) -> None:
        main, launched = self._main, self._launched
        if main is None or launched is None:
            return
        # a server's own workers notice its death by themselves, but a moment later
        family = [main, *main.descendants()]
        main.signal(number)
        main.signal(signal.SIGCONT)
        if not processes.wait_gone(family, timeout):
            for process in family:
                process.signal(signal.SIGKILL)
            processes.wait_gone(family, timeout)
        launched.wait(timeout)
        self._main = self._launched = None

    def _find_main(self, outer: Process | None) -> bool:
        self._main = self._component.program().main_process(outer) if outer else None
        return self._main is not None


class DatabaseServer(Server):
    """PostgreSQL under a test's control."""

    def restart_immediately(self) -> None:
        """Stop it without shutdown (``pg_ctl -m immediate``) and start it; it recovers from its log."""
        self._end(signal.SIGQUIT, STOP_TIMEOUT)
        self.start()


class Stack:
    """Kafka and a database of their own, on free ports."""

    def __init__(self, runtime: Runtime, directory: Path) -> None:
        services_port, agents_port, controller_port, database_port = ports.free_ports(4)
        self._password_file = secret_files.ensure(directory / "secrets" / "database-superuser")
        kafka_ports = KafkaPorts(services_port, agents_port, controller_port)
        self._kafka = Kafka(runtime, directory / "kafka", kafka_ports, REAUTHENTICATE_AFTER)
        self._database = Database(runtime, directory / "database", self._password_file, database_port)
        self.kafka = Server(self._kafka, directory / "log")
        self.database = DatabaseServer(self._database, directory / "log")

    @classmethod
    def isolated(cls, directory: Path) -> Self:
        """A stack with its data in a directory, from the tree that ``setup`` has built."""
        runtime = Runtime.in_cache(local_settings.parse(environ, Path.home()).cache_dir)
        if not (runtime.tree.exists() and runtime.jars.exists()):
            raise LocalError("the Debian tree or Kafka is missing; run `make setup` first")
        return cls(runtime, directory.absolute())

    @property
    def kafka_bootstrap(self) -> str:
        """Where Kafka's clients connect: ``127.0.0.1:PORT``."""
        return self._kafka.bootstrap

    @property
    def agents_bootstrap(self) -> str:
        """Where agents connect by SASL_SSL: ``127.0.0.1:PORT``."""
        return self._kafka.agents_bootstrap

    @property
    def kafka_authority(self) -> Path:
        """The certificate of the authority that agents trust, once Kafka was started."""
        return self._kafka.authority

    @property
    def database_url(self) -> str:
        """The superuser's address of the database ``postgres``, with its password."""
        password = quote(self._password_file.read_text())
        return self._database.url().replace("postgres@", f"postgres:{password}@", 1)

    def start(self, timeout: float = START_TIMEOUT) -> None:
        """Start both and wait until they are ready; nothing keeps running when one fails."""
        try:
            self.kafka.launch()
            self.database.launch()
            self.kafka.wait_ready(timeout)
            self.database.wait_ready(timeout)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop both in good order."""
        self.database.stop()
        self.kafka.stop()

    def kill(self) -> None:
        """Kill both."""
        self.database.kill()
        self.kafka.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _in_launcher(action: Callable[[], T]) -> T:
    return _launcher.submit(action).result()
