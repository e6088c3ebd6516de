"""The database is away: every route says so within three seconds, and works again by itself."""

import asyncio
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

ROUTES = [
    ("POST", "/api/v1/auth/login", {"email": "a@example.org", "password": "x"}),
    ("POST", "/api/v1/enrolments/claim", {"token": "iwe_x", "host_id": "web-1"}),
    ("GET", "/api/v1/auth/me", None),
    ("POST", "/api/v1/auth/logout", None),
    ("GET", "/api/v1/hosts", None),
    ("PATCH", "/api/v1/hosts/web-1", {"name": "x"}),
    ("GET", "/api/v1/hosts/web-1/metrics?bucket=60", None),
    ("GET", "/api/v1/metrics/latest", None),
    ("GET", "/api/v1/users", None),
    ("POST", "/api/v1/tokens", {"name": "x", "role": "viewer", "expires_in": 60}),
    ("GET", "/api/v1/audit-log", None),
    ("GET", "/api/v1/dead-letters", None),
]


async def start(make_world: Callable[..., Any], database: Any, proxy: Any) -> Any:
    address = urlsplit(database.url("api"))
    return await make_world(url=address._replace(netloc=f"{address.username}@127.0.0.1:{proxy.port}").geturl())


async def check_all_unavailable(world: Any, token: str) -> None:
    async def timed(method: str, path: str, body: Any) -> tuple[Any, float]:
        started = time.perf_counter()
        return await world.call(method, path, token, json=body), time.perf_counter() - started

    for answer, seconds in await asyncio.gather(*(timed(*route) for route in ROUTES)):
        assert answer.status_code == 503, (answer.request.url, answer.text)
        assert answer.json()["type"] == "urn:infrawatch:problem:unavailable"
        assert int(answer.headers["retry-after"]) > 0
        assert seconds < 3, answer.request.url
    assert (await world.get("/health/live")).status_code == 200
    assert (await world.get("/metrics")).status_code == 200
    ready = await world.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json()["status"] == "not ready"


async def check_works(world: Any, token: str) -> None:
    for _ in range(2):
        assert (await world.get("/api/v1/hosts", token)).status_code == 200
    assert (await world.get("/health/ready")).json() == {"status": "ready", "checks": {"database": "ok"}}


async def test_a_database_that_hangs_up(make_world: Callable[..., Any], database: Any, proxy: Any) -> None:
    world = await start(make_world, database, proxy)
    token = await world.signed_in("admin")
    await check_works(world, token)

    await proxy.hang_up()
    await check_all_unavailable(world, token)

    await proxy.start()
    await check_works(world, token)


async def test_a_database_that_falls_silent(make_world: Callable[..., Any], database: Any, proxy: Any) -> None:
    world = await start(make_world, database, proxy)
    token = await world.signed_in("admin")
    await asyncio.gather(*(check_works(world, token) for _ in range(8)))

    proxy.fall_silent()
    await check_all_unavailable(world, token)
    await check_all_unavailable(world, token)

    proxy.speak()
    await check_works(world, token)


@pytest.mark.parametrize("silent", [True, False])
async def test_the_service_starts_without_database(
    make_world: Callable[..., Any], database: Any, proxy: Any, silent: bool
) -> None:
    if silent:
        proxy.fall_silent()
    else:
        await proxy.hang_up()

    world = await start(make_world, database, proxy)
    token = await world.signed_in("admin")
    await check_all_unavailable(world, token)

    if silent:
        proxy.speak()
    else:
        await proxy.start()
    await check_works(world, token)
