"""Everything that must be there before a program can run; what is there already costs nothing."""

from infrawatch_local import host
from infrawatch_local.progress import Progress
from infrawatch_local.settings import Settings
from infrawatch_local.state_dir import prepare
from infrawatch_local.tree import Runtime
from infrawatch_local.venv import Venv


def set_up(settings: Settings, progress: Progress) -> None:
    """Packages of the machine, Python packages, the Debian tree, Kafka."""
    prepare(settings.state_dir)
    venv = Venv(settings.repository, settings.log_dir)
    ensure_runtime(settings, progress, () if venv.exists() else host.TO_MAKE_THE_VENV)
    venv.ensure(progress)
    venv.ensure_assets(progress)


def ensure_runtime(settings: Settings, progress: Progress, also: tuple[host.Package, ...] = ()) -> Runtime:
    """The Debian tree and Kafka, and the packages of the machine that they need."""
    runtime = Runtime.in_cache(settings.cache_dir)
    to_build = () if runtime.tree.exists() else host.TO_BUILD_THE_TREE
    host.ensure_packages((*host.TO_RUN, *to_build, *also), settings.log_dir / "setup-host.log", progress)
    host.ensure_namespaces()
    runtime.ensure(settings.log_dir, progress)
    return runtime
