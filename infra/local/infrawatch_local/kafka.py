"""Apache Kafka: one node that is broker and controller."""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infrawatch_local import sandbox
from infrawatch_local.commands import run_logged
from infrawatch_local.ports import LOOPBACK
from infrawatch_local.probes import kafka_answers
from infrawatch_local.program import Component, Program
from infrawatch_local.tree import Runtime

_CLUSTER_ID = "SW5mcmEtV2F0Y2gtbG9jYQ"  # any 16 bytes in base64; the cluster has one node and no neighbours
_JARS = "/opt/kafka"
_JAVA = (
    *("java", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Dlog4j2.configurationFile=/data/log4j2.properties"),
    *("-cp", f"{_JARS}/*"),
)

_FIXED = """\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
log.dirs=/data/log

# Topics are declared, never made by a typing error.
auto.create.topics.enable=false

# One node: one copy of everything. Few partitions of the inner topics, since each costs start-up time.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4

# A broker that was killed may return only when its old session is over, by default after 9 s.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500

# A consumer alone gets its partitions at once.
group.initial.rebalance.delay.ms=0

log.retention.hours=168
log.segment.bytes=134217728
log.cleaner.dedupe.buffer.size=33554432
"""

_LOG_CONFIGURATION = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %-5p %c{1}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.lifecycle.name = kafka.server.KafkaRaftServer
logger.lifecycle.level = info
"""


@dataclass(frozen=True)
class Listener:
    """Where clients connect, and how the connection is protected."""

    name: str
    protocol: str
    port: int

    @property
    def address(self) -> str:
        """As Kafka writes it."""
        return f"{self.name}://{LOOPBACK}:{self.port}"


def server_properties(listeners: Sequence[Listener], controller_port: int) -> str:
    """The broker's configuration; the first listener is the one that brokers themselves would use."""
    controller = Listener("CONTROLLER", "PLAINTEXT", controller_port)
    everyone = (*listeners, controller)
    return (
        f"{_FIXED}\n"
        f"controller.quorum.bootstrap.servers={LOOPBACK}:{controller_port}\n"
        f"listeners={','.join(listener.address for listener in everyone)}\n"
        f"advertised.listeners={','.join(listener.address for listener in listeners)}\n"
        f"inter.broker.listener.name={listeners[0].name}\n"
        f"listener.security.protocol.map={','.join(f'{item.name}:{item.protocol}' for item in everyone)}\n"
    )


class Kafka(Component):
    """The broker; its data lies in ``directory``."""

    def __init__(self, runtime: Runtime, directory: Path, port: int, controller_port: int) -> None:
        self._runtime = runtime
        self._directory = directory
        self._port = port
        self._controller_port = controller_port

    @property
    def name(self) -> str:
        """Its name."""
        return "kafka"

    @property
    def ports(self) -> Mapping[str, int]:
        """Clients', then the controller's."""
        return {"kafka": self._port, "kafka_controller": self._controller_port}

    @property
    def bootstrap(self) -> str:
        """Where clients connect."""
        return f"{LOOPBACK}:{self._port}"

    def program(self) -> Program:
        """The broker with its configuration."""
        listeners = (Listener("INTERNAL", "PLAINTEXT", self._port),)
        return Program(
            name=self.name,
            command=self._in_tree(*_JAVA, "-Xms256m", "-Xmx512m", "kafka.Kafka", "/data/server.properties"),
            stop_signal=signal.SIGTERM,
            sandboxed=True,
            files={
                str(self._directory / "server.properties"): server_properties(listeners, self._controller_port),
                str(self._directory / "log4j2.properties"): _LOG_CONFIGURATION,
            },
        )

    def prepare(self, log_dir: Path) -> None:
        """Format the log directory, once."""
        if (self._directory / "log" / "meta.properties").exists():
            return
        tool = ("kafka.tools.StorageTool", "format", "--standalone", "-t", _CLUSTER_ID, "-c", "/data/server.properties")
        command = self._in_tree(*_JAVA, "-XX:TieredStopAtLevel=1", *tool)
        run_logged(command, log_dir / "kafka-format.log", "formatting Kafka's storage", environment=sandbox.ENVIRONMENT)

    def is_ready(self) -> bool:
        """Whether it answers clients."""
        return kafka_answers(self._port)

    def _in_tree(self, *command: str) -> tuple[str, ...]:
        return self._runtime.sandbox.command(self._directory, command, {self._runtime.jars: _JARS})
