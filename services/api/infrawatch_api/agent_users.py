"""Agents' users of Kafka: one for every host key in use, named by its key, with a password that the agent alone knows.

Kafka and the database share no transaction. A user is made before its key is committed, and whatever users have no key
in use are deleted afterwards: at once when a key is revoked, and every so often in case Kafka was away or this process
died in between. A user whose key was never committed works for nobody, since its password was never told.
"""

import asyncio
import secrets

from infrawatch_api.contract.enrolments import KafkaAccess
from infrawatch_api.metrics import ApiMetrics
from infrawatch_api.problems import ProblemError, unavailable
from infrawatch_api.settings import Settings
from infrawatch_api.store import hosts
from infrawatch_api.store.database import Database
from infrawatch_common.database import Connection
from infrawatch_common.kafka_admin import KafkaAdmin, KafkaAdminError
from infrawatch_common.logs import get_logger

_log = get_logger(__name__)


class AgentUsers:
    """Makes and deletes them, where ``agent_kafka_bootstrap_servers`` says that agents have users."""

    def __init__(self, settings: Settings, metrics: ApiMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._admin = KafkaAdmin(settings)
        self._revoked = asyncio.Event()

    async def give(self, connection: Connection, key_id: str) -> KafkaAccess | None:
        """A user for a key that the connection's transaction adds; None where agents have none.

        Raises ``ProblemError`` (503) when Kafka does not answer: the transaction is undone, and nothing has changed.
        """
        servers = self._settings.agent_kafka_bootstrap_servers
        if servers is None:
            return None
        await hosts.share_agent_users(connection)
        user, password = f"{self._settings.agent_kafka_user_prefix}{key_id}", secrets.token_urlsafe(32)
        try:
            await self._admin.put_users({user: password})
        except KafkaAdminError as error:
            _log.warning("no user of Kafka could be made", error=str(error))
            detail = "Kafka, where the host needs a user, does not do it at the moment; nothing has changed, try again."
            raise unavailable(detail) from error
        return KafkaAccess(servers, "SASL_SSL", user, password, self._settings.agent_kafka_ca)

    def key_was_revoked(self) -> None:
        """Have its user deleted now; called after the commit."""
        self._revoked.set()

    async def follow_keys(self, database: Database) -> None:
        """Background task: delete users without a key in use, for ever."""
        if self._settings.agent_kafka_bootstrap_servers is None:
            return
        while True:
            self._revoked.clear()
            try:
                await self._delete_left_over(database)
            except (ProblemError, KafkaAdminError) as error:
                self._metrics.agent_user_failures.inc()
                _log.warning("users of Kafka without key could not be deleted, trying again", error=str(error))
            except Exception as error:  # noqa: BLE001 - counted and logged, and the next round tries again
                self._metrics.agent_user_failures.inc()
                _log.error("users of Kafka without key could not be deleted", exc_info=error)
            await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._settings.agent_kafka_sweep_interval):
                await self._revoked.wait()
        except TimeoutError:
            pass

    async def _delete_left_over(self, database: Database) -> None:
        prefix = self._settings.agent_kafka_user_prefix
        async with database.transaction() as connection:
            # No claim is under way then, so that a user without key is not one whose key is about to be committed.
            await hosts.lock_agent_users(connection)
            users = await self._admin.users(prefix)
            in_use = await hosts.keys_in_use(connection, [user.removeprefix(prefix) for user in users])
            left_over = sorted(user for user in users if user.removeprefix(prefix) not in in_use)
            await self._admin.delete_users(left_over)
        if left_over:
            self._metrics.agent_users_deleted.inc(len(left_over))
            _log.info("users of Kafka without key in use were deleted", count=len(left_over))
