"""``infrawatch-api``: the server, and the commands that come before the first login.

Exit code 0, or 1 when it could not be done (one sentence on stderr), or 2 when a setting or an argument is wrong.
"""

import argparse
import re
import sys
from functools import partial
from pathlib import Path

import uvloop

from infrawatch_api import commands
from infrawatch_api.app import create_api, create_app
from infrawatch_api.domain.inputs import is_host_id
from infrawatch_api.domain.roles import Role
from infrawatch_api.server import PortUnavailableError, serve
from infrawatch_api.settings import Settings
from infrawatch_common.logs import configure_logging
from infrawatch_common.settings import load

_EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f]{1,128}@[^\s@\x00-\x1f\x7f]{1,125}")


def main() -> int:
    """Parse arguments and settings, run, exit code."""
    arguments = _parser().parse_args()
    settings = load(Settings)
    if arguments.command == "serve":
        return _serve(settings)
    # Stdout is for the answer.
    configure_logging("api", settings.log_level, sys.stderr)
    return uvloop.run(commands.run(create_api(settings), _command(arguments)))


def _serve(settings: Settings) -> int:
    configure_logging("api", settings.log_level)
    try:
        return uvloop.run(serve(create_app(settings), settings))
    except PortUnavailableError as error:
        sys.stderr.write(f"infrawatch: {error}\n")
        return 1


def _command(arguments: argparse.Namespace) -> commands.Command:
    match arguments.command:
        case "create-admin":
            return partial(commands.create_admin, email=arguments.email)
        case "create-token":
            return partial(
                commands.create_token,
                email=arguments.email,
                role=arguments.role,
                expires_in=arguments.expires_in,
                name=arguments.name,
            )
        case _:
            return partial(
                commands.create_enrolment,
                expires_in=arguments.expires_in,
                host_id=arguments.host_id,
                output=arguments.output,
            )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="infrawatch-api", description="The API of Infra-Watch.")
    kinds = parser.add_subparsers(dest="command", required=True)
    kinds.add_parser("serve", help="serve the API until SIGTERM")
    admin = kinds.add_parser("create-admin", help="make the first administrator, with a one-time password")
    token = kinds.add_parser("create-token", help="make an API token for a user")
    enrolment = kinds.add_parser("create-enrolment", help="make a token with which one host gets its key")
    for command in (admin, token):
        command.add_argument("--email", required=True, type=_email)
    for command in (token, enrolment):
        command.add_argument("--expires-in", required=True, type=int, metavar="SECONDS")
    token.add_argument("--role", required=True, type=Role, choices=list(Role))
    token.add_argument("--name", default=commands.ACTOR)
    enrolment.add_argument("--host-id", type=_host_id)
    enrolment.add_argument("--output", type=Path, metavar="FILE", help="write the token there instead of showing it")
    return parser


def _email(text: str) -> str:
    if _EMAIL.fullmatch(text) is None:
        msg = f"{text!r} is not an email address"
        raise argparse.ArgumentTypeError(msg)
    return text


def _host_id(text: str) -> str:
    if not is_host_id(text):
        msg = f"{text!r} cannot be the id of a host"
        raise argparse.ArgumentTypeError(msg)
    return text


if __name__ == "__main__":
    sys.exit(main())
