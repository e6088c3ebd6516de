"""The audit log and the dead letters."""

from datetime import datetime
from typing import Any

import msgspec


class AuditEntry(msgspec.Struct, frozen=True):
    """Who did what to what, from where."""

    id: int
    at: datetime
    actor: str
    ip: str | None
    action: str
    target: str | None
    detail: dict[str, Any]


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that could not be used, without its body; ``size`` in bytes, null for a tombstone."""

    service: str
    topic: str
    partition: int
    offset: int
    appended_at: datetime
    created_at: datetime
    host_id: str | None
    reason: str
    detail: str
    size: int | None


class DeadLetterWithBody(msgspec.Struct, frozen=True):
    """A dead letter, whole; ``key`` and ``value`` are base64, ``headers`` are hexadecimal."""

    letter: DeadLetter
    key: str | None
    value: str | None
    headers: dict[str, str]
