"""The connection to TimescaleDB; whoever waits too long for it is told so within three seconds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from asyncpg import exceptions as pg

from infrawatch_api.metrics import ApiMetrics
from infrawatch_api.problems import ProblemError, unavailable
from infrawatch_api.settings import Settings
from infrawatch_common.database import Connection, Pool, create_pool, is_transient
from infrawatch_common.logs import get_logger

_RELEASE_TIMEOUT = 0.5
_PING_TIMEOUT = 1.5

_log = get_logger(__name__)


class Database:
    """A pool that connects when it is needed and again after the database was away."""

    def __init__(self, settings: Settings, metrics: ApiMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._pool: Pool | None = None

    async def open(self) -> None:
        """Make the pool, without connecting."""
        milliseconds = str(int(self._settings.database_timeout * 1000))
        pool = create_pool(
            self._settings, application="infrawatch-api", server_settings={"statement_timeout": milliseconds}
        )
        self._pool = await pool

    async def close(self) -> None:
        """Close all connections; those in use get a moment to finish."""
        if self._pool is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.database_wait):
                    await self._pool.close()
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection; errors of the moment, inside too, become a ``ProblemError`` with status 503."""
        pool = self._opened()
        try:
            connection = await pool.acquire(timeout=self._settings.database_wait)
            try:
                yield connection
            finally:
                await pool.release(connection, timeout=_RELEASE_TIMEOUT)
        except Exception as error:
            if is_transient(error):
                raise self._away(error) from error
            raise

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection in a transaction, which is undone when the block raises."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def first(self) -> AsyncIterator[Connection]:
        """A connection for the first, quick question of a request.

        Connection and answer together must take no longer than ``database_wait``. A database that accepts
        connections and then hangs is found out here, and not by the statement timeout, which is much longer.
        """
        try:
            async with asyncio.timeout(self._settings.database_wait), self.connection() as connection:
                yield connection
        except TimeoutError as error:
            raise self._away(error) from error

    async def check(self) -> str | None:
        """Health check."""
        async with self._opened().acquire(timeout=_PING_TIMEOUT) as connection:
            await connection.fetchval("SELECT 1", timeout=_PING_TIMEOUT)
        return None

    def _opened(self) -> Pool:
        if self._pool is None:
            msg = "the database is used before the service has started"
            raise RuntimeError(msg)
        return self._pool

    def _away(self, error: Exception) -> ProblemError:
        self._metrics.database_errors.inc()
        _log.warning("database is away or busy", error=f"{type(error).__name__}: {error}")
        if isinstance(error, pg.QueryCanceledError):
            return unavailable("The database took too long; ask for less at a time.")
        return unavailable("The database does not answer.")
