"""Alerting with one fault built in, to prove that the judges see it: ``python broken_alerting.py FAULT``."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from infrawatch_alerting.__main__ import main
from infrawatch_alerting.domain.fleet import Fleet
from infrawatch_alerting.store import Store

_restore = Fleet.restore


def forgets(fleet: Fleet, hosts: Any, _states: Any, *others: Any) -> Any:
    """What was pending or fired before a restart is unknown after it."""
    return _restore(fleet, hosts, (), *others)


async def tells_nobody(_store: Store, _connection: Any, _told: Any) -> None:
    """Puts nothing into the outbox."""


FAULTS: Mapping[str, tuple[type, str, Callable[..., Any]]] = {
    forgets.__name__: (Fleet, "restore", forgets),
    tells_nobody.__name__: (Store, "_publish", tells_nobody),
}


if __name__ == "__main__":
    setattr(*FAULTS[sys.argv[1]])
    sys.exit(main())
