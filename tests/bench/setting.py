"""Where benchmarks run: the servers, a directory, the sizes, and backlogs that several of them use."""

from dataclasses import dataclass, field
from pathlib import Path

from bench.backlog import Backlog, Kind, preload
from bench.sizes import Sizes
from infrawatch_local.stack import Stack


@dataclass
class Setting:
    """One run of ``make bench``."""

    stack: Stack
    directory: Path
    sizes: Sizes
    _backlogs: dict[Kind, Backlog] = field(default_factory=dict)

    async def backlog(self, kind: Kind) -> Backlog:
        """A topic full of records; the same one for the same kind, since a drain only reads it."""
        if kind not in self._backlogs:
            self._backlogs[kind] = await preload(self.stack, kind, self.directory)
        return self._backlogs[kind]
