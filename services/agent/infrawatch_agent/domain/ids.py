"""Identifiers."""

import hmac
from uuid import UUID

# Sets our ids apart from other programs' that are derived from the same machine id, as machine-id(5) asks.
_APPLICATION = b"infrawatch-agent host id v1"


def uuid7(milliseconds: int, entropy: bytes) -> UUID:
    """A version 7 UUID (RFC 9562, 5.7) of Unix time in ms and 10 random bytes."""
    value = (milliseconds & (2**48 - 1)) << 80 | int.from_bytes(entropy[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def host_id_of(machine_id: str) -> str:
    """A host id that is the same after every start and does not tell the machine id."""
    return "host-" + hmac.new(_APPLICATION, machine_id.encode(), "sha256").hexdigest()[:20]
