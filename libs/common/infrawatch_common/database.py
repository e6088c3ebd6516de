"""TimescaleDB through asyncpg: the pool, and which errors mean "try again"."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import asyncpg
from asyncpg import exceptions as pg

from infrawatch_common.settings import DatabaseSettings

# asyncpg's classes take type parameters in its stubs alone.
if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
else:
    Pool = asyncpg.Pool
    Connection = asyncpg.pool.PoolConnectionProxy

_CONNECT_TIMEOUT = 5.0
# A connection that is not given back by then is dropped.
_RELEASE_TIMEOUT = 1.0

# Errors of the moment: the same statement can succeed later without any change to it.
_TRANSIENT: tuple[type[Exception], ...] = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    pg.PostgresConnectionError,
    pg.CannotConnectNowError,
    pg.OperatorInterventionError,
    pg.InsufficientResourcesError,
    pg.DeadlockDetectedError,
    pg.SerializationError,
    pg.LockNotAvailableError,
    pg.ReadOnlySQLTransactionError,
    pg.InternalClientError,
)


def is_transient(error: BaseException) -> bool:
    """Whether the same statement can succeed later; bad input, which asyncpg calls an interface error too, cannot."""
    return isinstance(error, _TRANSIENT) and not isinstance(error, ValueError)


def create_pool(
    settings: DatabaseSettings,
    *,
    application: str,
    server_settings: Mapping[str, str] | None = None,
    **options: Any,
) -> Pool:
    """A pool that connects when it is first used, so that a service can start while the database is away.

    Call it in a running event loop, and await the pool before its first use. ``application`` is the name in
    ``pg_stat_activity``; ``server_settings`` are run-time parameters of every connection.
    """
    return _BoundedPool(
        str(settings.database_url),
        password=settings.database_password.get_secret_value(),
        min_size=0,
        max_size=settings.database_pool_size,
        max_queries=50_000,
        max_inactive_connection_lifetime=300.0,
        loop=None,
        connection_class=asyncpg.Connection,
        record_class=asyncpg.Record,
        command_timeout=settings.database_timeout,
        timeout=_CONNECT_TIMEOUT,
        server_settings={"application_name": application, "timezone": "UTC", **(server_settings or {})},
        **options,
    )


class _BoundedPool(Pool):
    """Gives a connection, and takes it back, within a bound.

    Taking back waits for the server; one that died without a word would keep the task that has just given up on it.
    """

    def acquire(self, *, timeout: float | None = _CONNECT_TIMEOUT) -> Any:
        return super().acquire(timeout=timeout)

    async def release(self, connection: Any, *, timeout: float | None = _RELEASE_TIMEOUT) -> None:  # noqa: ASYNC109 - asyncpg's
        await super().release(connection, timeout=timeout)


def columns(rows: Sequence[Sequence[object]]) -> list[list[object]]:
    """Rows as the columns that ``unnest`` takes; at least one row."""
    return [list(column) for column in zip(*rows, strict=True)]
