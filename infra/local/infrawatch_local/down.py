"""``down`` and ``clean``."""

import shutil

from infrawatch_local import state_dir
from infrawatch_local.plan import make_plan
from infrawatch_local.progress import Progress
from infrawatch_local.settings import Settings
from infrawatch_local.supervisor import Supervisor


def down(settings: Settings, progress: Progress) -> None:
    """Stop everything in the opposite order of the start; data stays."""
    supervisor = Supervisor.of(settings)
    stopped = [component.name for component in reversed(make_plan(settings).components) if supervisor.stop(component)]
    progress.say(f"stopped {', '.join(stopped)}" if stopped else "nothing ran")


def clean(settings: Settings, progress: Progress) -> None:
    """Stop everything and remove data and virtual environment; what is cached per user stays."""
    down(settings, progress)
    venv = settings.repository / ".venv"
    progress.say(f"removing {settings.state_dir} (data, logs, secrets) and {venv}")
    state_dir.remove(settings.state_dir)
    if venv.exists():
        shutil.rmtree(venv)
