"""Secrets that are shown once: sessions, API tokens, enrolments, one-time passwords. Only their SHA-256 is stored.

A fast hash is right for them: they are random and 256 bits long, so there is nothing to guess. What webhooks are signed
with is needed again, and stored encrypted.
"""

import base64
import hashlib
import secrets
from enum import StrEnum

_BYTES = 32
_ONE_TIME_PASSWORD_BYTES = 18


class TokenKind(StrEnum):
    """The prefix of a token, which makes it recognisable wherever it leaks to."""

    SESSION = "iws_"
    API = "iwt_"
    ENROLMENT = "iwe_"


def new_token(kind: TokenKind) -> str:
    """A new token of 256 random bits."""
    return kind + secrets.token_urlsafe(_BYTES)


def token_hash(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).digest()


def new_one_time_password() -> str:
    """A password of 144 random bits, to be changed at the first login."""
    return secrets.token_urlsafe(_ONE_TIME_PASSWORD_BYTES)


def new_key_id() -> str:
    """The id of a host key: 32 hexadecimal digits."""
    return secrets.token_hex(16)


def new_signing_secret() -> str:
    """What a webhook is signed with, as Standard Webhooks writes it: 256 random bits."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_BYTES)).decode()
