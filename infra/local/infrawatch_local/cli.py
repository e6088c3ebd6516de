"""The command line: verbs in, exit codes out (0 done, 1 failed, 2 wrong usage or setting)."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from infrawatch_local import down, logs, settings, state_dir, status
from infrawatch_local.errors import LocalError, SettingsError
from infrawatch_local.locks import exclusive
from infrawatch_local.plan import make_plan
from infrawatch_local.progress import Progress
from infrawatch_local.settings import Settings
from infrawatch_local.setup import set_up
from infrawatch_local.supervisor import Supervisor
from infrawatch_local.up import Up

_INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Run one verb."""
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        verb: Callable[[Settings, argparse.Namespace], int] = given.verb
        return verb(settings.parse(os.environ, Path.home()), given)
    except LocalError as error:
        sys.stderr.write(f"infrawatch: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # the reader, such as `head`, has seen enough; nothing may be flushed to it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _up(given: Settings, _: argparse.Namespace) -> int:
    state_dir.prepare(given.state_dir)
    progress = Progress()
    with exclusive(given.state_dir / "lock", progress, "starts or stops the stack"):
        run = Up(given, progress)
        run.run()
    print(run.summary())
    return 0


def _down(given: Settings, _: argparse.Namespace) -> int:
    return _stop(given, down.down)


def _clean(given: Settings, _: argparse.Namespace) -> int:
    return _stop(given, down.clean)


def _stop(given: Settings, action: Callable[[Settings, Progress], None]) -> int:
    progress = Progress()
    state_dir.prepare(given.state_dir)
    with exclusive(given.state_dir / "lock", progress, "starts or stops the stack"):
        action(given, progress)
    return 0


def _setup(given: Settings, _: argparse.Namespace) -> int:
    set_up(given, Progress())
    return 0


def _status(given: Settings, _: argparse.Namespace) -> int:
    rows = status.rows(given)
    print(status.table(rows))
    return 0 if status.all_well(rows) else 1


def _logs(given: Settings, arguments: argparse.Namespace) -> int:
    supervisor = Supervisor.of(given)
    known = {component.name: supervisor.log(component) for component in make_plan(given).components}
    unknown = [name for name in arguments.names if name not in known]
    if unknown:
        raise SettingsError(f"there is no program {unknown[0]!r}; the programs are {', '.join(known)}")
    logs.show(
        [known[name] for name in arguments.names or known], arguments.lines, sys.stdout, follow=not arguments.no_follow
    )
    return 0


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of lines")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="infrawatch_local", description="Infra-Watch on this machine.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for name, verb, text in (
        ("up", _up, "set up what is missing, start everything, wait until a sample can be read"),
        ("down", _down, "stop everything; data stays"),
        ("status", _status, "what runs; exit code 0 only when everything runs and is ready"),
        ("setup", _setup, "set up what `up` and the tests need, without starting anything"),
        ("clean", _clean, "stop everything; remove data, logs, secrets and the virtual environment"),
    ):
        verbs.add_parser(name, help=text).set_defaults(verb=verb)
    follow = verbs.add_parser("logs", help="show and follow the programs' logs")
    follow.add_argument("names", nargs="*", metavar="NAME", help="a program; by default all")
    follow.add_argument("-n", "--lines", type=_count, default=10, help="lines to begin with (10)")
    follow.add_argument("--no-follow", action="store_true", help="end instead of waiting for new lines")
    follow.set_defaults(verb=_logs)
    return parser


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
