"""Commands inside the Debian tree, by bubblewrap: no root needed, no daemon, and nothing outlives its parent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENT: Mapping[str, str] = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/tmp"}  # noqa: S108 - inside

# The caller shows as the tree's user "nobody", whoever it is: PostgreSQL refuses to run as root.
_INNER_ID = "65534"


@dataclass(frozen=True)
class Sandbox:
    """A Debian tree, shared and therefore read-only; ``/data`` in it is a directory of the caller."""

    tree: Path

    def command(
        self, data: Path, command: Sequence[str], read_only: Mapping[Path, str] | None = None
    ) -> tuple[str, ...]:
        """The command line that runs ``command`` in the tree; ``read_only``: further paths and where they show."""
        shown = [
            part for outside, inside in (read_only or {}).items() for part in ("--ro-bind-try", str(outside), inside)
        ]
        return (
            *("bwrap", "--ro-bind", str(self.tree), "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"),  # noqa: S108 - inside
            *("--bind", str(data), "/data", *shown),
            *("--unshare-user", "--uid", _INNER_ID, "--gid", _INNER_ID, "--die-with-parent", "--chdir", "/data"),
            *command,
        )
