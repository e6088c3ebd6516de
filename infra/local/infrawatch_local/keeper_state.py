"""What a keeper writes about itself and its program, for everybody who wants to know."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from infrawatch_local.processes import Process


@dataclass(frozen=True)
class KeeperState:
    """The keeper, what it launched (nothing between two attempts), since when, and how often again."""

    keeper: Process
    launched: Process | None
    since: float
    restarts: int
    fingerprint: str

    def save(self, path: Path) -> None:
        """Write it whole or not at all."""
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(self)))
        temporary.replace(path)

    @classmethod
    def load(cls, path: Path) -> "KeeperState | None":
        """The last state, if there is one that can be read."""
        try:
            given = json.loads(path.read_text())
            launched = Process(**given.pop("launched")) if given["launched"] else given.pop("launched")
            return cls(keeper=Process(**given.pop("keeper")), launched=launched, **given)
        except (OSError, ValueError, KeyError, TypeError):
            return None
