"""Records for tests, built the way an agent builds them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from infrawatch_agent.domain.signing import SIGNATURE_HEADER, sign
from infrawatch_common.events import HostKey, derive_secret

TOPIC = "infrawatch.metrics.v1"
MASTER_SECRET = "a master secret that is long enough"
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def sample(host_id: str = "host-a", sequence: int = 0, timestamp: datetime = NOW, **changes: Any) -> dict[str, Any]:
    """A valid sample, with some fields changed."""
    return {
        "id": str(uuid4()),
        "host_id": host_id,
        "timestamp": timestamp.isoformat().replace("+00:00", "Z"),
        "cpu": 12.5,
        "memory": 40.1,
        "disk": 71.0,
        "uptime": 86_400 + sequence,
        "agent": {"instance": "5f0c5d2e-8d5a-4c39-9a39-2f2f7b0f7a11", "sequence": sequence},
        **changes,
    }


def body(record: dict[str, Any]) -> bytes:
    """The record as an agent writes it."""
    return json.dumps(record, separators=(",", ":")).encode()


def host_key(host_id: str, key_id: str | None = None, revoked_at: datetime | None = None) -> HostKey:
    """A key of a host; the same for the same host unless an id is given."""
    key_id = key_id or UUID(bytes=host_id.encode().ljust(16, b"\0")[:16]).hex
    return HostKey(key_id, host_id, derive_secret(MASTER_SECRET.encode(), key_id), revoked_at)


def signature(key: HostKey, value: bytes, topic: str = TOPIC) -> tuple[str, bytes]:
    """The header that proves a record."""
    return SIGNATURE_HEADER, sign(key.secret, key.id, topic, key.host_id, value)


@dataclass(frozen=True)
class FakeMessage:
    """A record as Kafka delivers it."""

    value: bytes | None
    key: bytes | None = b"host-a"
    headers: Sequence[tuple[str, bytes]] = ()
    topic: str = TOPIC
    partition: int = 0
    offset: int = 0
    appended_at: datetime = field(default=NOW + timedelta(seconds=1))

    @property
    def timestamp(self) -> int:
        return int(self.appended_at.timestamp() * 1000)


def signed(record: dict[str, Any], key: HostKey | None = None, topic: str = TOPIC, **message: Any) -> FakeMessage:
    """A message that its host signed."""
    key = key or host_key(record["host_id"])
    value = body(record)
    return FakeMessage(value, record["host_id"].encode(), [signature(key, value, topic)], topic, **message)
