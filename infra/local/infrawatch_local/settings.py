"""Settings: environment variables with the prefix ``INFRAWATCH_LOCAL_``, read once into a frozen object."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infrawatch_local.errors import SettingsError
from infrawatch_local.programs import SERVICES

PREFIX = "INFRAWATCH_LOCAL_"
REPOSITORY = Path(__file__).resolve().parents[3]
DEFAULT_STATE_DIR = REPOSITORY / ".local"

# All below 32768, where Linux starts to hand out ports to outgoing connections: see ports.py.
DEFAULT_PORTS: Mapping[str, int] = {
    "kafka": 29092,
    "kafka_agents": 29094,
    "kafka_controller": 29093,
    "database": 25432,
    "prometheus": 29090,
    **{service.name: service.port for service in SERVICES},
}
DEFAULT_START_TIMEOUT = 60
# Settings of the services themselves that depend on where they run.
PASSED_ON = ("INFRAWATCH_PRIVATE_TARGETS", "INFRAWATCH_DEAD_MAN_URL")


@dataclass(frozen=True)
class Settings:
    """What the local stack can be told. ``start_timeout``: seconds that a program may take until it is ready.

    ``passed_on``: what services that reach outside are told as it is.
    """

    repository: Path
    state_dir: Path
    cache_dir: Path
    ports: Mapping[str, int]
    start_timeout: int
    passed_on: Mapping[str, str] = field(default_factory=dict)

    @property
    def log_dir(self) -> Path:
        """Logs of programs and of setup."""
        return self.state_dir / "log"

    @property
    def venv_python(self) -> Path:
        """The interpreter that runs Infra-Watch's own programs."""
        return self.repository / ".venv" / "bin" / "python"


def port_variable(name: str) -> str:
    """The environment variable of a port: ``api`` → ``INFRAWATCH_LOCAL_API_PORT``."""
    return f"{PREFIX}{name.upper()}_PORT"


def parse(environment: Mapping[str, str], home: Path) -> Settings:
    """The settings that an environment holds; empty variables count as unset."""
    given = {name: value for name, value in environment.items() if name.startswith(PREFIX) and value}
    _refuse_unknown(given)
    cache = environment.get("XDG_CACHE_HOME") or str(home / ".cache")
    return Settings(
        repository=REPOSITORY,
        state_dir=Path(given.get(f"{PREFIX}STATE_DIR", DEFAULT_STATE_DIR)).absolute(),
        cache_dir=Path(cache).absolute() / "infrawatch",
        ports=_ports(given),
        start_timeout=_number(given, f"{PREFIX}START_TIMEOUT", DEFAULT_START_TIMEOUT, 1, 3600),
        passed_on={name: environment[name] for name in PASSED_ON if environment.get(name)},
    )


def variables() -> dict[str, str]:
    """Every setting with its default, as people write it."""
    return {
        f"{PREFIX}STATE_DIR": ".local",
        f"{PREFIX}START_TIMEOUT": str(DEFAULT_START_TIMEOUT),
        **{port_variable(name): str(port) for name, port in DEFAULT_PORTS.items()},
    }


def _refuse_unknown(given: Mapping[str, str]) -> None:
    for name in sorted(given):
        if name not in variables():
            raise SettingsError(f"there is no setting {name}; the settings are {', '.join(variables())}")


def _ports(given: Mapping[str, str]) -> dict[str, int]:
    ports: dict[str, int] = {}
    for name, default in DEFAULT_PORTS.items():
        port = _number(given, port_variable(name), default, 1, 65535)
        for other, taken in ports.items():
            if taken == port:
                raise SettingsError(f"{port_variable(other)} and {port_variable(name)} are both {port}; change one")
        ports[name] = port
    return ports


def _number(given: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = given.get(name, str(default))
    # isascii too: int() would take the digits of every script, and people would not see why
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise SettingsError(f"{name} is {text!r}; it must be a whole number from {least} to {most}")
    return int(text)
