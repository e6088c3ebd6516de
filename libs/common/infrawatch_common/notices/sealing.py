"""Addresses and secrets of channels, encrypted as they lie in the database.

The key is derived from the secret that all services share, so that whoever reads the database alone learns nothing.
"""

import base64
import hashlib
import hmac
import json
from typing import NamedTuple

from cryptography.fernet import Fernet, InvalidToken

_PURPOSE = b"infrawatch: channels, version 1"


class Secrets(NamedTuple):
    """``url`` is an Apprise URL, or a webhook's address; ``signing_secret`` is a webhook's, as ``whsec_BASE64``."""

    url: str
    signing_secret: str | None = None


class UnsealError(Exception):
    """It was sealed with another secret, or is damaged."""


class Sealer:
    """Seals and opens with a key derived from the master secret (Fernet: AES-128-CBC and HMAC-SHA-256)."""

    def __init__(self, master: bytes) -> None:
        key = hmac.new(master, _PURPOSE, hashlib.sha256).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def seal(self, secrets: Secrets) -> bytes:
        """Encrypted, different each time."""
        return self._fernet.encrypt(json.dumps(secrets._asdict()).encode())

    def open(self, sealed: bytes) -> Secrets:
        """What was sealed. Raises ``UnsealError``."""
        try:
            return Secrets(**json.loads(self._fernet.decrypt(sealed)))
        except InvalidToken as error:
            msg = "it was encrypted with another INFRAWATCH_HOST_KEY_SECRET; enter the channel's address anew"
            raise UnsealError(msg) from error
