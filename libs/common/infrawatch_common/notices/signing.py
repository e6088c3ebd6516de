"""How webhooks are signed, as Standard Webhooks says (https://www.standardwebhooks.com)."""

import base64
import binascii
import hashlib
import hmac

_PREFIX = "whsec_"


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The header ``webhook-signature``: ``v1,BASE64`` of HMAC-SHA-256. Raises ``ValueError`` if the secret is none."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        msg = "the signing secret is not whsec_ and Base64"
        raise ValueError(msg) from None
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
