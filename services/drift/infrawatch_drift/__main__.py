"""``infrawatch-drift``: runs until SIGTERM; exit code 1 when a part of it died, 2 when a setting is wrong."""

import sys

import uvloop

from infrawatch_common.logs import configure_logging
from infrawatch_common.settings import load
from infrawatch_drift.app import create_app
from infrawatch_drift.settings import Settings


def main() -> int:
    """Parse settings, run, exit code."""
    settings = load(Settings)
    configure_logging("drift", settings.log_level)
    return uvloop.run(_run(settings))


async def _run(settings: Settings) -> int:
    return await create_app(settings).run()


if __name__ == "__main__":
    sys.exit(main())
