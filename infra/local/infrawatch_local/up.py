"""``up``: from whatever there is to a stack that demonstrably works."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from infrawatch_local import ports
from infrawatch_local.errors import LocalError, StepFailedError
from infrawatch_local.own_commands import OwnCommands
from infrawatch_local.plan import DATABASE_NAME, make_plan, make_secrets
from infrawatch_local.processes import wait_until
from infrawatch_local.program import Component
from infrawatch_local.progress import Progress
from infrawatch_local.readback import has_sample, has_snapshot
from infrawatch_local.settings import Settings
from infrawatch_local.setup import set_up
from infrawatch_local.supervisor import Supervisor

_RESTARTS_THAT_MEAN_FAILURE = 3


class Up:
    """One run of ``up``; remembers what it started, to stop that again when it fails."""

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self._settings = settings
        self._progress = progress
        self._plan = make_plan(settings)
        self._supervisor = Supervisor.of(settings)
        self._own = OwnCommands(settings, self._plan)
        self._began = datetime.now(UTC)
        self._started: list[Component] = []

    def run(self) -> None:
        """Set up, start, prove. Stops what it started when it fails or is interrupted."""
        try:
            self._stop_changed()
            self._check_ports()
            set_up(self._settings, self._progress)
            make_secrets(self._settings)
            self._renew_certificate()
            self._start_stores()
            self._start_services()
            self._read_back(self._start_enrolled())
        except BaseException:
            self._stop_started()
            raise
        self._progress.say("everything runs" if self._started else "everything runs already")

    def summary(self) -> str:
        """Where to go now."""
        api, prometheus = self._own.api_url, self._settings.ports["prometheus"]
        lines = [f"API         {api}", f"API docs    {api}/docs", f"Prometheus  http://{ports.LOOPBACK}:{prometheus}"]
        if self._own.first_login_file.exists():
            lines += first_login_lines(self._own.first_login_file)
        return "\n".join(lines)

    def _stop_changed(self) -> None:
        for component in reversed(self._plan.components):
            state = self._supervisor.state(component)
            if state and state.fingerprint != component.program().fingerprint:
                with self._progress.step(f"stopping {component.name}, since it is configured differently now"):
                    self._supervisor.stop(component)

    def _renew_certificate(self) -> None:
        kafka = self._plan.kafka
        if kafka.ensure_certificate(self._settings.log_dir) and self._supervisor.state(kafka):
            with self._progress.step("stopping kafka, since its certificate is new"):
                self._supervisor.stop(kafka)

    def _check_ports(self) -> None:
        for component in self._plan.components:
            if not self._supervisor.state(component):
                ports.check_free(component.name, component.ports)

    def _start_stores(self) -> None:
        stores = (self._plan.kafka, self._plan.database)
        with self._progress.step(self._what(stores)):
            self._start(stores)
            self._wait(stores)
        with self._progress.step("creating topics and database schema"):
            self._plan.database.create_database(DATABASE_NAME, self._settings.log_dir)
            self._own.create_topics()
            self._own.migrate()

    def _start_services(self) -> None:
        first = (*self._plan.services, self._plan.prometheus)
        with self._progress.step(self._what(first)):
            self._start(first)
            self._wait(first)

    def _start_enrolled(self) -> str:
        with self._progress.step(self._what(self._plan.enrolled)):
            self._own.create_first_admin()
            host_id = self._own.enrol_this_machine()
            self._start(self._plan.enrolled)
            self._wait(self._plan.enrolled)
        return host_id

    def _read_back(self, host_id: str) -> None:
        newer_than = self._began if self._started else None
        port = self._settings.ports["api"]
        with self._progress.step("waiting for this machine's first sample and snapshot"):
            token = self._own.viewer_token()
            self._await(lambda: has_sample(port, token, host_id, newer_than), f"sample of this machine ({host_id})")
            self._await(lambda: has_snapshot(port, token, host_id), f"snapshot of this machine ({host_id})")

    def _await(self, arrived: Callable[[], bool], what: str) -> None:
        seconds = self._settings.start_timeout
        if not wait_until(arrived, seconds):
            raise LocalError(
                f"no {what} could be read from the API within {seconds} s; the logs of agent, ingest, drift and api in "
                f"{self._settings.log_dir} say why"
            )

    def _what(self, components: Sequence[Component]) -> str:
        idle = any(not self._supervisor.state(component) for component in components)
        return f"{'starting' if idle else 'checking'} {', '.join(component.name for component in components)}"

    def _start(self, components: Sequence[Component]) -> None:
        for component in components:
            if not self._supervisor.state(component):
                self._started.append(component)  # before the start: an interrupted one is to be undone too
                self._supervisor.start(component)

    def _wait(self, components: Sequence[Component]) -> None:
        for component in components:
            self._wait_for(component)

    def _wait_for(self, component: Component) -> None:
        log = self._supervisor.log(component)
        if not wait_until(lambda: component.is_ready() or self._fails(component), self._settings.start_timeout):
            seconds = self._settings.start_timeout
            raise StepFailedError(f"{component.name} was not ready within {seconds} s", log, "Look at the lines above.")
        if self._fails(component):
            raise StepFailedError(f"{component.name} does not stay up", log, "Look at the lines above.")

    def _fails(self, component: Component) -> bool:
        state = self._supervisor.state(component)
        return state is None or (component in self._started and state.restarts >= _RESTARTS_THAT_MEAN_FAILURE)

    def _stop_started(self) -> None:
        if self._started:
            with self._progress.step("stopping again what was started"):
                for component in reversed(self._started):
                    self._supervisor.stop(component)


def first_login_lines(path: Path) -> list[str]:
    """The first admin's email and one-time password, for people."""
    login = json.loads(path.read_text())
    return ["", f"first login  {login['email']}", f"password     {login['password']}  (once; kept in {path})"]
