"""A network namespace for one process, whose cable can be made to swallow every packet. Needs root."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

# Neighbours that do not exist: what is sent to them goes nowhere, and the sender is not told.
_NOBODY = "02:00:00:00:00:fe"


@dataclass(frozen=True)
class Island:
    """The namespace. ``network`` holds the first three numbers of its addresses.

    Data goes over ``outside`` (ours) and ``inside``; health checks over a second pair of addresses, which the partition
    leaves alone.
    """

    network: str

    @property
    def name(self) -> str:
        """As ``ip netns`` knows it."""
        return f"iw-{self.network.replace('.', '-')}"

    @property
    def outside(self) -> str:
        """Our end, where the servers can be reached from inside."""
        return f"{self.network}.1"

    @property
    def inside(self) -> str:
        """The end in the namespace."""
        return f"{self.network}.2"

    @property
    def health(self) -> str:
        """Where the process inside serves its health checks."""
        return f"{self.network}.6"

    def command(self, command: Sequence[str]) -> list[str]:
        """The command line that runs a command inside, in the same process."""
        return ["ip", "netns", "exec", self.name, *command]

    def part(self) -> None:
        """Swallow every packet between inside and outside, silently, both ways."""
        _ip("neigh", "replace", self.inside, "lladdr", _NOBODY, "dev", self._cable, "nud", "permanent")
        self._within("neigh", "replace", self.outside, "lladdr", _NOBODY, "dev", "cable", "nud", "permanent")

    def join(self) -> None:
        """Let packets through again."""
        _ip("neigh", "del", self.inside, "dev", self._cable)
        self._within("neigh", "del", self.outside, "dev", "cable")

    @property
    def _cable(self) -> str:
        return f"iw{self.network.replace('.', '')[-9:]}"

    def create(self) -> None:
        """Make the namespace, the cable and the addresses."""
        _ip("netns", "add", self.name)
        _ip("link", "add", self._cable, "type", "veth", "peer", "name", "cable", "netns", self.name)
        for last in (1, 5):
            _ip("addr", "add", f"{self.network}.{last}/30", "dev", self._cable)
            self._within("addr", "add", f"{self.network}.{last + 1}/30", "dev", "cable")
        _ip("link", "set", self._cable, "up")
        self._within("link", "set", "cable", "up")
        self._within("link", "set", "lo", "up")

    def remove(self) -> None:
        """Remove the namespace; the cable goes with it."""
        _ip("netns", "del", self.name)

    def _within(self, *arguments: str) -> None:
        _ip("-n", self.name, *arguments)


@contextmanager
def island(network: str) -> Iterator[Island]:
    """A namespace that is gone afterwards."""
    made = Island(network)
    made.create()
    try:
        yield made
    finally:
        made.remove()


def can_make_islands() -> bool:
    """Whether this process may make network namespaces here."""
    probe = Island("10.213.255")
    try:
        probe.create()
    except (OSError, subprocess.CalledProcessError):
        return False
    finally:
        with suppress(OSError, subprocess.CalledProcessError):
            probe.remove()
    return True


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
