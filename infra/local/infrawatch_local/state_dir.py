"""The directory of data, logs and secrets; marked, so that nothing else is ever removed by mistake."""

import shutil
from pathlib import Path

from infrawatch_local.errors import LocalError
from infrawatch_local.settings import DEFAULT_STATE_DIR

_MARK = "infrawatch-local"


def prepare(directory: Path) -> None:
    """Make the directory, unless it exists. Raises ``LocalError`` when it belongs to something else."""
    foreign = directory.exists() and not (directory / _MARK).exists() and any(directory.iterdir())
    if foreign and directory != DEFAULT_STATE_DIR:
        raise LocalError(f"{directory} is neither empty nor a state directory of the local stack; name another one")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / _MARK).write_text("Data, logs and secrets of Infra-Watch's local stack.\n")


def remove(directory: Path) -> None:
    """Remove the directory with all data. Raises ``LocalError`` when it is not a state directory."""
    if not directory.exists():
        return
    if not (directory / _MARK).exists():
        raise LocalError(f"{directory} is not a state directory of the local stack; it stays as it is")
    shutil.rmtree(directory)
