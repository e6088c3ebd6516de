"""Who may do what: every route times every kind of caller."""

from datetime import timedelta
from itertools import product
from typing import Any

from infrawatch_api.app import openapi_document

EVERYBODY = {"nobody", "expired", "idle", "disabled", "one_time", "viewer", "operator", "admin", "token"}
SIGNED_IN = {"one_time", "viewer", "operator", "admin", "token"}
SESSIONS = {"one_time", "viewer", "operator", "admin"}
VIEWERS = {"viewer", "operator", "admin", "token"}
OPERATORS = {"operator", "admin"}
ADMINS = {"admin"}

# Every operation of the OpenAPI document, and who may use it. An operation that is not here fails the test.
# "token" is a viewer's API token of an administrator.
ACCESS: dict[tuple[str, str], set[str]] = {
    ("POST", "/api/v1/auth/login"): EVERYBODY,
    ("POST", "/api/v1/auth/logout"): SESSIONS,
    ("POST", "/api/v1/auth/password"): SESSIONS,
    ("GET", "/api/v1/auth/me"): SIGNED_IN,
    ("GET", "/api/v1/hosts"): VIEWERS,
    ("GET", "/api/v1/hosts/{host_id}"): VIEWERS,
    ("PATCH", "/api/v1/hosts/{host_id}"): OPERATORS,
    ("DELETE", "/api/v1/hosts/{host_id}"): OPERATORS,
    ("GET", "/api/v1/hosts/{host_id}/metrics"): VIEWERS,
    ("GET", "/api/v1/metrics/latest"): VIEWERS,
    ("GET", "/api/v1/metrics/query"): VIEWERS,
    ("GET", "/api/v1/alerts"): VIEWERS,
    ("POST", "/api/v1/alerts"): OPERATORS,
    ("POST", "/api/v1/alerts/preview"): OPERATORS,
    ("GET", "/api/v1/alerts/{alert_id}"): VIEWERS,
    ("PATCH", "/api/v1/alerts/{alert_id}"): OPERATORS,
    ("DELETE", "/api/v1/alerts/{alert_id}"): OPERATORS,
    ("GET", "/api/v1/alerts/{alert_id}/versions"): VIEWERS,
    ("GET", "/api/v1/alert-events"): VIEWERS,
    ("GET", "/api/v1/alert-events/{event_id}"): VIEWERS,
    ("GET", "/api/v1/channels"): VIEWERS,
    ("POST", "/api/v1/channels"): OPERATORS,
    ("GET", "/api/v1/channels/{channel_id}"): VIEWERS,
    ("PATCH", "/api/v1/channels/{channel_id}"): OPERATORS,
    ("DELETE", "/api/v1/channels/{channel_id}"): OPERATORS,
    ("POST", "/api/v1/channels/{channel_id}/secret"): OPERATORS,
    ("POST", "/api/v1/channels/{channel_id}/test"): OPERATORS,
    ("GET", "/api/v1/silences"): VIEWERS,
    ("POST", "/api/v1/silences"): OPERATORS,
    ("POST", "/api/v1/silences/preview"): VIEWERS,
    ("GET", "/api/v1/silences/{silence_id}"): VIEWERS,
    ("PATCH", "/api/v1/silences/{silence_id}"): OPERATORS,
    ("DELETE", "/api/v1/silences/{silence_id}"): OPERATORS,
    ("GET", "/api/v1/deliveries"): VIEWERS,
    ("GET", "/api/v1/deliveries/{delivery_id}"): VIEWERS,
    ("POST", "/api/v1/deliveries/{delivery_id}/resend"): OPERATORS,
    ("POST", "/api/v1/drift/{change_id}/triage"): OPERATORS,
    ("POST", "/api/v1/drift/triage"): OPERATORS,
    ("GET", "/api/v1/drift/baselines"): VIEWERS,
    ("POST", "/api/v1/drift/baselines"): OPERATORS,
    ("DELETE", "/api/v1/drift/baselines/{baseline_id}"): OPERATORS,
    ("GET", "/api/v1/drift/ignores"): VIEWERS,
    ("POST", "/api/v1/drift/ignores"): OPERATORS,
    ("POST", "/api/v1/drift/ignores/preview"): VIEWERS,
    ("DELETE", "/api/v1/drift/ignores/{rule_id}"): OPERATORS,
    ("GET", "/api/v1/drift/fleet"): VIEWERS,
    ("GET", "/api/v1/drift/fleet/deviations"): VIEWERS,
    ("GET", "/api/v1/drift/fleet/hosts"): VIEWERS,
    ("GET", "/api/v1/drift/packages"): VIEWERS,
    ("GET", "/api/v1/drift/rollouts"): VIEWERS,
    ("GET", "/api/v1/drift/rollouts/hosts"): VIEWERS,
    ("GET", "/api/v1/hosts/{host_id}/snapshots"): VIEWERS,
    ("GET", "/api/v1/hosts/{host_id}/snapshots/at"): VIEWERS,
    ("GET", "/api/v1/snapshots/{snapshot_id}"): VIEWERS,
    ("GET", "/api/v1/drift"): VIEWERS,
    ("GET", "/api/v1/drift/{change_id}"): VIEWERS,
    ("GET", "/api/v1/drift/stories"): VIEWERS,
    ("GET", "/api/v1/drift/compare"): VIEWERS,
    ("GET", "/api/v1/alert-events/{event_id}/drift"): VIEWERS,
    ("GET", "/api/v1/users"): ADMINS,
    ("POST", "/api/v1/users"): ADMINS,
    ("GET", "/api/v1/users/{user_id}"): ADMINS,
    ("PATCH", "/api/v1/users/{user_id}"): ADMINS,
    ("DELETE", "/api/v1/users/{user_id}"): ADMINS,
    ("GET", "/api/v1/tokens"): VIEWERS,
    ("POST", "/api/v1/tokens"): {"viewer", "operator", "admin"},
    ("DELETE", "/api/v1/tokens/{token_id}"): VIEWERS,
    ("GET", "/api/v1/enrolments"): ADMINS,
    ("POST", "/api/v1/enrolments"): ADMINS,
    ("DELETE", "/api/v1/enrolments/{enrolment_id}"): ADMINS,
    ("POST", "/api/v1/enrolments/claim"): EVERYBODY,
    ("POST", "/api/v1/host-keys/rotate"): EVERYBODY,
    ("POST", "/api/v1/host-keys/confirm"): EVERYBODY,
    ("POST", "/api/v1/host-keys/verify"): EVERYBODY,
    ("GET", "/api/v1/audit-log"): ADMINS,
    ("GET", "/api/v1/dead-letters"): ADMINS,
    ("GET", "/api/v1/dead-letters/{service}/{topic}/{partition}/{offset}"): ADMINS,
    ("GET", "/health/live"): EVERYBODY,
    ("GET", "/health/ready"): EVERYBODY,
    ("GET", "/metrics"): EVERYBODY,
}
REFUSED = {
    "nobody": "unauthenticated",
    "expired": "unauthenticated",
    "idle": "unauthenticated",
    "disabled": "unauthenticated",
    "one_time": "password-change-required",
    "viewer": "forbidden",
    "operator": "forbidden",
    "token": "forbidden",
}
PATH = {
    "host_id": "host-1",
    "alert_id": "0193a000-0000-7000-8000-000000000000",
    "event_id": "0193a000-0000-7000-8000-000000000000",
    "channel_id": "0193a000-0000-7000-8000-000000000000",
    "silence_id": "0193a000-0000-7000-8000-000000000000",
    "delivery_id": "0193a000-0000-7000-8000-000000000000",
    "change_id": "0193a000-0000-7000-8000-000000000000",
    "baseline_id": "0193a000-0000-7000-8000-000000000000",
    "rule_id": "0193a000-0000-7000-8000-000000000000",
    "snapshot_id": "0193a000-0000-7000-8000-000000000000",
    "user_id": "0193a000-0000-7000-8000-000000000000",
    "token_id": "0193a000-0000-7000-8000-000000000000",
    "enrolment_id": "0193a000-0000-7000-8000-000000000000",
    "service": "ingest",
    "topic": "topic",
    "partition": "0",
    "offset": "0",
}


