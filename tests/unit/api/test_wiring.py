"""Guards, problems, settings and locks, without a server."""

import asyncio
import json

import pytest
from litestar import Litestar, get
from litestar.exceptions import HTTPException, InternalServerException, NotFoundException
from pydantic import ValidationError

from infrawatch_api.app import create_api, create_litestar
from infrawatch_api.authentication import PUBLIC
from infrawatch_api.domain.inputs import InvalidInputError
from infrawatch_api.domain.roles import Role
from infrawatch_api.guards import UnguardedRouteError, refuse_unguarded, requires
from infrawatch_api.locks import KeyedLocks
from infrawatch_api.problems import Kind, ProblemError, explain
from infrawatch_api.settings import Settings


def settings(**changes: object) -> Settings:
    values = {
        "database_url": "postgresql://infrawatch_api@127.0.0.1:1/x",
        "database_password": "x",
        "host_key_secret": "x" * 32,
        **changes,
    }
    return Settings.model_validate(values)


@get("/open")
async def _open() -> None: ...


@get("/public", opt={PUBLIC: True})
async def _public() -> None: ...


@get("/guarded", guards=[requires(Role.VIEWER)])
async def _guarded() -> None: ...


def test_a_route_without_guard_does_not_start() -> None:
    refuse_unguarded(Litestar([_public, _guarded], openapi_config=None))

    with pytest.raises(UnguardedRouteError, match="/open"):
        refuse_unguarded(Litestar([_public, _guarded, _open], openapi_config=None))


def test_the_application_is_wired_without_connecting() -> None:
    api = create_api(settings())

    assert create_litestar(api).state.api is api
    api.passwords.close()


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (RuntimeError("SELECT"), Kind.INTERNAL, 500),
        (InternalServerException("SELECT"), Kind.INTERNAL, 500),
        (InvalidInputError("from", "is wrong"), Kind.VALIDATION, 400),
        (NotFoundException(), Kind.NOT_FOUND, 404),
        (RecursionError(), Kind.MALFORMED, 400),
        (HTTPException("x", status_code=418), Kind.OTHER, 418),
        (ProblemError(Kind.CONFLICT, "x"), Kind.CONFLICT, 409),
    ],
)
def test_every_exception_is_a_problem(error: Exception, kind: Kind, status: int) -> None:
    problem = explain(error)

    document = json.loads(problem.encode(instance="/x", request_id="request-0001"))
    assert problem.kind is kind
    assert document["status"] == problem.status == status
    assert "SELECT" not in json.dumps(document)


def test_kinds_differ() -> None:
    assert len({kind.type for kind in Kind}) == len(Kind)


def test_lists_are_read_from_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFRAWATCH_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1,2001:db8::/32")
    monkeypatch.setenv("INFRAWATCH_ALLOWED_HOSTS", "api.example.org,localhost")

    read = settings()

    assert [str(network) for network in read.trusted_proxies] == ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]
    assert read.allowed_hosts == ("api.example.org", "localhost")


@pytest.mark.parametrize(
    "change",
    [
        {"trusted_proxies": "10.0.0.1/8"},
        {"session_idle_timeout": 90_000},
        {"page_size": 2000},
        {"database_wait": 3},
        {"password_min_length": 7},
        {"argon2_memory_cost": 8},
    ],
)
def test_settings_that_would_weaken_a_promise_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        settings(**change)


async def test_a_lock_is_held_by_one_and_leaves_nothing_behind() -> None:
    locks = KeyedLocks()
    inside: list[str] = []

    async def work(key: str) -> int:
        async with locks.hold(key):
            inside.append(key)
            seen = inside.count(key)
            await asyncio.sleep(0)
            inside.remove(key)
            return seen

    assert await asyncio.gather(*(work(key) for key in "aabbab")) == [1] * 6
    assert not locks._locks
    assert not locks._users
