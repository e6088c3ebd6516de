"""The stack of the fault tests: a broker that can also be reached through a proxy, and that tells of rebalances."""

import re
import secrets
from dataclasses import replace
from pathlib import Path

from infrawatch_local.ports import LOOPBACK, free_ports
from infrawatch_local.program import Program
from infrawatch_local.stack import Stack
from infrawatch_local.tree import Runtime

_COORDINATOR_LOG = """\
logger.coordinator.name = org.apache.kafka.coordinator.group
logger.coordinator.level = info
"""


class FaultyStack(Stack):
    """Kafka with two more listeners, whose clients are sent to a proxy: one on loopback, one for a namespace.

    ``proxied`` and ``island`` are the ports on which a proxy forwards to ``behind_proxy`` and ``behind_island``.
    """

    def __init__(self, runtime: Runtime, directory: Path) -> None:
        super().__init__(runtime, directory)
        self.behind_proxy, self.proxied, self.behind_island, self.island = free_ports(4)
        self.island_network = f"10.213.{secrets.randbelow(250)}"
        component = self._kafka
        plain = component.program

        def program() -> Program:
            made = plain()
            return replace(made, files={path: self._amended(path, text) for path, text in made.files.items()})

        component.program = program  # type: ignore[method-assign]

    def rebalances(self, group: str) -> int:
        """How often the broker has rebalanced a group since it was first started."""
        return len(re.findall(rf"Stabilized group {re.escape(group)} ", self.kafka.log.read_text(errors="replace")))

    def _amended(self, path: str, text: str) -> str:
        if path.endswith("log4j2.properties"):
            return text + _COORDINATOR_LOG
        if not path.endswith("server.properties"):
            return text
        listeners = f",PROXIED://{LOOPBACK}:{self.behind_proxy},ISLAND://{LOOPBACK}:{self.behind_island}"
        advertised = f",PROXIED://{LOOPBACK}:{self.proxied},ISLAND://{self.island_network}.1:{self.island}"
        for name, more in (
            ("listeners", listeners),
            ("advertised.listeners", advertised),
            ("listener.security.protocol.map", ",PROXIED:PLAINTEXT,ISLAND:PLAINTEXT"),
        ):
            text = re.sub(rf"^({re.escape(name)}=.*)$", rf"\g<1>{more}", text, flags=re.MULTILINE)
        return text
