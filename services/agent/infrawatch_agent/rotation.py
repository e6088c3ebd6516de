"""Replaces this host's key by a new one, so that a crash at any point leaves a key that is believed.

1. The present key proves the host, and the API gives a further key. Both are valid.
2. The new key is saved, whole or not at all. Else the present one stays in use, and the next attempt begins anew.
3. The new key proves the host, and the API ends the older ones after an overlap. Until it has, this is tried again.
"""

import asyncio
import fcntl
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from infrawatch_agent import api
from infrawatch_agent.domain.keys import key_proof, rotation_due
from infrawatch_agent.identity import Identity, IdentityError, KafkaAccess, identity_path, load_identity, save_identity
from infrawatch_agent.logs import fields
from infrawatch_agent.metrics import Metrics
from infrawatch_agent.settings import Settings, variable

_PATH = "/api/v1/host-keys"
# Between looks at the key's age, and so after a failed attempt.
_CHECK_SECONDS = 3600.0
_DAY = 86_400.0

_log = logging.getLogger(__name__)


class RotationError(Exception):
    """The key was not replaced; the present one stays in use. The message says why and what to do."""


class _NewKey(msgspec.Struct, frozen=True):
    host_id: str
    key_id: str
    secret: str
    kafka: KafkaAccess | None = None


class KeyState(msgspec.Struct, frozen=True):
    """What the API says of a key that it believes."""

    created_at: datetime
    revoked_at: datetime | None


def rotate(settings: Settings) -> Identity:
    """Get a new key, save it, and confirm it; the new identity. Raises ``RotationError``.

    When the confirmation alone fails, the new key is in use all the same, and ``confirm`` is due.
    """
    with _alone(settings):
        present = load_identity(settings)
        if present is None or settings.api_url is None:
            msg = f"the key cannot be replaced: this host is not enrolled, or {variable('api_url')} is not set"
            raise RotationError(msg)
        try:
            save_identity(settings, present)  # a disk that takes nothing must not cost a key
            new = msgspec.json.decode(_ask(settings.api_url, "rotate", present).body, type=_NewKey)
            identity = msgspec.structs.replace(
                present,
                key_id=new.key_id,
                secret=new.secret,
                issued_at=time.time(),
                confirmed=False,
                kafka=new.kafka or present.kafka,
            )
            save_identity(settings, identity)
        except (api.ApiError, msgspec.DecodeError, OSError) as error:
            msg = f"the key was not replaced, and the present one stays in use: {error}"
            raise RotationError(msg) from error
    return confirm(settings)


def confirm(settings: Settings) -> Identity:
    """Have the API end the keys before the present one, unless it has; the identity. Raises ``RotationError``."""
    with _alone(settings):
        identity = load_identity(settings)
        if identity is None or settings.api_url is None:
            msg = f"the key cannot be confirmed: this host is not enrolled, or {variable('api_url')} is not set"
            raise RotationError(msg)
        if identity.confirmed:
            return identity
        try:
            _ask(settings.api_url, "confirm", identity)
            confirmed = msgspec.structs.replace(identity, confirmed=True)
            save_identity(settings, confirmed)
        except (api.ApiError, OSError) as error:
            msg = f"the new key is in use, but the old one is not ended yet: {error}; the agent tries again"
            raise RotationError(msg) from error
        return confirmed


def verify(api_url: str, identity: Identity) -> KeyState:
    """What the API says of the key. Raises ``ApiError``."""
    answer = _ask(api_url, "verify", identity)
    try:
        return msgspec.json.decode(answer.body, type=KeyState)
    except msgspec.DecodeError as error:
        msg = f"its answer is not understood: {error}"
        raise api.ApiError(msg) from error


class KeyKeeper:
    """Replaces the key when it is older than ``key_max_age`` days, while the agent runs."""

    def __init__(self, settings: Settings, metrics: Metrics, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self.problem: str | None = None

    async def run(self) -> None:
        """Look at the key's age every hour, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(_CHECK_SECONDS)

    async def look(self) -> None:
        """Replace or confirm the key, if that is due. Nothing is raised: the present key stays in use."""
        try:
            work = self._due()
        except (IdentityError, OSError) as error:
            self.problem = str(error)
            return
        if work is not None:
            await self._do(work)

    def _due(self) -> Callable[[Settings], Identity] | None:
        identity, max_age = load_identity(self._settings), self._settings.key_max_age
        if identity is None or self._settings.api_url is None:
            return None
        if not identity.confirmed:
            return confirm
        issued_at = identity.issued_at or identity_path(self._settings).stat().st_mtime
        due = rotation_due(issued_at, max_age * _DAY, identity.host_id)
        return rotate if max_age and self._clock() >= due else None

    async def _do(self, work: Callable[[Settings], Identity]) -> None:
        try:
            identity = await asyncio.to_thread(work, self._settings)
        except RotationError as error:
            self._metrics.key_rotation_failures_total += 1
            self.problem = str(error)
            _log.error("key not replaced", extra=fields(error=str(error)))
        else:
            self.problem = None
            _log.info("key replaced", extra=fields(key_id=identity.key_id))


def _ask(api_url: str, purpose: str, identity: Identity) -> api.Answer:
    timestamp, nonce = datetime.now(UTC).isoformat(), secrets.token_hex(16)
    proof = key_proof(identity.key(), purpose, identity.host_id, identity.key_id, timestamp, nonce)
    body: dict[str, Any] = {
        "host_id": identity.host_id,
        "key_id": identity.key_id,
        "timestamp": timestamp,
        "nonce": nonce,
        "proof": proof,
    }
    return api.post(api_url, f"{_PATH}/{purpose}", body)


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """One rotation at a time, whether by the running agent or by the command."""
    try:
        descriptor = os.open(Path(settings.state_directory), os.O_RDONLY)
    except OSError as error:
        msg = f"{settings.state_directory} cannot be opened: {error.strerror}"
        raise RotationError(msg) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
