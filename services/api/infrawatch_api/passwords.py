"""Password hashes: argon2id, off the event loop, a few at a time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn_rs_py import zxcvbn

from infrawatch_api.metrics import ApiMetrics
from infrawatch_api.problems import unavailable
from infrawatch_api.secrets import new_one_time_password
from infrawatch_api.settings import Settings

_BCRYPT_PREFIXES = ("$2a$", "$2b$", "$2y$")
_BCRYPT_MAX_BYTES = 72  # bcrypt itself never looked at more
_ESTIMATED_LENGTH = 100
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a password is right, and whether its hash should be made anew with today's parameters."""

    right: bool
    outdated: bool = False


class Passwords:
    """Hashes and verifies in its own threads, so that a burst of logins neither stops the loop nor fills the memory."""

    def __init__(self, settings: Settings, metrics: ApiMetrics) -> None:
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_time_cost,
            memory_cost=settings.argon2_memory_cost,
            parallelism=settings.argon2_parallelism,
        )
        self._threads = ThreadPoolExecutor(settings.password_threads, thread_name_prefix="password")
        self._queue_max = settings.password_queue_max
        self._metrics = metrics
        self._waiting = 0
        self._dummy: str | None = None

    async def hash(self, password: str) -> str:
        """The hash to store. Raises ``ProblemError`` (503) when too many wait."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, stored: str | None, password: str) -> Verdict:
        """Compare; without a stored hash it takes the same time. Raises ``ProblemError`` (503) when too many wait."""
        return await self._run(lambda: self._verify(stored, password))

    def prepare(self) -> None:
        """Make the hash that stands in for unknown users, so that the first of them does not wait longer."""
        self._dummy = self._hasher.hash(new_one_time_password())

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], ResultT]) -> ResultT:
        if self._waiting >= self._queue_max:
            raise unavailable("Too many people are logging in at this moment.")
        self._waiting += 1
        self._metrics.passwords_waiting.inc()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
            self._metrics.passwords_waiting.dec()

    def _verify(self, stored: str | None, password: str) -> Verdict:
        if stored is None:
            self._matches(self._dummy or "", password)
            return Verdict(right=False)
        if stored.startswith(_BCRYPT_PREFIXES):
            return Verdict(_matches_bcrypt(stored, password), outdated=True)
        if not self._matches(stored, password):
            return Verdict(right=False)
        return Verdict(right=True, outdated=self._hasher.check_needs_rehash(stored))

    def _matches(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return False


def _matches_bcrypt(stored: str, password: str) -> bool:
    try:
        return bcrypt.checkpw(password.encode()[:_BCRYPT_MAX_BYTES], stored.encode())
    except ValueError:
        return False


def strength(password: str, email: str) -> int:
    """How hard a password is to guess for someone who knows whose it is, from 0 to 4."""
    known = [email, *email.replace("@", ".").split("."), "infrawatch", "infra-watch"]
    # The estimate takes time that grows faster than the password; its beginning tells enough.
    return int(zxcvbn(password[:_ESTIMATED_LENGTH], known).score)
