"""The API on the real database, called in this process; the clock is the test's."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from argon2 import PasswordHasher
from litestar import Litestar

from infrawatch_api.api import Api
from infrawatch_api.app import create_api, create_litestar
from infrawatch_api.outermost import Outermost
from infrawatch_api.secrets import TokenKind, new_token, token_hash
from infrawatch_api.settings import Settings
from infrawatch_common.logs import configure_logging
from records import MASTER_SECRET
from triaging import Operator

if TYPE_CHECKING:
    from stack import Database

PASSWORD = "horses eat cucumber salad"
# The least that the settings allow, so that the tests hash fast.
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
PASSWORD_HASH = HASHER.hash(PASSWORD)
PEER = "198.51.100.7"


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class World:
    """The running application, and how to get things into it."""

    api: Api
    asgi: Outermost
    clock: Clock
    admin: Any
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    async def call(
        self, method: str, path: str, token: str | None = None, *, ip: str = PEER, **options: Any
    ) -> httpx.Response:
        """A request; paths without leading ``/api``, ``/health`` and so on are below ``/api/v1``."""
        client = self.clients.get(ip)
        if client is None:
            transport = httpx.ASGITransport(self.asgi, client=(ip, 50_000), raise_app_exceptions=False)  # type: ignore[arg-type]
            client = self.clients[ip] = httpx.AsyncClient(transport=transport, base_url="http://api.test")
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **options.pop("headers", {})}
        return await client.request(method, path, headers=headers, **options)

    async def get(self, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        return await self.call("GET", path, token, **options)

    async def post(self, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        return await self.call("POST", path, token, **options)

    async def add_user(
        self, role: str = "viewer", *, email: str | None = None, password: str = PASSWORD_HASH, **columns: Any
    ) -> str:
        """A user in the database; the email address."""
        email = email or f"{role}-{secrets.token_hex(4)}@example.org"
        await self.admin.execute(
            "INSERT INTO users (email, password, role, disabled, one_time_until) VALUES ($1, $2, $3, $4, $5)",
            email,
            password,
            role,
            columns.get("disabled", False),
            columns.get("one_time_until"),
        )
        return email

    async def session(self, email: str, **times: datetime) -> str:
        """A session of a user, without login; the token."""
        token = new_token(TokenKind.SESSION)
        await self.admin.execute(
            "INSERT INTO sessions (user_id, token_hash, created_at, used_at, expires_at) "
            "SELECT id, $2, $3, $4, $5 FROM users WHERE email = $1",
            email,
            token_hash(token),
            self.clock.now,
            times.get("used_at", self.clock.now),
            times.get("expires_at", self.clock.now + timedelta(hours=24)),
        )
        return token

    async def api_token(self, email: str, role: str, *, seconds: int = 3600) -> str:
        """An API token of a user; the value."""
        token = new_token(TokenKind.API)
        await self.admin.execute(
            "INSERT INTO api_tokens (user_id, name, role, token_hash, created_at, expires_at) "
            "SELECT id, 'test', $2, $3, $4, $5 FROM users WHERE email = $1",
            email,
            role,
            token_hash(token),
            self.clock.now,
            self.clock.now + timedelta(seconds=seconds),
        )
        return token

    async def signed_in(self, role: str) -> str:
        """The session of a new user."""
        return await self.session(await self.add_user(role))

    async def login(self, email: str, password: str = PASSWORD, **options: Any) -> httpx.Response:
        return await self.post("/api/v1/auth/login", json={"email": email, "password": password}, **options)

    async def audit(self, action: str) -> list[asyncpg.Record]:
        """The entries of the audit log with this action, oldest first."""
        rows: list[asyncpg.Record] = await self.admin.fetch(
            "SELECT actor, host(ip) AS ip, target, detail FROM audit_log WHERE action = $1 ORDER BY id", action
        )
        return rows


def settings_for(database_url: str, password: str, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "database_url": database_url,
        "database_password": password,
        "host_key_secret": MASTER_SECRET,
        "argon2_time_cost": 2,
        "argon2_memory_cost": 19_456,
        "argon2_parallelism": 1,
        **changes,
    }
    return Settings.model_validate(values)


async def _run(litestar: Litestar, started: asyncio.Event, stop: asyncio.Event) -> None:
    # A lifespan ends in the task that it began in, which the set-up and the end of a fixture are not.
    async with litestar.lifespan():
        started.set()
        await stop.wait()


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    configure_logging("api", "warning")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def make_world(database: "Database", clock: Clock) -> AsyncIterator[Callable[..., Any]]:
    """Starts applications with other settings."""
    ends: list[Callable[[], Any]] = []

    async def make(**changes: Any) -> World:
        settings = settings_for(changes.pop("url", database.url("api")), database.password, **changes)
        api = create_api(settings, clock)
        litestar = create_litestar(api)
        started, stop = asyncio.Event(), asyncio.Event()
        running = asyncio.create_task(_run(litestar, started, stop))
        await started.wait()
        admin = await asyncpg.connect(database.admin_url)
        world = World(api, Outermost(litestar, settings, api.metrics), clock, admin)

        async def end() -> None:
            for client in world.clients.values():
                await client.aclose()
            stop.set()
            await running
            await admin.close()

        ends.append(end)
        return world

    yield make
    for end in ends:
        await end()


@pytest.fixture
async def world(make_world: Callable[..., Any]) -> World:
    made: World = await make_world()
    return made


class Proxy:
    """A TCP proxy before the database that can fall silent or hang up."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def hang_up(self) -> None:
        """Nothing listens any more, and what was connected is cut."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._server = None

    def fall_silent(self) -> None:
        """Connections are accepted and stay, but nothing comes through."""
        self._flowing.clear()

    def speak(self) -> None:
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        try:
            await self._flowing.wait()
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            self._writers.add(far_writer)
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self._flowing.wait()
            writer.write(data)
            await writer.drain()
        writer.close()


@pytest.fixture
async def proxy(database: "Database") -> AsyncIterator[Proxy]:
    target = urlsplit(database.admin_url)
    assert target.hostname is not None
    assert target.port is not None
    made = Proxy(target.hostname, target.port)
    await made.start()
    yield made
    made.speak()
    if made._server is not None:
        await made.hang_up()


@pytest.fixture
async def operator(world: World) -> Operator:
    """Somebody who judges what has changed."""
    email = await world.add_user("operator")
    return Operator(world, email, await world.session(email))
