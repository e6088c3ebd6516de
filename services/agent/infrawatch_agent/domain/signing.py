"""The agent's half of the record signature; ``infrawatch_common.events.signature`` checks it."""

import hmac

SIGNATURE_HEADER = "infrawatch-signature"


def sign(secret: bytes, key_id: str, topic: str, host_id: str, body: bytes) -> bytes:
    """The header value for a record: ``v1 KEY_ID`` and the HMAC-SHA256 of topic, host id and body, NUL between."""
    text = b"\0".join((topic.encode(), host_id.encode(), body))
    return f"v1 {key_id} {hmac.digest(secret, text, 'sha256').hex()}".encode()
