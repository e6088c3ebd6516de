"""Signatures: every record carries an HMAC-SHA256 over its topic, host and body, keyed with its host's secret.

Kafka's access control cannot bind a message's host to the sender on a shared topic; the signature does.
The header ``infrawatch-signature`` holds ``v1 KEY_ID HEX_DIGEST``. The signed text is topic, NUL, host_id, NUL, body;
neither topics nor host ids can hold a NUL, so no two records share a signed text.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from infrawatch_common.events.rejection import Reason, Rejection

SIGNATURE_HEADER = "infrawatch-signature"
_DERIVATION = b"infrawatch host key v1\0"
_BLOCK = 64  # bytes of a block of SHA-256; no key of ours is longer
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))
_FORM = re.compile(rb"v1 ([0-9a-f]{32}) ([0-9a-f]{64})")
_KEY_ID = slice(3, 35)  # where the form has it


@dataclass(frozen=True, slots=True)
class HostKey:
    """A key that was given to one host; valid for records that reached the broker before ``revoked_at``."""

    id: str
    host_id: str
    secret: bytes = field(repr=False)
    revoked_at: datetime | None = None
    # The two hashes of HMAC (RFC 2104) with all in them that does not change from one record of a topic to the next:
    # to copy these takes a third of the time of beginning anew.
    _topic: str | None = field(init=False, repr=False, compare=False, default=None)
    _inner: Any = field(init=False, repr=False, compare=False, default=None)
    _outer: Any = field(init=False, repr=False, compare=False)
    _head: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_outer", hashlib.sha256(self._padded().translate(_OUTER_PAD)))
        object.__setattr__(self, "_head", f"v1 {self.id} ".encode())

    def header(self, topic: str, body: bytes) -> bytes:
        """The signature header of a record of this key's host."""
        if topic != self._topic:
            self._begin(topic)
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(body)
        outer.update(inner.digest())
        digest: str = outer.hexdigest()
        return self._head + digest.encode()

    def _begin(self, topic: str) -> None:
        inner = hashlib.sha256(self._padded().translate(_INNER_PAD))
        inner.update(f"{topic}\0{self.host_id}\0".encode())
        object.__setattr__(self, "_inner", inner)
        object.__setattr__(self, "_topic", topic)

    def _padded(self) -> bytes:
        return self.secret.ljust(_BLOCK, b"\0")


def derive_secret(master: bytes, key_id: str) -> bytes:
    """The 32-byte secret of a host key; derived, so that the database holds no secret of any host."""
    return hmac.digest(master, _DERIVATION + key_id.encode(), "sha256")


def key_id_of(header: bytes | None) -> str | None:
    """The key that a header names, if it has the right form."""
    match = _FORM.fullmatch(header) if header is not None else None
    return match[1].decode() if match else None


def check_signature(
    topic: str, body: bytes, header: bytes | None, appended_ms: int, keys: Mapping[str, HostKey]
) -> HostKey | Rejection:
    """The key that proves a record's host, or why there is no proof.

    ``appended_ms`` is the broker's time in milliseconds of Unix time; ``keys`` are by key id.
    """
    if header is None:
        return Rejection(Reason.UNSIGNED, "the record has no signature; enrol its agent")
    key = keys.get(header[_KEY_ID].decode("latin-1"))
    if key is None or not hmac.compare_digest(key.header(topic, body), header):
        return _no_proof(header, key)
    if key.revoked_at is not None and appended_ms >= key.revoked_at.timestamp() * 1000:
        return Rejection(Reason.REVOKED_KEY, f"the key of host {key.host_id} was revoked", key.host_id)
    return key


def _no_proof(header: bytes, key: HostKey | None) -> Rejection:
    if _FORM.fullmatch(header) is None:
        return Rejection(Reason.BAD_SIGNATURE, "the signature header does not have the form 'v1 KEY_ID HEX_DIGEST'")
    if key is None:
        return Rejection(Reason.UNKNOWN_KEY, "no host was given the key that signed the record")
    return Rejection(Reason.BAD_SIGNATURE, f"the signature is not that of host {key.host_id} for this body and topic")
