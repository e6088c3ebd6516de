"""Signatures: every record carries an HMAC-SHA256 over its topic, host and body, keyed with its host's secret.

Kafka's access control cannot bind a message's host to the sender on a shared topic; the signature does.
The header ``infrawatch-signature`` holds ``v1 KEY_ID HEX_DIGEST``. The signed text is topic, NUL, host_id, NUL, body;
neither topics nor host ids can hold a NUL, so no two records share a signed text.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from infrawatch_common.events.rejection import Reason, Rejection

SIGNATURE_HEADER = "infrawatch-signature"
_DERIVATION = b"infrawatch host key v1\0"
_FORM = re.compile(rb"v1 ([0-9a-f]{32}) ([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class HostKey:
    """A key that was given to one host; valid for records that reached the broker before ``revoked_at``."""

    id: str
    host_id: str
    secret: bytes
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SignedRecord:
    """What a signature is checked against. ``appended_at`` is the broker's time."""

    topic: str
    body: bytes
    header: bytes | None
    appended_at: datetime


def derive_secret(master: bytes, key_id: str) -> bytes:
    """The 32-byte secret of a host key; derived, so that the database holds no secret of any host."""
    return hmac.digest(master, _DERIVATION + key_id.encode(), "sha256")


def sign(secret: bytes, key_id: str, topic: str, host_id: str, body: bytes) -> bytes:
    """The header value for a record."""
    return f"v1 {key_id} {_digest(secret, topic, host_id, body).hex()}".encode()


def key_id_of(header: bytes | None) -> str | None:
    """The key that a header names, if it has the right form."""
    match = _FORM.fullmatch(header) if header is not None else None
    return match[1].decode() if match else None


def check_signature(record: SignedRecord, keys: Mapping[str, HostKey]) -> HostKey | Rejection:
    """The key that proves a record's host, or why there is no proof. ``keys`` are by key id."""
    if record.header is None:
        return Rejection(Reason.UNSIGNED, "the record has no signature; enrol its agent")
    match = _FORM.fullmatch(record.header)
    if match is None:
        return Rejection(Reason.BAD_SIGNATURE, "the signature header does not have the form 'v1 KEY_ID HEX_DIGEST'")
    key = keys.get(match[1].decode())
    if key is None:
        return Rejection(Reason.UNKNOWN_KEY, "no host was given the key that signed the record")
    digest = _digest(key.secret, record.topic, key.host_id, record.body).hex().encode()
    if not hmac.compare_digest(digest, match[2]):
        return Rejection(
            Reason.BAD_SIGNATURE, f"the signature is not that of host {key.host_id} for this body and topic"
        )
    if key.revoked_at is not None and record.appended_at >= key.revoked_at:
        return Rejection(Reason.REVOKED_KEY, f"the key of host {key.host_id} was revoked", key.host_id)
    return key


def _digest(secret: bytes, topic: str, host_id: str, body: bytes) -> bytes:
    return hmac.digest(secret, b"\0".join((topic.encode(), host_id.encode(), body)), "sha256")
