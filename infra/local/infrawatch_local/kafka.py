"""Apache Kafka: one node that is broker and controller."""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infrawatch_local import certificates, sandbox
from infrawatch_local.commands import run_logged, succeeds
from infrawatch_local.errors import StepFailedError
from infrawatch_local.ports import LOOPBACK
from infrawatch_local.probes import kafka_answers
from infrawatch_local.program import Component, Program
from infrawatch_local.tree import Runtime

_CLUSTER_ID = "SW5mcmEtV2F0Y2gtbG9jYQ"  # any 16 bytes in base64; the cluster has one node and no neighbours
_JARS = "/opt/kafka"
_KEYSTORE = "/tmp/server.pem"  # noqa: S108 - inside
_NAMES = ("DNS:localhost", f"IP:{LOOPBACK}")
REAUTHENTICATE_AFTER = 600
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

# Whoever comes by the loopback listener, which only this machine reaches, is ANONYMOUS and may do everything; all
# others may do what an access rule allows.
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS

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


_AGENTS_LISTENER = """\
listener.name.agents.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.agents.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.agents.ssl.keystore.type=PEM
listener.name.agents.ssl.keystore.location={keystore}
# A user that is deleted stays connected until it must prove itself again.
listener.name.agents.connections.max.reauth.ms={reauthenticate_ms}
"""


@dataclass(frozen=True)
class KafkaPorts:
    """Where the broker listens: the services, agents, and the controller."""

    services: int
    agents: int
    controller: int


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
    """The broker; its data lies in ``directory``, certificates beside it.

    ``reauthenticate_after``: seconds after which an agent's connection must prove itself again.
    """

    def __init__(
        self, runtime: Runtime, directory: Path, ports: KafkaPorts, reauthenticate_after: int = REAUTHENTICATE_AFTER
    ) -> None:
        self._runtime = runtime
        self._directory = directory
        self._certificates = directory.with_name(f"{directory.name}-certificates")
        self._ports = ports
        self._reauthenticate_after = reauthenticate_after

    @property
    def name(self) -> str:
        """Its name."""
        return "kafka"

    @property
    def ports(self) -> Mapping[str, int]:
        """Services', then agents' and the controller's."""
        ports = self._ports
        return {"kafka": ports.services, "kafka_agents": ports.agents, "kafka_controller": ports.controller}

    @property
    def bootstrap(self) -> str:
        """Where the services connect, without proof of who they are."""
        return f"{LOOPBACK}:{self._ports.services}"

    @property
    def agents_bootstrap(self) -> str:
        """Where agents connect, by SASL_SSL."""
        return f"{LOOPBACK}:{self._ports.agents}"

    @property
    def authority(self) -> Path:
        """The certificate of the authority that agents trust."""
        return self._certificates / certificates.AUTHORITY

    def ensure_certificate(self, log_dir: Path) -> bool:
        """Make or renew the certificate where it is time; whether a broker that runs must be started anew."""
        log = log_dir / "kafka-certificates.log"

        def openssl(directory: Path, arguments: Sequence[str]) -> bool:
            return succeeds(self._runtime.sandbox.command(directory, ("openssl", *arguments)), log, sandbox.ENVIRONMENT)

        try:
            return certificates.ensure(self._certificates, _NAMES, openssl)
        except certificates.CertificateError as error:
            raise StepFailedError(str(error), log, "Look at the lines above.") from error

    def program(self) -> Program:
        """The broker with its configuration."""
        ports = self._ports
        listeners = (Listener("INTERNAL", "PLAINTEXT", ports.services), Listener("AGENTS", "SASL_SSL", ports.agents))
        protected = _AGENTS_LISTENER.format(keystore=_KEYSTORE, reauthenticate_ms=self._reauthenticate_after * 1000)
        return Program(
            name=self.name,
            command=self._in_tree(*_JAVA, "-Xms256m", "-Xmx512m", "kafka.Kafka", "/data/server.properties"),
            stop_signal=signal.SIGTERM,
            sandboxed=True,
            files={
                str(self._directory / "server.properties"): server_properties(listeners, ports.controller) + protected,
                str(self._directory / "log4j2.properties"): _LOG_CONFIGURATION,
            },
        )

    def prepare(self, log_dir: Path) -> None:
        """Make the certificate, and format the log directory, once."""
        self.ensure_certificate(log_dir)
        if (self._directory / "log" / "meta.properties").exists():
            return
        tool = ("kafka.tools.StorageTool", "format", "--standalone", "-t", _CLUSTER_ID, "-c", "/data/server.properties")
        command = self._in_tree(*_JAVA, "-XX:TieredStopAtLevel=1", *tool)
        run_logged(command, log_dir / "kafka-format.log", "formatting Kafka's storage", environment=sandbox.ENVIRONMENT)

    def is_ready(self) -> bool:
        """Whether it answers clients."""
        return kafka_answers(self._ports.services)

    def _in_tree(self, *command: str) -> tuple[str, ...]:
        return self._runtime.sandbox.command(
            self._directory, command, {self._runtime.jars: _JARS, self._certificates / certificates.SERVER: _KEYSTORE}
        )
