"""Agents at the protected listener: what a host's user may do, and what an operator reads when it may not."""

import base64
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import GroupAuthorizationFailedError, KafkaConnectionError, TopicAuthorizationFailedError
from aiokafka.helpers import create_ssl_context

from infrawatch_common.kafka_admin import KafkaAdmin
from infrawatch_common.settings import KafkaAdminSettings
from infrawatch_common.topics import TopicSettings, give_access
from infrawatch_local.stack import Stack
from operating import ADMIN, api_environment, command, delete
from records import host_key
from stack import Database, Service, Topics, eventually, ingest_environment

HOST, USER, PASSWORD = "host-a", "test-agent", "the password of a test agent"
MakeService = Callable[..., Service]


@dataclass(frozen=True)
class Protected:
    """Topics with their rules, and a user that agents could have."""

    stack: Stack
    topics: Topics

    def options(self, **changes: Any) -> dict[str, Any]:
        """Arguments of an aiokafka client that is this user."""
        return {
            "bootstrap_servers": self.stack.agents_bootstrap,
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": USER,
            "sasl_plain_password": PASSWORD,
            "ssl_context": create_ssl_context(cafile=str(self.stack.kafka_authority)),
            **changes,
        }

    def agent(self, directory: Path, **settings: object) -> dict[str, str]:
        """What an agent must be told that was enrolled with this user; ``settings`` by field name."""
        key = host_key(HOST)
        access = {
            "bootstrap_servers": self.stack.agents_bootstrap,
            "security_protocol": "SASL_SSL",
            "username": USER,
            "password": PASSWORD,
            "ca": self.stack.kafka_authority.read_text(),
        }
        identity = {"host_id": HOST, "key_id": key.id, "secret": base64.b64encode(key.secret).decode(), "kafka": access}
        (directory / "identity.json").write_text(json.dumps(identity))
        return {
            "INFRAWATCH_STATE_DIRECTORY": str(directory),
            "INFRAWATCH_METRICS_TOPIC": self.topics.metrics,
            "INFRAWATCH_SNAPSHOTS_TOPIC": self.topics.snapshots,
            "INFRAWATCH_INTERVAL": "1",
            "INFRAWATCH_SEND_TIMEOUT": "3",
            **{f"INFRAWATCH_{name.upper()}": str(value) for name, value in settings.items()},
        }


def topic_settings(topics: Topics, **changes: Any) -> TopicSettings:
    return TopicSettings.model_validate(
        {
            "kafka_bootstrap_servers": topics.bootstrap_servers,
            "metrics_topic": topics.metrics,
            "snapshots_topic": topics.snapshots,
            "kafka_access": True,
            **changes,
        }
    )


@pytest.fixture
async def protected(stack: Stack, topics: Topics) -> AsyncIterator[Protected]:
    await give_access(topic_settings(topics))
    admin = KafkaAdmin(KafkaAdminSettings.model_validate({"kafka_bootstrap_servers": stack.kafka_bootstrap}))
    await admin.put_users({USER: PASSWORD})
    made = Protected(stack, topics)
    await eventually(lambda: signs_in(made))
    yield made
    await admin.delete_users([USER])


async def signs_in(protected: Protected) -> bool:
    """Whether the broker knows the user yet, which it does a moment after it was made."""
    producer = AIOKafkaProducer(**protected.options())
    try:
        await producer.start()
    except KafkaConnectionError:
        return False
    finally:
        await producer.stop()
    return True


