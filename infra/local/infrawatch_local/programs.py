"""The table of Infra-Watch's own programs: a new service is one entry here, and nothing else."""

from dataclasses import dataclass
from enum import Enum, auto


class Need(Enum):
    """What a service is given by its environment."""

    KAFKA = auto()
    AGENT_USERS = auto()
    DATABASE = auto()
    HOST_KEYS = auto()
    ENROLMENT = auto()
    OUTSIDE = auto()  # it tells others, or judges where they may be


@dataclass(frozen=True)
class Service:
    """A Python program of this repository; ``port`` is where health and metrics are served, unless a setting says
    otherwise.
    """

    name: str
    port: int
    needs: frozenset[Need]
    arguments: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """The module that is run."""
        return f"infrawatch_{self.name}"


SERVICES = (
    Service(
        "api",
        8080,
        frozenset({Need.KAFKA, Need.AGENT_USERS, Need.DATABASE, Need.HOST_KEYS, Need.OUTSIDE}),
        ("serve",),
    ),
    Service("ingest", 28081, frozenset({Need.KAFKA, Need.DATABASE, Need.HOST_KEYS})),
    Service("alerting", 28082, frozenset({Need.KAFKA, Need.DATABASE, Need.HOST_KEYS, Need.OUTSIDE})),
    Service("drift", 28083, frozenset({Need.KAFKA, Need.DATABASE, Need.HOST_KEYS})),
    Service("agent", 28084, frozenset({Need.ENROLMENT}), ("run",)),
)

# Roles of the database that the migrations create; they exist from the first day, their services come later.
DATABASE_ROLES = ("ingest", "alerting", "drift", "api")
