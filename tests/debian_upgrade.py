"""A Debian system before and after an upgrade to the next release, as dpkg itself keeps and logs it.

Made once per user by mmdebstrap, like the tree of the stack: only dpkg's database and log of each step are kept.
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from infrawatch_local import host, settings
from infrawatch_local.commands import own_environment, run_logged
from infrawatch_local.locks import exclusive
from infrawatch_local.progress import Progress
from infrawatch_local.stamps import digest
from infrawatch_local.tree import Runtime

STEPS = ("installed", "upgraded", "edited")
_FROM, _TO = "bookworm", "trixie"
_PACKAGES = ("cron", "nano", "netbase")
# dpkg forgets nothing when it is asked from outside; the log begins anew with each step.
_SCRIPT = f"""
set -eu
root=$1
apt() {{
  APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get --yes --option Dir::Bin::dpkg=env --option DPkg::Options::=--unset=TMPDIR \
    --option DPkg::Options::=dpkg --option DPkg::Chroot-Directory="$root" "$@"
}}
keep() {{
  mkdir -p "$root/kept/$1"
  cp "$root/var/lib/dpkg/status" "$root/kept/$1"
  mv "$root/var/log/dpkg.log" "$root/kept/$1/log"
}}
keep {STEPS[0]}
sed 's/{_FROM}/{_TO}/g' "$root/etc/apt/sources.list" > "$root/etc/apt/sources.list.d/next.list"
apt update
apt full-upgrade
apt autoremove
keep {STEPS[1]}
apt install --allow-downgrades sensible-utils/{_FROM} cron- zstd
apt purge nano
keep {STEPS[2]}
"""
_WIDE = {"PATH": "/usr/bin:/bin", "COLUMNS": "1000"}  # so that no name is cut
_SCRATCH = "/var/tmp"  # /tmp is often small, and in memory
_REMEDY = "Usually it is the network: look at the lines above, then run the same command again."


@dataclass(frozen=True)
class Debian:
    """Where the steps are kept, and the tree whose dpkg reads them."""

    kept: Path
    runtime: Runtime

    def query(self, step: str, *arguments: str) -> list[str]:
        """The command that asks dpkg-query about a step."""
        return [*self._inside("dpkg-query", "--admindir", f"/data/{step}"), *arguments]

    def installed(self, step: str) -> dict[str, str]:
        """Package → version as ``dpkg --list`` shows them to people."""
        command = self.query(step, "--list")
        shown = subprocess.run(command, check=True, capture_output=True, text=True, env=_WIDE).stdout
        rows = (line.split() for line in shown.splitlines() if line.startswith("ii "))
        return {name: version for _, name, version, *_ in rows}

    def orders(self, version: str, relation: str, other: str) -> bool:
        """What ``dpkg --compare-versions`` says."""
        command = self._inside("dpkg", "--compare-versions", version, relation, other)
        return subprocess.run(command, check=False).returncode == 0

    def log(self, step: str) -> Iterator[tuple[str, str, str, str]]:
        """What dpkg did on the way to a step: action, package:architecture, version before, version after."""
        for line in (self.kept / step / "log").read_text().splitlines():
            _, _, action, *rest = line.split(" ")
            if action in ("install", "upgrade", "remove", "purge", "disappear"):
                package, before, after = rest
                yield action, package, before, after

    def _inside(self, *command: str) -> Sequence[str]:
        return self.runtime.sandbox.command(self.kept, command)


def debian() -> Debian:
    """The steps, made if they are not there yet: half a minute, once per user. Raises ``LocalError``."""
    parsed = settings.parse(os.environ, Path.home())
    kept = parsed.cache_dir / f"upgrade-{digest(_FROM, *_PACKAGES, _SCRIPT)[:12]}"
    if not kept.exists():
        progress = Progress()
        host.ensure_packages(host.TO_BUILD_THE_TREE, parsed.log_dir / "setup-host.log", progress)
        with exclusive(kept.with_name("upgrade.lock"), progress, "makes the upgrade of Debian"):
            if not kept.exists():
                _make(kept, parsed.log_dir / "setup-upgrade.log", progress)
    return Debian(kept, Runtime.in_cache(parsed.cache_dir))


def _make(kept: Path, log: Path, progress: Progress) -> None:
    partial = kept.with_name(f"{kept.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    command = (
        *("mmdebstrap", "--variant=essential", "--format=null", f"--include={','.join(_PACKAGES)}"),
        *(f"--customize-hook={_SCRIPT}", f"--customize-hook=sync-out /kept {shlex.quote(str(partial))}"),
        *(_FROM, "-"),
    )
    environment = {**own_environment(), "TMPDIR": os.environ.get("TMPDIR", _SCRATCH)}
    with progress.step("upgrading a Debian (half a minute, once per user)", log):
        run_logged(command, log, "upgrading a Debian with mmdebstrap", _REMEDY, environment)
    partial.rename(kept)
