"""Infra-Watch's own commands that run once: topics, migrations, the first admin, this machine's enrolment."""

import json
from pathlib import Path
from typing import Any

from infrawatch_local import secret_files
from infrawatch_local.commands import output_of, own_environment
from infrawatch_local.errors import LocalError
from infrawatch_local.plan import Plan, agent_directory, migration_environment
from infrawatch_local.ports import LOOPBACK
from infrawatch_local.settings import Settings

ADMIN_EMAIL = "admin@infrawatch.example"
_TOKEN_SECONDS = "600"


class OwnCommands:
    """The commands, with the environment that the plan gives them."""

    def __init__(self, settings: Settings, plan: Plan) -> None:
        self._settings = settings
        self._plan = plan

    @property
    def api_url(self) -> str:
        """Where the API is."""
        return f"http://{LOOPBACK}:{self._settings.ports['api']}"

    @property
    def first_login_file(self) -> Path:
        """Address, email and one-time password of the first admin."""
        return self._settings.state_dir / "first-login.json"

    def create_topics(self) -> None:
        """Create missing topics, and the rules of who may use them."""
        environment = {
            "INFRAWATCH_KAFKA_BOOTSTRAP_SERVERS": self._plan.kafka.bootstrap,
            "INFRAWATCH_KAFKA_ACCESS": "true",
        }
        self._run("infrawatch_common.topics", environment=environment)

    def migrate(self) -> None:
        """Bring the database's schema and roles up to date."""
        self._run("infrawatch_migrations", environment=migration_environment(self._settings, self._plan.database))

    def create_first_admin(self) -> None:
        """Create the first admin, unless there is one, and keep the one-time password where its owner finds it."""
        answer = self._api("create-admin", "--email", ADMIN_EMAIL)
        if answer["created"]:
            login = {"url": self.api_url, "email": answer["email"], "password": answer["password"]}
            secret_files.write_private(self.first_login_file, json.dumps(login, indent=2) + "\n")

    def viewer_token(self) -> str:
        """A short-lived token that may read."""
        answer = self._api(
            *("create-token", "--email", ADMIN_EMAIL, "--role", "viewer", "--expires-in", _TOKEN_SECONDS)
        )
        return str(answer["token"])

    def enrol_this_machine(self) -> str:
        """Give this machine's agent an identity with a user of Kafka, unless it has one; the host's id."""
        environment = self._service_environment("agent")
        token_file = self._settings.state_dir / "secrets" / "enrolment-token"
        arguments = ["enrol", "--api-url", self.api_url]
        identity = self._identity()
        if not identity.get("kafka"):
            for_host = ("--host-id", identity["host_id"]) if identity else ()
            arguments += ["--again"] if identity else []
            token = self._api("create-enrolment", "--expires-in", _TOKEN_SECONDS, *for_host)["token"]
            secret_files.write_private(token_file, token)
            environment["INFRAWATCH_ENROLMENT_TOKEN_FILE"] = str(token_file)
        try:
            answer = self._answer("infrawatch_agent", *arguments, environment=environment)
        finally:
            token_file.unlink(missing_ok=True)
        return str(answer["host_id"])

    def _identity(self) -> Any:
        path = agent_directory(self._settings) / "identity.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def _api(self, *arguments: str) -> Any:
        return self._answer("infrawatch_api", *arguments, environment=self._service_environment("api"))

    def _service_environment(self, name: str) -> dict[str, str]:
        component = next(item for item in self._plan.components if item.name == name)
        return dict(component.program().environment)

    def _answer(self, module: str, *arguments: str, environment: dict[str, str]) -> Any:
        output = self._run(module, *arguments, environment=environment)
        try:
            return json.loads(output)
        except ValueError:
            raise LocalError(f"python -m {module} {' '.join(arguments)} did not answer with JSON") from None

    def _run(self, module: str, *arguments: str, environment: dict[str, str]) -> str:
        command = (str(self._settings.venv_python), "-P", "-m", module, *arguments)
        what = " ".join(("python -m", module, *arguments))
        log = self._settings.log_dir / f"{module}.log"
        return output_of(command, log, what, {**own_environment(), **environment})
