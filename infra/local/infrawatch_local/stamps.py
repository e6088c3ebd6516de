"""Stamps: a file that holds the digest of what a step was done with, so that it is not done again in vain."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def digest(*parts: str, files: Iterable[Path] = ()) -> str:
    """A digest of texts and of files' names and contents; their order counts."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(f"{len(part)}:{part}".encode())
    for path in files:
        content = path.read_bytes()
        sha.update(f"{path.name}:{len(content)}:".encode() + content)
    return sha.hexdigest()


def is_current(stamp: Path, wanted: str) -> bool:
    """Whether the step was finished with the same input."""
    try:
        return stamp.read_text() == wanted
    except FileNotFoundError:
        return False


def write(stamp: Path, done: str) -> None:
    """Note that the step is finished."""
    stamp.write_text(done)
