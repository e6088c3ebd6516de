"""What the machine itself must offer: a few Debian packages, and user namespaces."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from infrawatch_local.commands import run_logged
from infrawatch_local.errors import LocalError
from infrawatch_local.progress import Progress

_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def _has(command: str) -> Callable[[], bool]:
    return lambda: shutil.which(command) is not None


@dataclass(frozen=True)
class Package:
    """A Debian package, and how to see that what it brings is there."""

    name: str
    present: Callable[[], bool]


TO_RUN = (Package("bubblewrap", _has("bwrap")),)
TO_BUILD_THE_TREE = (
    Package("mmdebstrap", _has("mmdebstrap")),
    Package("debian-archive-keyring", _KEYRING.exists),
    # mmdebstrap gives what it installs a /proc; minimal systems lack the command
    Package("mount", _has("mount")),
    # root needs no mapping of user ids to unpack packages
    Package("uidmap", lambda: os.geteuid() == 0 or _has("newuidmap")()),
)
TO_MAKE_THE_VENV = (Package("python3-venv", lambda: importlib.util.find_spec("ensurepip") is not None),)


def ensure_packages(packages: Sequence[Package], log: Path, progress: Progress) -> None:
    """Install what is missing when that needs no question, that is as root; else raise ``LocalError`` that names it."""
    missing = [package.name for package in packages if not package.present()]
    if not missing:
        return
    install = ("apt-get", "install", "--yes", "--no-install-recommends", *missing)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise LocalError(missing_packages(missing, install))
    with progress.step(f"installing the Debian packages {', '.join(missing)}", log):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run_logged(("apt-get", "update"), log, "apt-get update", environment=environment)
        run_logged(install, log, f"installing {', '.join(missing)}", environment=environment)


def missing_packages(missing: Sequence[str], install: Sequence[str]) -> str:
    """What to say about missing packages."""
    word = "package is" if len(missing) == 1 else "packages are"
    return f"the Debian {word} missing: {', '.join(missing)}. Install with: sudo {' '.join(install)}"


def ensure_namespaces() -> None:
    """Raise ``LocalError`` when this user may not make user namespaces."""
    probe = ("bwrap", "--ro-bind", "/", "/", "--unshare-user", "--uid", "65534", "--gid", "65534", "true")
    done = subprocess.run(probe, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LocalError(
            f"bubblewrap cannot make a user namespace ({done.stderr.strip()}); allow it, for instance with: "
            "sudo sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0 "
            "user.max_user_namespaces=10000 (the kernel has those of the three that matter to it)"
        )
