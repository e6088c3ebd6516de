"""Makes a snapshot's texts such as the contract takes: one odd name must not cost the whole snapshot.

What has to be altered shows it: U+FFFD stands for what PostgreSQL or UTF-8 cannot hold, and a text that is cut ends
with ``…#`` and eight digits of its digest, so that two long texts stay different and a change of the cut part is seen.
"""

import hashlib
import re
from collections.abc import Mapping

LONGEST_NAME, LONGEST_TEXT = 512, 4096
NAMELESS = "(nameless)"

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_MARK = 10  # characters of the mark of a cut text


def fitting_text(text: str) -> str:
    """A text of the contract's ``Text``: without NUL and lone surrogates, at most 4,096 characters."""
    return _cut(_UNSTORABLE.sub(_REPLACEMENT, text), LONGEST_TEXT)


def fitting_name(name: str) -> str:
    """A text of the contract's ``Name``: as ``fitting_text``, of 1 to 512 characters."""
    return _cut(_UNSTORABLE.sub(_REPLACEMENT, name), LONGEST_NAME) or NAMELESS


def fitting_table(table: Mapping[str, str]) -> dict[str, str]:
    """Names and texts that fit; of names that become the same, the first in order counts."""
    fitted: dict[str, str] = {}
    for name in sorted(table):
        fitted.setdefault(fitting_name(name), fitting_text(table[name]))
    return fitted


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text[: longest - _MARK]}…#{digest[: _MARK - 2]}"
