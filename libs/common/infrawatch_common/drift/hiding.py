"""Which values of environment variables nobody is shown.

The agent sends what looks secret as a digest. This is the second line, for agents of other makers and for older ones.
It goes by the same patterns, and a test holds the two together.
"""

import re

HIDDEN = "(hidden)"

_DIGEST = "hmac:"
_NAME = re.compile(
    r"PASS|PWD$|SECRET|TOKEN|CREDENTIAL|AUTH|COOKIE|SESSION|SIGNATURE|PRIVATE|SALT|DSN|WEBHOOK"
    r"|(?:^|_)(?:API_?)?KEY(?:_|$)|ACCESS_?KEY|CONN(?:ECTION)?_?STR",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|://[^/\s:@]*:[^/\s@]+@"  # user information in a URL
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_|\bglpat-|\bxox[abprs]-|\bsk-[A-Za-z0-9_-]{16,}|\bsk_live_"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\."  # a JSON Web Token
    r"|\bBearer\s+\S{8,}|\bBasic\s+[A-Za-z0-9+/=]{8,}"
    # A long run without spaces that mixes letters and digits is more likely a key than a word.
    r"|\A(?=[^\s/:.,]*[A-Za-z])(?=[^\s/:.,]*[0-9])[A-Za-z0-9+/_=-]{32,}\Z",
    re.IGNORECASE,
)


def hidden(name: str, value: str) -> str:
    """The value, or ``HIDDEN`` if it is a digest or it, or the variable's name, looks secret."""
    secret = value.startswith(_DIGEST) or _NAME.search(name) or _VALUE.search(value)
    return HIDDEN if secret else value
