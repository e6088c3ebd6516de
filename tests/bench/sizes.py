"""How much is measured: environment variables, each named ``BENCH_`` and the field's name in capitals."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

PREFIX = "BENCH_"


class SizeError(Exception):
    """A size is wrong; the message is one sentence that says which."""


@dataclass(frozen=True)
class Sizes:
    """Whole numbers above 0. The defaults keep the whole of ``make bench`` under half an hour on two cores."""

    rounds: int = 3  # of each drain; the median counts
    records: int = 500_000  # of the drain
    hosts: int = 500  # of the drain
    growth_records: int = 250_000  # of each drain that shows how cost grows
    memory_records: int = 1_500_000  # of the drain that shows whether memory grows
    latency_seconds: int = 60
    fleet_agents: int = 1000
    fleet_seconds: int = 60  # of each of the two rates
    agent_samples: int = 360  # an hour at 10 s
    agent_interval: int = 1  # seconds between samples
    reads_days: int = 32
    reads_interval: int = 60  # seconds between a host's samples, but for the last hour, which has one every 10 s
    reads_hosts: int = 100
    reads_rounds: int = 3
    preview_hosts: int = 100
    preview_days: int = 7  # of every host
    preview_long_days: int = 30  # of one of them
    preview_rounds: int = 3
    alerting_records: int = 500_000  # of each drain of alerting
    alerting_hosts: int = 1000
    alerting_memory_records: int = 1_000_000
    alerting_memory_hosts: int = 5000
    delay_seconds: int = 60
    fleet_views_hosts: int = 1000
    fleet_views_packages: int = 1500
    fleet_views_rounds: int = 5  # times that each question is asked
    drift_hosts: int = 100
    drift_unchanged: int = 10_000  # snapshots that say what the one before them said
    drift_changed: int = 3_000  # snapshots of which each says something new
    drift_memory: int = 4_000  # snapshots of the drain that shows whether memory grows


def parse(environment: Mapping[str, str]) -> Sizes:
    """The sizes that an environment names. Raises ``SizeError``."""
    given = {name: text for name, text in environment.items() if name.startswith(PREFIX) and text}
    known = {f"{PREFIX}{field.name.upper()}": field.name for field in fields(Sizes)}
    for name, text in given.items():
        if name not in known:
            msg = f"there is no {name}; the sizes are {', '.join(known)}"
            raise SizeError(msg)
        if not (text.isascii() and text.isdigit() and int(text) > 0):
            msg = f"{name} is {text!r}; it must be a whole number above 0"
            raise SizeError(msg)
    return Sizes(**{known[name]: int(text) for name, text in given.items()})
