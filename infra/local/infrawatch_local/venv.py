"""The virtual environment with locked dependencies and every package of this repository, and the console's assets."""

import sys
from pathlib import Path

from infrawatch_local import stamps
from infrawatch_local.commands import own_environment, run_logged
from infrawatch_local.progress import Progress

_PACKAGE_PLACES = ("libs/*", "schemas/*", "services/*")
_ASSETS = Path("services/api")
_REMEDY = "Usually it is the network: look at the lines above, then run the same command again."
_PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "install")


class Venv:
    """``.venv`` of a repository."""

    def __init__(self, repository: Path, log_dir: Path) -> None:
        self._repository = repository
        self._directory = repository / ".venv"
        self._python = str(self._directory / "bin" / "python")
        self._lock = repository / "requirements" / "dev.txt"
        self._log_dir = log_dir

    def exists(self) -> bool:
        """Whether there is an environment, maybe an outdated one."""
        return Path(self._python).exists()

    def packages(self) -> list[Path]:
        """The directories of this repository that are installed as packages."""
        found = [path for place in _PACKAGE_PLACES for path in sorted(self._repository.glob(f"{place}/pyproject.toml"))]
        return [path.parent for path in found]

    def ensure(self, progress: Progress) -> None:
        """Make it, or bring it up to date after a change of the lock file or of a package's own description."""
        locked = self._directory / "infrawatch-locked.stamp"
        own = self._directory / "infrawatch-own.stamp"
        log = self._log_dir / "setup-python.log"
        if not (self.exists() and stamps.is_current(locked, self._wanted_locked())):
            with progress.step("installing the locked Python packages into .venv (a minute or two)", log):
                self._install_locked(log)
            stamps.write(locked, self._wanted_locked())
        if not stamps.is_current(own, self._wanted_own()):
            with progress.step("installing this repository's packages into .venv", log):
                self._install_own(log)
            stamps.write(own, self._wanted_own())

    def ensure_assets(self, progress: Progress) -> None:
        """Install what the console's pages are made with, when the API has a list of that."""
        directory = self._repository / _ASSETS
        lists = [path for path in (directory / "package.json", directory / "package-lock.json") if path.exists()]
        if not lists:
            return
        stamp, wanted = directory / "node_modules" / "infrawatch.stamp", stamps.digest(files=lists)
        if stamps.is_current(stamp, wanted):
            return
        with progress.step("installing the console's assets", self._log_dir / "setup-assets.log"):
            self._npm(directory)
        stamps.write(stamp, wanted)

    def _install_locked(self, log: Path) -> None:
        """Start from nothing, so that no package stays behind that the lock file no longer has."""
        run_logged([sys.executable, "-m", "venv", "--clear", str(self._directory)], log, "making .venv", _REMEDY)
        install = [self._python, *_PIP, "--require-hashes", "-r", str(self._lock)]
        run_logged(install, log, "installing the locked Python packages", _REMEDY)

    def _install_own(self, log: Path) -> None:
        editable = [part for package in self.packages() for part in ("-e", str(package))]
        offline = ("--no-deps", "--no-build-isolation", "--no-index")
        install = [self._python, *_PIP, *offline, *editable]
        run_logged(install, log, "installing this repository's packages", "Mend the package that it names.")

    def _npm(self, directory: Path) -> None:
        npm = str(self._directory / "bin" / "npm")
        quiet = ("--no-audit", "--no-fund", "--ignore-scripts")
        # npm finds its own node by PATH
        path = f"{self._directory / 'bin'}:{own_environment().get('PATH', '')}"
        run_logged(
            [npm, "ci", *quiet, "--prefix", str(directory)],
            self._log_dir / "setup-assets.log",
            "installing the console's assets with npm",
            _REMEDY,
            {**own_environment(), "PATH": path},
        )

    def _wanted_locked(self) -> str:
        return stamps.digest(sys.version, str(self._directory), files=[self._lock])

    def _wanted_own(self) -> str:
        names = [str(package.relative_to(self._repository)) for package in self.packages()]
        # with the digest of what they were installed into: an environment made anew has none of them
        descriptions = [package / "pyproject.toml" for package in self.packages()]
        return stamps.digest(self._wanted_locked(), *names, files=descriptions)
