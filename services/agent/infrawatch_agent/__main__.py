"""``infrawatch-agent run | enrol | rotate-key | check``.

Exit code 1 when it died, was refused, or found something bad; 2 when a setting is wrong.
"""

import argparse
import asyncio
import json
import os
import sys

from infrawatch_agent.app import create_app
from infrawatch_agent.endpoint import PortUnavailableError
from infrawatch_agent.enrolment import EnrolmentError, enrol
from infrawatch_agent.identity import Identity, IdentityError, load_identity
from infrawatch_agent.logs import configure_logging
from infrawatch_agent.rotation import RotationError, rotate
from infrawatch_agent.settings import PREFIX, Settings, load


def main() -> int:
    """Parse arguments and settings, act, exit code."""
    arguments = _parser().parse_args()
    given = {
        f"{PREFIX}{name.upper()}": value
        for name, value in vars(arguments).items()
        if name not in ("verb", "again") and value
    }
    again = getattr(arguments, "again", False)
    settings = load({**os.environ, **given})
    configure_logging(settings.log_level)
    try:
        return _enrol_again(settings) if again else _VERBS[arguments.verb](settings)
    except (EnrolmentError, IdentityError, PortUnavailableError, RotationError) as error:
        sys.stderr.write(f"infrawatch-agent: {error}\n")
        return 1


def _run(settings: Settings) -> int:
    async def run() -> int:
        return await create_app(settings).run()

    return asyncio.run(run())


def _enrol(settings: Settings) -> int:
    return _told(load_identity(settings) or enrol(settings))


def _enrol_again(settings: Settings) -> int:
    return _told(enrol(settings))


def _rotate(settings: Settings) -> int:
    return _told(rotate(settings))


def _told(identity: Identity) -> int:
    print(json.dumps({"host_id": identity.host_id, "key_id": identity.key_id}))
    return 0


async def _print_findings(settings: Settings) -> bool:
    from infrawatch_agent.check import check  # noqa: PLC0415 - what it imports costs the running agent a megabyte

    good = True
    async for finding in check(settings):
        print(finding, flush=True)
        good = good and finding.good
    return good


def _check(settings: Settings) -> int:
    return 0 if asyncio.run(_print_findings(settings)) else 1


_VERBS = {"run": _run, "enrol": _enrol, "rotate-key": _rotate, "check": _check}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="infrawatch-agent", description="Infra-Watch agent.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="collect and send until SIGTERM")
    enrolment = verbs.add_parser("enrol", help="claim this host's key with a one-time token")
    rotation = verbs.add_parser("rotate-key", help="replace this host's key by a new one")
    checking = verbs.add_parser("check", help="say whether this host can collect, send, and be believed")
    for verb in (run, enrolment, rotation, checking):
        verb.add_argument("--host-id", help="id of this host")
        verb.add_argument("--state-directory", help="directory of identity and spool")
    for verb in (enrolment, rotation, checking):
        verb.add_argument("--api-url", help="address of the API")
    enrolment.add_argument(
        "--again", action="store_true", help="also when this host has a key; takes a token that was made for this host"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
