"""Secrets: random files that only their owner can read, made once and kept."""

import os
import secrets
from pathlib import Path


def ensure(path: Path) -> Path:
    """The file, with 256 random bits in it if it did not exist."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return path


def write_private(path: Path, content: str) -> None:
    """Write a file with mode 0600, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
    temporary.replace(path)
