"""What a snapshot says of a host, apart from when and by whom it was said."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from infrawatch_common.events import SnapshotRecord

Packages = Mapping[str, str]  # name → version

# Names how a digest is made: another way of making it needs another name, or every host would seem to have changed.
_FORM = "infrawatch content 1"


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a snapshot. ``packages``: source → name → version; an absent source is not an empty one."""

    os_info: str
    kernel: str
    packages: Mapping[str, Packages]
    env_vars: Mapping[str, str]

    @classmethod
    def of(cls, record: SnapshotRecord) -> "Content":
        """What a record says."""
        return cls(record.os_info, record.kernel, record.packages, record.env_vars)


def digest(content: Content) -> bytes:
    """SHA-256 (32 bytes) that is the same for equal contents, in whatever order they are listed.

    Raises ``ValueError`` for a content with NUL in it, which the contract excludes.
    """
    pieces = [_FORM, "os_info", content.os_info, "kernel", content.kernel]
    for source in sorted(content.packages):
        pieces += ("packages", source, *_listed(content.packages[source]))
    pieces += ("env_vars", *_listed(content.env_vars))
    text = "\0".join(pieces)
    # With counts before lists, and NUL only where one piece ends, no two contents make the same text.
    if text.count("\0") != len(pieces) - 1:
        msg = "a content holds NUL, which no snapshot may"
        raise ValueError(msg)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _listed(values: Mapping[str, str]) -> list[str]:
    # All names and then all values: sorting texts takes a third of the time that sorting pairs takes.
    names = sorted(values)
    return [str(len(names)), *names, *map(values.__getitem__, names)]
