"""What the routes work with: one object, made by ``create_app`` and given to every route as ``api``."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.params import SkipValidation

from infrawatch_api.agent_users import AgentUsers
from infrawatch_api.domain.audit import Action
from infrawatch_api.domain.host_status import Rules
from infrawatch_api.domain.passwords import PasswordRules
from infrawatch_api.domain.roles import Role
from infrawatch_api.domain.throttle import Throttle
from infrawatch_api.locks import KeyedLocks
from infrawatch_api.metrics import ApiMetrics
from infrawatch_api.passwords import Passwords
from infrawatch_api.previewing import Previews
from infrawatch_api.settings import Settings
from infrawatch_api.store import audit
from infrawatch_api.store.database import Database
from infrawatch_common.database import Connection
from infrawatch_common.notices.sealing import Sealer

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking. Of ``session_id`` and ``token_id`` one is set; ``role`` is what counts now."""

    user_id: UUID
    email: str
    role: Role
    expires_at: datetime
    password_change_required: bool
    session_id: UUID | None
    token_id: UUID | None


@dataclass(frozen=True, slots=True)
class Api:
    """The parts of one process."""

    settings: Settings
    database: Database
    passwords: Passwords
    password_rules: PasswordRules
    metrics: ApiMetrics
    clock: Clock
    agent_users: AgentUsers
    previews: Previews
    attempts: KeyedLocks = field(default_factory=KeyedLocks)

    @property
    def sealer(self) -> Sealer:
        """What channels' secrets are encrypted with."""
        return Sealer(self.settings.host_key_secret.get_secret_value().encode())

    @property
    def login_throttle(self) -> Throttle:
        """How many failed logins are too many."""
        return Throttle(self.settings.login_failures, timedelta(seconds=self.settings.throttle_window))

    @property
    def status_rules(self) -> Rules:
        """What is tolerated of a host."""
        return Rules(
            timedelta(seconds=self.settings.host_silent_after),
            timedelta(seconds=self.settings.host_clock_tolerance),
            timedelta(seconds=self.settings.host_gap_settles_after),
        )

    @property
    def enrolment_throttle(self) -> Throttle:
        """How many refused claims are too many."""
        return Throttle(self.settings.enrolment_failures, timedelta(seconds=self.settings.throttle_window))


@dataclass(frozen=True, slots=True)
class Act:
    """An action for the audit log with all that the request knows about it."""

    actor: str
    ip: str
    at: datetime

    async def write(
        self, connection: Connection, action: Action, target: str | None = None, /, **detail: object
    ) -> None:
        """Note the action; in a transaction, it is noted when it has happened."""
        await audit.write(connection, action, at=self.at, actor=self.actor, ip=self.ip, target=target, detail=detail)


def client_ip(connection: ASGIConnection) -> str:  # type: ignore[type-arg]
    """The address of the client, as the outermost layer found it."""
    return str(connection.scope["state"]["client_address"])


ApiDependency = NamedDependency[SkipValidation[Api]]
CallerDependency = NamedDependency[SkipValidation[Caller]]
ActDependency = NamedDependency[SkipValidation[Act]]