async def test_an_enrolled_host_delivers_as_its_own_user_until_it_is_retired(
    database: Database, stack: Stack, protected: Protected, service: MakeService, tmp_path: Path
) -> None:
    topics, password = protected.topics, "a password of the user infrawatch-ingest"
    group = f"{topics.metrics}-ingest"
    await give_access(topic_settings(topics, ingest_kafka_password=password, kafka_group=group))
    by_tls = {
        "kafka_bootstrap_servers": stack.agents_bootstrap,
        "kafka_security_protocol": "SASL_SSL",
        "kafka_username": "infrawatch-ingest",
        "kafka_password": password,
        "kafka_ca_file": stack.kafka_authority,
    }
    service("ingest", ingest_environment(database, topics, **by_tls)).start()
    agent_users = {
        "INFRAWATCH_KAFKA_BOOTSTRAP_SERVERS": stack.kafka_bootstrap,
        "INFRAWATCH_AGENT_KAFKA_BOOTSTRAP_SERVERS": stack.agents_bootstrap,
        "INFRAWATCH_AGENT_KAFKA_CA_FILE": str(stack.kafka_authority),
        "INFRAWATCH_AGENT_KAFKA_USER_PREFIX": f"{topics.metrics}-",
    }
    api = service("api", {**api_environment(database), **agent_users}, "serve").start()
    command(database, "create-admin", "--email", ADMIN)
    token = command(database, "create-token", "--email", ADMIN, "--role", "operator", "--expires-in", "600")["token"]
    enrolment = tmp_path / "token"
    command(database, "create-enrolment", "--expires-in", "600", "--output", str(enrolment))
    told = {
        "INFRAWATCH_STATE_DIRECTORY": str(tmp_path / "agent"),
        "INFRAWATCH_API_URL": f"http://127.0.0.1:{api.port}",
        "INFRAWATCH_ENROLMENT_TOKEN_FILE": str(enrolment),
        "INFRAWATCH_METRICS_TOPIC": topics.metrics,
        "INFRAWATCH_SNAPSHOTS_TOPIC": topics.snapshots,
        "INFRAWATCH_INTERVAL": "1",
        "INFRAWATCH_SEND_TIMEOUT": "3",
    }
    agent = service("agent", told, "run").start()
    identity = json.loads((tmp_path / "agent" / "identity.json").read_text())
    assert identity["kafka"]["username"] == f"{topics.metrics}-{identity['key_id']}"

    async def stored() -> bool:
        async with database.admin() as connection:
            return bool(await connection.fetchval("SELECT count(*) >= 2 FROM metrics"))

    await eventually(stored)
    delete(api.port, f"/hosts/{identity['host_id']}", token)

    await eventually(lambda: says(agent, "refuses user"))
    assert identity["kafka"]["password"] not in agent.log.read_text()


async def says(agent: Service, words: str) -> bool:
    checks = agent.health().get("checks", {})
    logged = words.rpartition(": ")[2]
    return words in f"{checks.get('kafka')} {checks.get('topics')}" and logged in agent.log.read_text()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kafka_password": "another password"}, "refuses user test-agent or its password"),
        ({"kafka_security_protocol": "PLAINTEXT"}, "does not answer as Kafka with PLAINTEXT"),
        ({"kafka_security_protocol": "SASL_PLAINTEXT"}, "does not answer as Kafka with SASL_PLAINTEXT"),
        ({"kafka_security_protocol": "SSL"}, "the broker does not tell of them"),
        ({"kafka_ca_file": "other.pem"}, "has a certificate that is not trusted"),
        ({"kafka_bootstrap_servers": "127.0.0.1:1"}, "127.0.0.1:1 cannot be reached"),
        ({"kafka_bootstrap_servers": "services"}, "does not speak TLS"),
        ({"metrics_topic": "infrawatch.other"}, "topic infrawatch.other takes nothing: this agent may not write it"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
async def test_a_refused_agent_says_why_and_keeps_its_records(
    protected: Protected, service: MakeService, tmp_path: Path, settings: dict[str, str], words: str
) -> None:
    if "kafka_ca_file" in settings:
        settings = {"kafka_ca_file": str(other_authority(tmp_path))}
    if settings.get("kafka_bootstrap_servers") == "services":
        settings = {"kafka_bootstrap_servers": protected.stack.kafka_bootstrap}
    agent = service("agent", protected.agent(tmp_path, **settings), "run")
    agent.launch()

    await eventually(lambda: says(agent, words))

    async def waiting() -> bool:
        return agent.metric("infrawatch_agent_spool_records") >= 1

    await eventually(waiting)


def other_authority(directory: Path) -> Path:
    made = directory / "other.pem"
    new_key = ("-newkey", "rsa:2048", "-nodes", "-keyout", str(directory / "other.key"))
    subprocess.run(
        ["openssl", "req", "-x509", *new_key, "-out", str(made), "-subj", "/CN=Other"], check=True, capture_output=True
    )
    return made


async def test_an_agents_user_may_write_its_topics_and_nothing_else(protected: Protected) -> None:
    topics = protected.topics
    producer = AIOKafkaProducer(**protected.options(), acks="all", enable_idempotence=True)
    await producer.start()
    try:
        for topic in (topics.metrics, topics.snapshots):
            await producer.send_and_wait(topic, b"{}", key=HOST.encode())
        for closed in ("infrawatch.alert-events.v1", "__consumer_offsets", "no-such-topic"):
            with pytest.raises(TopicAuthorizationFailedError):
                await producer.send_and_wait(closed, b"{}")
    finally:
        await producer.stop()
    for group, error in ((None, TopicAuthorizationFailedError), ("infrawatch-ingest", GroupAuthorizationFailedError)):
        consumer = AIOKafkaConsumer(topics.metrics, group_id=group, **protected.options())
        try:
            with pytest.raises(error):
                await first_of(consumer)
        finally:
            await consumer.stop()


async def first_of(consumer: AIOKafkaConsumer) -> None:
    await consumer.start()
    await consumer.getone()


async def test_the_rules_can_be_written_again(protected: Protected) -> None:
    await give_access(topic_settings(protected.topics))

    await test_an_agents_user_may_write_its_topics_and_nothing_else(protected)
