"""The Debian tree and Kafka's jars: built once per user, shared by all checkouts and runs."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infrawatch_local import sandbox
from infrawatch_local.commands import own_environment, run_logged
from infrawatch_local.errors import StepFailedError
from infrawatch_local.locks import exclusive
from infrawatch_local.progress import Progress
from infrawatch_local.sandbox import Sandbox
from infrawatch_local.stamps import digest

SUITE = "trixie"
# docker-compose validates the compose file in the tests; it needs no engine for that. The benchmarks measure the agent
# beside prometheus-node-exporter, and alerting beside prometheus with prometheus-alertmanager.
PACKAGES = (
    *("postgresql-17-timescaledb", "openjdk-21-jre-headless", "maven"),
    *("prometheus", "prometheus-node-exporter", "prometheus-alertmanager", "docker-compose"),
)
MOUNT_POINTS = ("data", "opt/kafka")

_POM = Path(__file__).resolve().parents[1] / "pom.xml"
_HOST_CERTIFICATES = Path("/usr/local/share/ca-certificates")
# Java trusts the tree's certificates, not the host's: behind a company's proxy Maven needs the company's.
_TRUST_HOST_CERTIFICATES = (
    f'cp -r {_HOST_CERTIFICATES}/. "$1{_HOST_CERTIFICATES}/" && chroot "$1" update-ca-certificates -f'
)
_MAVEN = (
    *("mvn", "--batch-mode", "--no-transfer-progress", "-Dmaven.repo.local=/data/repository"),
    *("dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=/data/libs"),
)
# /tmp is often small and in memory; mmdebstrap makes a directory with a random name in it.
_SCRATCH = "/var/tmp"  # noqa: S108
_REMEDY = "Usually it is the network: look at the lines above, then run the same command again."


@dataclass(frozen=True)
class Runtime:
    """Where the tree and the jars are, or will be; the names change with their recipes."""

    tree: Path
    jars: Path

    @classmethod
    def in_cache(cls, cache_dir: Path) -> "Runtime":
        """The runtime of this version of the recipes."""
        tree = digest(SUITE, *PACKAGES, *MOUNT_POINTS, _TRUST_HOST_CERTIFICATES, files=_host_certificates())[:12]
        jars = digest(*_MAVEN, files=(_POM,))[:12]
        return cls(cache_dir / f"tree-{tree}", cache_dir / f"kafka-{jars}")

    @property
    def sandbox(self) -> Sandbox:
        """The way to run commands in the tree."""
        return Sandbox(self.tree)

    def ensure(self, log_dir: Path, progress: Progress) -> None:
        """Build what is missing."""
        if self.tree.exists() and self.jars.exists():
            return
        with exclusive(self.tree.parent / "lock", progress, "builds the Debian tree"):
            self._build(self.tree, lambda target: self._build_tree(target, log_dir / "setup-tree.log", progress))
            self._build(self.jars, lambda target: self._fetch_jars(target, log_dir / "setup-kafka.log", progress))

    @staticmethod
    def _build(target: Path, build: Callable[[Path], None]) -> None:
        """Build beside the target and rename, so that a half-built one is never used."""
        if target.exists():
            return
        partial = target.with_name(f"{target.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            build(partial)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def _build_tree(self, target: Path, log: Path, progress: Progress) -> None:
        with progress.step("building the Debian tree (about a minute, once per user)", log):
            _unpack_debian(target, log)
            for directory in MOUNT_POINTS:
                (target / directory).mkdir(parents=True, exist_ok=True)

    def _fetch_jars(self, target: Path, log: Path, progress: Progress) -> None:
        with progress.step("fetching Kafka (about 10 s, once per user)", log):
            work = target / "work"
            work.mkdir()
            shutil.copy(_POM, work)
            network = {Path("/etc/resolv.conf"): "/etc/resolv.conf", Path("/etc/hosts"): "/etc/hosts"}
            command = self.sandbox.command(work, _MAVEN, network)
            run_logged(command, log, "fetching Kafka with Maven", _REMEDY, sandbox.ENVIRONMENT)
            for jar in (work / "libs").iterdir():
                jar.rename(target / jar.name)
            shutil.rmtree(work)


def _host_certificates() -> list[Path]:
    return sorted(_HOST_CERTIFICATES.rglob("*.crt"))


def _unpack_debian(target: Path, log: Path) -> None:
    """Let mmdebstrap write an archive and unpack it as this user.

    Not straight into a directory: an ordinary user could then neither delete the files, which belong to
    subordinate ids, nor keep the tree below a home directory that only its owner may enter.
    """
    hook = [f"--customize-hook={_TRUST_HOST_CERTIFICATES}"] if _host_certificates() else []
    build = ("mmdebstrap", "--variant=apt", "--format=tar", f"--include={','.join(PACKAGES)}", *hook, SUITE, "-")
    unpack = ("tar", "--extract", "--no-same-owner", "--exclude=./dev/*", f"--directory={target}")
    environment = {**own_environment(), "TMPDIR": os.environ.get("TMPDIR", _SCRATCH)}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        builder = subprocess.Popen(
            build, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=output, env=environment
        )
        with builder:
            unpacked = subprocess.run(unpack, stdin=builder.stdout, stderr=output, check=False)
    if builder.returncode != 0 or unpacked.returncode != 0:
        raise StepFailedError("building the Debian tree with mmdebstrap failed", log, _REMEDY)
