"""The plan: from settings and the table of programs to what runs, with which configuration, in which order."""

from dataclasses import dataclass
from pathlib import Path

from infrawatch_local import secret_files
from infrawatch_local.database import Database
from infrawatch_local.kafka import Kafka, KafkaPorts
from infrawatch_local.ports import LOOPBACK
from infrawatch_local.program import Component
from infrawatch_local.programs import DATABASE_ROLES, SERVICES, Need, Service
from infrawatch_local.prometheus import Prometheus
from infrawatch_local.python_service import PythonService
from infrawatch_local.settings import Settings
from infrawatch_local.tree import Runtime

DATABASE_NAME = "infrawatch"
SUPERUSER = "superuser"


@dataclass(frozen=True)
class Plan:
    """What runs. ``services`` need no enrolment, ``enrolled`` do; each part needs only those before it."""

    kafka: Kafka
    database: Database
    services: tuple[Component, ...]
    prometheus: Component
    enrolled: tuple[Component, ...]

    @property
    def components(self) -> tuple[Component, ...]:
        """Everything in the order of the start; it is stopped in the opposite order."""
        return (self.kafka, self.database, *self.services, self.prometheus, *self.enrolled)


def make_plan(settings: Settings) -> Plan:
    """The plan that follows from the settings."""
    ports, state = settings.ports, settings.state_dir
    runtime = Runtime.in_cache(settings.cache_dir)
    kafka_ports = KafkaPorts(ports["kafka"], ports["kafka_agents"], ports["kafka_controller"])
    kafka = Kafka(runtime, state / "kafka", kafka_ports)
    password = database_password(settings, SUPERUSER)
    database = Database(runtime, state / "database", password, ports["database"])
    built = [
        (Need.ENROLMENT in service.needs, _python_service(settings, service, kafka, database)) for service in SERVICES
    ]
    return Plan(
        kafka=kafka,
        database=database,
        services=tuple(component for enrolled, component in built if not enrolled),
        prometheus=Prometheus(
            runtime, state / "prometheus", ports["prometheus"], {item.name: ports[item.name] for item in SERVICES}
        ),
        enrolled=tuple(component for enrolled, component in built if enrolled),
    )


def service_environment(settings: Settings, service: Service, kafka: Kafka, database: Database) -> dict[str, str]:
    """What a service is told: where it listens, and what it needs."""
    environment = {"INFRAWATCH_HTTP_HOST": LOOPBACK, "INFRAWATCH_HTTP_PORT": str(settings.ports[service.name])}
    if Need.KAFKA in service.needs:
        environment["INFRAWATCH_KAFKA_BOOTSTRAP_SERVERS"] = kafka.bootstrap
    if Need.AGENT_USERS in service.needs:
        environment["INFRAWATCH_AGENT_KAFKA_BOOTSTRAP_SERVERS"] = kafka.agents_bootstrap
        environment["INFRAWATCH_AGENT_KAFKA_CA_FILE"] = str(kafka.authority)
    if Need.DATABASE in service.needs:
        environment["INFRAWATCH_DATABASE_URL"] = database.url(f"infrawatch_{service.name}", DATABASE_NAME)
        environment["INFRAWATCH_DATABASE_PASSWORD_FILE"] = str(database_password(settings, service.name))
    if Need.HOST_KEYS in service.needs:
        environment["INFRAWATCH_HOST_KEY_SECRET_FILE"] = str(host_key_secret(settings))
    if Need.OUTSIDE in service.needs:
        environment |= settings.passed_on
    if Need.ENROLMENT in service.needs:
        environment["INFRAWATCH_STATE_DIRECTORY"] = str(agent_directory(settings))
    return environment


def migration_environment(settings: Settings, database: Database) -> dict[str, str]:
    """What the migrations are told: the superuser, and the passwords of the roles that they create."""
    return {
        "INFRAWATCH_DATABASE_URL": database.url(database=DATABASE_NAME),
        "INFRAWATCH_DATABASE_PASSWORD_FILE": str(database_password(settings, SUPERUSER)),
        **{
            f"INFRAWATCH_{role.upper()}_DATABASE_PASSWORD_FILE": str(database_password(settings, role))
            for role in DATABASE_ROLES
        },
    }


def make_secrets(settings: Settings) -> None:
    """Make every secret that does not exist yet."""
    for role in (SUPERUSER, *DATABASE_ROLES):
        secret_files.ensure(database_password(settings, role))
    secret_files.ensure(host_key_secret(settings))


def database_password(settings: Settings, role: str) -> Path:
    """The file with the password of a database role."""
    return settings.state_dir / "secrets" / f"database-{role}"


def host_key_secret(settings: Settings) -> Path:
    """The file with the secret from which hosts' keys are derived or sealed."""
    return settings.state_dir / "secrets" / "host-key-secret"


def agent_directory(settings: Settings) -> Path:
    """Identity and spool of this machine's agent."""
    return settings.state_dir / "agent"


def _python_service(settings: Settings, service: Service, kafka: Kafka, database: Database) -> PythonService:
    environment = service_environment(settings, service, kafka, database)
    return PythonService(service, settings.venv_python, settings.ports[service.name], environment)
