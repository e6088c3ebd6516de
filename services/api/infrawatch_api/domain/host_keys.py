"""Whether a host has proved that it holds a key, and what it may do with it."""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

_DOMAIN = "infrawatch host key proof v1"


class Purpose(StrEnum):
    """What a proof is made for; one for another purpose proves nothing."""

    ROTATE = "rotate"
    CONFIRM = "confirm"
    VERIFY = "verify"


class KeyRefusal(StrEnum):
    """Why a proof is refused, in the words that the agent is told."""

    PROOF = "The proof is not that of the key that it names."
    CLOCK = "The time of the proof is too far from the server's; set the host's clock."
    UNKNOWN = "No host was given this key; enrol the host anew."
    OTHER_HOST = "The key belongs to another host; enrol the host anew."
    REVOKED = "The key is revoked; enrol the host anew."
    REPLAYED = "The proof was used already."


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof as sent; ``timestamp`` and ``nonce`` are part of it as text."""

    host_id: str
    key_id: str
    timestamp: str
    nonce: str
    mac: str


@dataclass(frozen=True, slots=True)
class HostKey:
    """A key as stored."""

    id: str
    host_id: str
    created_at: datetime
    revoked_at: datetime | None


def proof_mac(secret: bytes, purpose: str, proof: Proof) -> str:
    """The HMAC-SHA256 that proves the key. No record's signature is one: no topic's name holds a space."""
    parts = [_DOMAIN, purpose, proof.host_id, proof.key_id, proof.timestamp, proof.nonce]
    text = "\0".join(parts)
    return hmac.digest(secret, text.encode(), "sha256").hex()


def refuses_proof(
    secret: bytes, purpose: Purpose, proof: Proof, made_at: datetime, now: datetime, *, tolerance: timedelta
) -> KeyRefusal | None:
    """Whether a proof proves its key now, before anything is known of the key."""
    if not hmac.compare_digest(proof_mac(secret, purpose, proof), proof.mac):
        return KeyRefusal.PROOF
    return KeyRefusal.CLOCK if abs(now - made_at) > tolerance else None


def refuses_key(key: HostKey | None, host_id: str, now: datetime) -> KeyRefusal | None:
    """Whether a proved key is that of the host and in use."""
    if key is None:
        return KeyRefusal.UNKNOWN
    if key.host_id != host_id:
        return KeyRefusal.OTHER_HOST
    return KeyRefusal.REVOKED if key.revoked_at is not None and now >= key.revoked_at else None
