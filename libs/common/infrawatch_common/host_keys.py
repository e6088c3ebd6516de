"""The keys that hosts sign with, as a service knows them."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import asyncpg

from infrawatch_common.database import Pool, is_transient
from infrawatch_common.events import HostKey, derive_secret
from infrawatch_common.logs import get_logger

_LOAD = "SELECT id, host_id, revoked_at FROM host_keys WHERE id = ANY($1)"
_REVOKED_SINCE = "SELECT id, host_id, revoked_at FROM host_keys WHERE revoked_at >= $1"
# Revocations become visible when their transaction commits, somewhat after the time that they carry.
_OVERLAP = timedelta(minutes=5)

_log = get_logger(__name__)


class KeyRing:
    """Host keys by id: loaded when a record first names them, their revocations read every ``refresh`` seconds."""

    def __init__(self, pool: Pool, master_secret: bytes, refresh: float) -> None:
        self._pool = pool
        self._master = master_secret
        self._refresh = refresh
        self._keys: dict[str, HostKey] = {}

    @property
    def known(self) -> Mapping[str, HostKey]:
        """The keys that were loaded so far, by id."""
        return self._keys

    async def learn(self, ids: Iterable[str]) -> bool:
        """Look for keys that are not known yet; whether there was one."""
        missing = {key_id for key_id in ids if key_id not in self._keys}
        rows = await self._pool.fetch(_LOAD, list(missing)) if missing else []
        self._learn(rows)
        return bool(rows)

    async def follow_revocations(self) -> None:
        """Background task: learn of revoked keys, for ever."""
        since = datetime.now(UTC)
        while True:
            await asyncio.sleep(self._refresh)
            now = datetime.now(UTC)
            try:
                self._learn(await self._pool.fetch(_REVOKED_SINCE, since - _OVERLAP))
                since = now
            except Exception as error:
                if not is_transient(error):
                    raise
                _log.warning("revoked keys could not be read, trying again", error=f"{type(error).__name__}: {error}")

    def _learn(self, rows: Iterable[asyncpg.Record]) -> None:
        for row in rows:
            key_id = row["id"]
            self._keys[key_id] = HostKey(key_id, row["host_id"], derive_secret(self._master, key_id), row["revoked_at"])
