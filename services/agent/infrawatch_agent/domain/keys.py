"""Proof of a host's key towards the API, and when a key is due to be replaced."""

import hmac
import zlib

_DOMAIN = "infrawatch host key proof v1"
# Hosts that were enrolled together do not all come in the same minute: they are due up to a tenth earlier.
_SPREAD = 0.1


def key_proof(secret: bytes, purpose: str, host_id: str, key_id: str, timestamp: str, nonce: str) -> str:
    """The HMAC-SHA256 that proves a key for one purpose: ``rotate``, ``confirm`` or ``verify``."""
    parts = [_DOMAIN, purpose, host_id, key_id, timestamp, nonce]
    text = "\0".join(parts)
    return hmac.digest(secret, text.encode(), "sha256").hex()


def rotation_due(issued_at: float, max_age: float, host_id: str) -> float:
    """When a key issued then is to be replaced; Unix time, ``max_age`` in seconds."""
    share = zlib.crc32(host_id.encode()) / 2**32
    return issued_at + max_age * (1 - _SPREAD * share)