def operations() -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, item in openapi_document()["paths"].items() for method in item}


def test_every_operation_is_in_the_table() -> None:
    assert operations() == set(ACCESS)


async def test_the_document_describes_every_route_of_the_api(world: Any) -> None:
    litestar = world.asgi._app
    served = {
        (method, route.path_format)
        for route in litestar.routes
        for handler in route.route_handlers
        for method in handler.http_methods - {"OPTIONS"}
        if route.path.startswith("/api")
    }

    assert served == {operation for operation in operations() if operation[1].startswith("/api")}


async def caller(world: Any, kind: str) -> str | None:
    if kind == "nobody":
        return None
    if kind in {"viewer", "operator", "admin"}:
        return str(await world.signed_in(kind))
    if kind == "token":
        return str(await world.api_token(await world.add_user("admin"), "viewer"))
    now, hour = world.clock.now, timedelta(hours=1)
    user = {"disabled": {"disabled": True}, "one_time": {"one_time_until": now + hour}}.get(kind, {})
    session = {"expired": {"expires_at": now}, "idle": {"used_at": now - hour}}.get(kind, {})
    return str(await world.session(await world.add_user("admin", **user), **session))


async def asked(world: Any, method: str, path: str, kind: str) -> Any:
    """The answer; of so many calls one may find the database busy, and that answer says nothing of who may do what."""
    for _ in range(3):
        answer = await world.call(method, path, await caller(world, kind))
        if answer.status_code != 503:
            break
    return answer


