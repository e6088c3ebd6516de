"""The real servers as tests use them: databases and topics of a test's own, services as processes."""

import asyncio
import json
import os
import re
import secrets
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import psycopg
from psycopg import sql

from infrawatch_common.topics import TopicSettings, create_topics
from infrawatch_local.process import Child, Program
from infrawatch_local.stack import Stack
from infrawatch_migrations.migrate import migrate
from infrawatch_migrations.settings import SERVICES, Settings
from records import MASTER_SECRET

PASSWORD = "a password for tests alone"


@dataclass(frozen=True)
class Database:
    """A migrated database. The services' roles all have the same password."""

    name: str
    address: str
    superuser: tuple[str, str]

    @property
    def admin_url(self) -> str:
        """URL of the superuser, password included."""
        user, password = self.superuser
        return f"postgresql://{user}:{quote(password)}@{self.address}/{self.name}"

    def url(self, service: str) -> str:
        """URL of a service's role, without password."""
        return f"postgresql://infrawatch_{service}@{self.address}/{self.name}"

    @property
    def password(self) -> str:
        """Password of every service's role."""
        return PASSWORD

    def environment(self, service: str) -> dict[str, str]:
        """What a service must be told to use this database."""
        return {"INFRAWATCH_DATABASE_URL": self.url(service), "INFRAWATCH_DATABASE_PASSWORD": PASSWORD}

    def migrate(self) -> None:
        """Run the migration command's work."""
        user, password = self.superuser
        passwords = {f"{service}_database_password": PASSWORD for service in SERVICES}
        migrate(
            Settings.model_validate(
                {
                    "database_url": f"postgresql://{user}@{self.address}/{self.name}",
                    "database_password": password,
                    **passwords,
                }
            )
        )

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[Any]:
        """A connection as superuser."""
        connection = await asyncpg.connect(self.admin_url)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def connect(self, service: str) -> AsyncIterator[Any]:
        """A connection as a service."""
        connection = await asyncpg.connect(self.url(service), password=PASSWORD)
        try:
            yield connection
        finally:
            await connection.close()


@contextmanager
def fresh_database(stack: Stack) -> Iterator[Database]:
    """A newly migrated database of its own; gone afterwards."""
    made = Database(f"test_{secrets.token_hex(6)}", stack.database_address, stack.superuser)
    _administer(stack, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(made.name)))
    made.migrate()
    try:
        yield made
    finally:
        _administer(stack, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(made.name)))


def _administer(stack: Stack, statement: sql.Composed) -> None:
    user, password = stack.superuser
    address = f"postgresql://{stack.database_address}/postgres"
    with psycopg.connect(address, user=user, password=password, autocommit=True) as connection:
        connection.execute(statement)


@dataclass(frozen=True)
class Topics:
    """Topics of one test, and where they are."""

    bootstrap_servers: str
    metrics: str
    snapshots: str

    def environment(self) -> dict[str, str]:
        """What a program must be told to use these topics."""
        return {
            "INFRAWATCH_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "INFRAWATCH_METRICS_TOPIC": self.metrics,
            "INFRAWATCH_SNAPSHOTS_TOPIC": self.snapshots,
        }


async def fresh_topics(stack: Stack, partitions: int = 4) -> Topics:
    """New topics, made by the product's own command."""
    mark = secrets.token_hex(6)
    made = Topics(stack.bootstrap_servers, f"test-{mark}.metrics", f"test-{mark}.snapshots")
    await create_topics(
        TopicSettings.model_validate(
            {
                "kafka_bootstrap_servers": made.bootstrap_servers,
                "metrics_topic": made.metrics,
                "snapshots_topic": made.snapshots,
                "topic_partitions": partitions,
            }
        )
    )
    return made


class Service:
    """One of our services as a process of its own, started through its shipped entry point."""

    def __init__(self, name: str, directory: Path, environment: Mapping[str, str], *arguments: str) -> None:
        self.port = free_port()
        self.log = directory / f"{name}-{secrets.token_hex(3)}.log"
        self._program = Program(
            name=name,
            argv=(sys.executable, "-m", f"infrawatch_{name}", *arguments),
            log=self.log,
            ready=lambda: self.health().get("status") == "ready",
            environment={**CLEAN, **environment, "INFRAWATCH_HTTP_PORT": str(self.port)},
            start_timeout=30.0,
        )
        self.child: Child | None = None

    def start(self) -> "Service":
        """Start it and wait until it is ready."""
        self.launch()
        assert self.child is not None
        self.child.wait_ready()
        return self

    def launch(self) -> None:
        """Start it without waiting."""
        self.child = Child(self._program)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        code = self.child.stop() if self.child is not None else 0
        self.child = None
        return code

    def kill(self) -> None:
        """SIGKILL."""
        if self.child is not None:
            self.child.kill()
            self.child = None

    def health(self) -> dict[str, Any]:
        """The readiness report; empty while nothing answers."""
        try:
            return dict(json.loads(self._get("/health/ready")))
        except (OSError, ValueError):
            return {}

    def metric(self, line: str) -> float:
        """The value of a series, by its name and labels as they are exposed."""
        found = re.search(rf"^{re.escape(line)} (\S+)$", self._get("/metrics"), re.MULTILINE)
        assert found, f"no series {line}"
        return float(found[1])

    def _get(self, path: str) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as response:
                return str(response.read().decode())
        except urllib.error.HTTPError as error:
            return error.read().decode()


# Settings of the person who runs the tests must not reach the services under test.
CLEAN = {name: "" for name in os.environ if name.startswith("INFRAWATCH_")}


def ingest_environment(database: Database, topics: Topics, **settings: object) -> dict[str, str]:
    """What ingest must be told; ``settings`` by field name."""
    return {
        **database.environment("ingest"),
        **topics.environment(),
        "INFRAWATCH_HOST_KEY_SECRET": MASTER_SECRET,
        "INFRAWATCH_KAFKA_GROUP": f"{topics.metrics}-ingest",
        "INFRAWATCH_KAFKA_SESSION_TIMEOUT": "6",
        **{f"INFRAWATCH_{name.upper()}": str(value) for name, value in settings.items()},
    }


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


async def eventually(condition: Callable[[], Awaitable[bool]], within: float = 60.0) -> None:
    """Wait until a condition holds; the test fails when it does not ``within`` so many seconds."""
    async with asyncio.timeout(within):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.1)
