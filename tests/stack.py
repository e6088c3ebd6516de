"""The real servers as tests use them: databases and topics of a test's own, services as processes."""

import asyncio
import ctypes
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
import psycopg
from psycopg import sql

from infrawatch_common.topics import TopicSettings, create_topics
from infrawatch_local.ports import free_ports
from infrawatch_local.stack import Stack
from infrawatch_migrations.migrate import migrate
from infrawatch_migrations.settings import SERVICES, Settings
from records import MASTER_SECRET

START_TIMEOUT, STOP_TIMEOUT = 30.0, 25.0
PASSWORD = "a password for tests alone"


@dataclass(frozen=True)
class Database:
    """A migrated database. The services' roles all have the same password."""

    admin_url: str  # of the superuser, password included

    def url(self, service: str) -> str:
        """URL of a service's role, without password."""
        return self._url_of(f"infrawatch_{service}")

    def _url_of(self, user: str) -> str:
        parts = urlsplit(self.admin_url)
        return parts._replace(netloc=f"{user}@{parts.hostname}:{parts.port}").geturl()

    @property
    def password(self) -> str:
        """Password of every service's role."""
        return PASSWORD

    def environment(self, service: str) -> dict[str, str]:
        """What a service must be told to use this database."""
        return {"INFRAWATCH_DATABASE_URL": self.url(service), "INFRAWATCH_DATABASE_PASSWORD": PASSWORD}

    def migrate(self, revision: str = "head") -> None:
        """Run the migration command's work."""
        admin = urlsplit(self.admin_url)
        passwords = {f"{service}_database_password": PASSWORD for service in SERVICES}
        migrate(
            Settings.model_validate(
                {
                    "database_url": self._url_of(admin.username or ""),
                    "database_password": unquote(admin.password or ""),
                    **passwords,
                }
            ),
            revision,
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
def fresh_database(stack: Stack, revision: str = "head") -> Iterator[Database]:
    """A newly migrated database of its own; gone afterwards."""
    name = f"test_{secrets.token_hex(6)}"
    made = Database(urlsplit(stack.database_url)._replace(path=name).geturl())
    _administer(stack, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    made.migrate(revision)
    try:
        yield made
    finally:
        _administer(stack, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _administer(stack: Stack, statement: sql.Composed) -> None:
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
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
    made = Topics(stack.kafka_bootstrap, f"test-{mark}.metrics", f"test-{mark}.snapshots")
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

    def __init__(
        self,
        name: str,
        directory: Path,
        environment: Mapping[str, str],
        *arguments: str,
        within: Sequence[str] = (),
    ) -> None:
        """``within`` is a command that ends by executing what is appended to it, such as ``unshare``."""
        self.host = environment.get("INFRAWATCH_HTTP_HOST", "127.0.0.1")
        self.port = free_ports(1)[0]
        self.log = directory / f"{name}-{secrets.token_hex(3)}.log"
        self._name = name
        self._argv = [*within, sys.executable, "-m", f"infrawatch_{name}", *arguments]
        self._environment = {**CLEAN, **environment, "INFRAWATCH_HTTP_PORT": str(self.port)}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Service":
        """Start it and wait until it is ready."""
        self.launch()
        deadline = time.monotonic() + START_TIMEOUT
        while self.health().get("status") != "ready":
            assert self.running(), f"{self._name} ended: {self.log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, (
                f"{self._name} is not ready: {self.health()} {self.log.read_text()[-2000:]}"
            )
            time.sleep(0.05)
        return self

    def command(self) -> list[str]:
        """The command line that starts it."""
        return self._argv

    def launch(self) -> None:
        """Start it without waiting."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), env=self._environment, stdout=log, stderr=log, preexec_fn=_die_with_parent
            )

    @property
    def pid(self) -> int:
        """Id of the process."""
        assert self._process is not None
        return self._process.pid

    @property
    def running_pid(self) -> int | None:
        """Its process, while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs or before it was started."""
        return self._process.poll() if self._process is not None else None

    @property
    def url(self) -> str:
        """Where it serves health checks and metrics."""
        return f"http://{self.host}:{self.port}"

    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def wait(self, timeout: float) -> int:
        """Wait for its end; the exit code."""
        assert self._process is not None
        return self._process.wait(timeout)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(STOP_TIMEOUT)

    def kill(self) -> None:
        """SIGKILL, if it runs."""
        if self.running():
            self.signal(signal.SIGKILL)
            self.wait(STOP_TIMEOUT)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

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

    def series(self, name: str) -> dict[str, float]:
        """All values of a metric, by the labels as they are exposed. Raises ``OSError`` when nothing answers."""
        found = re.findall(rf"^{re.escape(name)}(?:{{(.*)}})? (\S+)$", self._get("/metrics"), re.MULTILINE)
        return {labels: float(value) for labels, value in found}

    def _get(self, path: str) -> str:
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=5) as response:
                return str(response.read().decode())
        except urllib.error.HTTPError as error:
            return error.read().decode()


# Settings of the person who runs the tests must not reach the services under test.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("INFRAWATCH_")}


def ingest_environment(database: Database, topics: Topics, **settings: object) -> dict[str, str]:
    """What ingest must be told; ``settings`` by field name."""
    return _consumer_environment("ingest", database, topics, settings)


def alerting_environment(database: Database, topics: Topics, **settings: object) -> dict[str, str]:
    """What alerting must be told; ``settings`` by field name."""
    return _consumer_environment("alerting", database, topics, settings)


def drift_environment(database: Database, topics: Topics, **settings: object) -> dict[str, str]:
    """What drift must be told; ``settings`` by field name."""
    return _consumer_environment("drift", database, topics, settings)


def _consumer_environment(
    service: str, database: Database, topics: Topics, settings: Mapping[str, object]
) -> dict[str, str]:
    return {
        **database.environment(service),
        **topics.environment(),
        "INFRAWATCH_HOST_KEY_SECRET": MASTER_SECRET,
        "INFRAWATCH_KAFKA_GROUP": f"{topics.metrics}-{service}",
        "INFRAWATCH_KAFKA_SESSION_TIMEOUT": "6",
        **{f"INFRAWATCH_{name.upper()}": str(value) for name, value in settings.items()},
    }


async def eventually(condition: Callable[[], Awaitable[bool]], within: float = 60.0) -> None:
    """Wait until a condition holds; the test fails when it does not ``within`` so many seconds."""
    async with asyncio.timeout(within):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.1)


def _die_with_parent() -> None:
    """Have the kernel end a service when the tests end, however that happens."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