async def test_every_caller_gets_what_the_table_says(world: Any) -> None:
    wrong = []
    for (method, path), kind in product(sorted(ACCESS), sorted(EVERYBODY)):
        answer = await asked(world, method, path.format(**PATH), kind)
        problem = answer.json() if "problem" in answer.headers.get("content-type", "") else {}
        seen = problem.get("type", "").rpartition(":")[2]
        allowed = kind in ACCESS[method, path]
        refusal = seen if seen in set(REFUSED.values()) else None
        if refusal != (None if allowed else REFUSED[kind]):
            wrong.append(f"{method} {path} as {kind}: {answer.status_code} {seen}")
        assert answer.status_code != 500, answer.text

    assert wrong == []


async def test_purging_takes_an_administrator(world: Any) -> None:
    answer = await world.call("DELETE", "/api/v1/hosts/host-1?purge=true", await world.signed_in("operator"))

    assert answer.status_code == 403
    assert [row["target"] for row in await world.audit("denied")] == ["DELETE /api/v1/hosts/{host_id}"]


async def test_a_token_in_the_url_is_not_looked_at(world: Any) -> None:
    token = await world.signed_in("admin")

    for name in ("token", "access_token", "authorization"):
        answer = await world.get(f"/api/v1/hosts?{name}={token}")
        assert answer.status_code == 401


MALFORMED: list[str] = [
    "",
    "Bearer",
    "Bearer ",
    "Basic {token}",
    "Bearer  {token}",
    "{token}",
    "Bearer {token}x",
    "Bearer iws_",
    "Bearer ü",
]


async def test_malformed_authorization_is_refused(world: Any) -> None:
    for header in MALFORMED:
        value = header.format(token=await world.signed_in("admin")).encode("latin-1")

        answer = await world.get("/api/v1/hosts", headers={"Authorization": value})

        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_two_authorization_headers_are_refused(world: Any) -> None:
    token = await world.signed_in("admin")
    client = (await world.get("/health/live"), world.clients)[1].popitem()[1]

    answer = await client.get("/api/v1/hosts", headers=[("Authorization", f"Bearer {token}")] * 2)

    assert answer.status_code == 401
    await client.aclose()


OTHER_METHODS: list[str] = ["OPTIONS", "HEAD"]


async def test_no_method_passes_without_token(world: Any) -> None:
    for method in OTHER_METHODS:
        answer = await world.call(method, "/api/v1/hosts")

        assert answer.status_code in {401, 405}


async def test_a_token_has_no_more_power_than_its_owner_has_now(world: Any) -> None:
    email = await world.add_user("admin")
    token = await world.api_token(email, "admin")
    assert (await world.get("/api/v1/users", token)).status_code == 200

    await world.admin.execute("UPDATE users SET role = 'viewer' WHERE email = $1", email)
    assert (await world.get("/api/v1/users", token)).status_code == 403

    await world.admin.execute("UPDATE users SET disabled = TRUE WHERE email = $1", email)
    assert (await world.get("/api/v1/hosts", token)).status_code == 401


async def test_use_is_written_down_at_most_once_a_minute(world: Any) -> None:
    token = await world.session(await world.add_user("viewer"))

    async def used_at() -> Any:
        return await world.admin.fetchval("SELECT used_at FROM sessions")

    first = await used_at()
    world.clock.advance(59)
    await world.get("/api/v1/auth/me", token)
    assert await used_at() == first

    world.clock.advance(1)
    await world.get("/api/v1/auth/me", token)
    assert await used_at() == world.clock.now


async def test_a_session_in_use_lives_on_until_its_absolute_end(world: Any) -> None:
    token = await world.session(await world.add_user("viewer"))

    for _ in range(47):
        world.clock.advance(1800)
        assert (await world.get("/api/v1/auth/me", token)).status_code == 200

    world.clock.advance(1800)
    assert (await world.get("/api/v1/auth/me", token)).status_code == 401
