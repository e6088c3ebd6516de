"""Which environment variables are told, and which of them only as a digest."""

import fnmatch
import hmac
import re
from collections.abc import Mapping, Sequence

_SECRET_NAME = re.compile(
    r"PASS|PWD$|SECRET|TOKEN|CREDENTIAL|AUTH|COOKIE|SESSION|SIGNATURE|PRIVATE|SALT|DSN|WEBHOOK"
    r"|(?:^|_)(?:API_?)?KEY(?:_|$)|ACCESS_?KEY|CONN(?:ECTION)?_?STR",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|://[^/\s:@]*:[^/\s@]+@"  # user information in a URL
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_|\bglpat-|\bxox[abprs]-|\bsk-[A-Za-z0-9_-]{16,}|\bsk_live_"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\."  # a JSON Web Token
    r"|\bBearer\s+\S{8,}|\bBasic\s+[A-Za-z0-9+/=]{8,}",
    re.IGNORECASE,
)
# A long run without spaces that mixes letters and digits is more likely a key than a word.
_RANDOM_LOOKING = re.compile(r"(?=[^\s/:.,]*[A-Za-z])(?=[^\s/:.,]*[0-9])[A-Za-z0-9+/_=-]{32,}")


def told_variables(environment: Mapping[str, str], whitelist: Sequence[str], key: bytes) -> dict[str, str]:
    """The whitelisted variables; values that look secret as ``hmac:`` and their HMAC-SHA256 under ``key``.

    A digest shows that a value has changed and not what it is.
    """
    return {
        name: digest(key, name, value) if looks_secret(name, value) else value
        for name, value in sorted(environment.items())
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in whitelist)
    }


def looks_secret(name: str, value: str) -> bool:
    """Whether a variable's name or the shape of its value says that it is secret."""
    return bool(_SECRET_NAME.search(name) or _SECRET_VALUE.search(value) or _RANDOM_LOOKING.fullmatch(value))


def digest(key: bytes, name: str, value: str) -> str:
    """The keyed digest of a value; the name is part of it, so that equal secrets cannot be told to be equal."""
    text = f"{name}\0{value}".encode("utf-8", "surrogateescape")
    return "hmac:" + hmac.digest(key, text, "sha256").hex()
