"""Enrolments: how a host gets its key."""

from datetime import datetime
from uuid import UUID

import msgspec
from pydantic import Field

from infrawatch_api.contract.common import Body, HostIdText, Name, Seconds, Secret, Tags


class Enrolment(msgspec.Struct, frozen=True):
    """An enrolment without its token; ``host_id`` null when the agent names the host."""

    id: UUID
    host_id: str | None
    created_by: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    used_by: str | None


class NewEnrolment(Body):
    """An enrolment to create. One with ``host_id`` gives a further key to a host that is there already."""

    expires_in: Seconds
    host_id: HostIdText | None = None


class CreatedEnrolment(msgspec.Struct, frozen=True):
    """A new enrolment with its token, which is shown this once."""

    id: UUID
    token: str
    host_id: str | None
    expires_at: datetime


class Claim(Body):
    """An agent's request for a key; ``name`` and ``tags`` are used when the host is new."""

    token: Secret
    host_id: HostIdText | None = None
    name: Name | None = None
    tags: Tags = Field(default_factory=dict)


class KafkaAccess(msgspec.Struct, frozen=True):
    """How an agent reaches Kafka as its own user; ``ca`` are PEM certificates, null where the system's are to be
    trusted. The mechanism is SCRAM-SHA-512.
    """

    bootstrap_servers: str
    security_protocol: str
    username: str
    password: str
    ca: str | None

    def __repr__(self) -> str:
        return f"KafkaAccess(username={self.username!r})"


class HostCredentials(msgspec.Struct, frozen=True):
    """What a host signs its records with; ``secret`` is base64 of 32 bytes and shown this once. ``kafka`` is null where
    agents have no user of Kafka.
    """

    host_id: str
    key_id: str
    secret: str
    kafka: KafkaAccess | None
