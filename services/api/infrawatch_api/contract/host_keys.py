"""Keys of hosts: how an agent replaces its key by a new one."""

from datetime import datetime
from typing import Annotated

import msgspec
from pydantic import AwareDatetime, StrictStr, StringConstraints, TypeAdapter, field_validator

from infrawatch_api.contract.common import Body, HostIdText
from infrawatch_api.contract.enrolments import KafkaAccess

KeyId = Annotated[StrictStr, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Nonce = Annotated[StrictStr, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Mac = Annotated[StrictStr, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_MOMENT = TypeAdapter(AwareDatetime)


class KeyProof(Body):
    """Proof that a host holds its key, without telling it: the HMAC-SHA256, keyed with the key's secret, of
    ``infrawatch host key proof v1``, the operation (``rotate``, ``confirm``, ``verify``), host_id, key_id, timestamp
    and nonce, with NUL between. ``timestamp`` is RFC 3339, ``nonce`` random.
    """

    host_id: HostIdText
    key_id: KeyId
    timestamp: StrictStr
    nonce: Nonce
    proof: Mac

    @field_validator("timestamp")
    @classmethod
    def _is_a_moment(cls, text: str) -> str:
        _MOMENT.validate_python(text)
        return text

    def made_at(self) -> datetime:
        """The time of the proof."""
        return _MOMENT.validate_python(self.timestamp)


class NewHostKey(msgspec.Struct, frozen=True):
    """A further key of a host; ``secret`` is base64 of 32 bytes and shown this once. ``kafka`` is the new key's user of
    Kafka, null where agents have none.
    """

    host_id: str
    key_id: str
    secret: str
    kafka: KafkaAccess | None


class KeyState(msgspec.Struct, frozen=True):
    """A key that is in use; ``revoked_at`` when it will end."""

    host_id: str
    key_id: str
    created_at: datetime
    revoked_at: datetime | None


class ConfirmedKey(msgspec.Struct, frozen=True):
    """A key that has taken the place of its host's older ones, which end at ``others_revoked_at``."""

    host_id: str
    key_id: str
    others_revoked_at: datetime
