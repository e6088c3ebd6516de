"""What every answer has, and what an answer says when something is wrong."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from infrawatch_api.store import hosts


def check_problem(answer: Any, status: int, kind: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert answer.status_code == body["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["type"] == f"urn:infrawatch:problem:{kind}"
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["instance"] == answer.request.url.path
    return body


UNKNOWN_PATHS: list[str] = ["/", "/api", "/api/v1/none", "/api/v1/hosts/a/b/c", "/docs/x", "/assets/none.js", "/%00"]


async def test_unknown_paths(world: Any) -> None:
    for path in UNKNOWN_PATHS:
        answer = await world.get(path)

        check_problem(answer, 404, "not-found")


async def test_a_method_that_is_not_allowed(world: Any) -> None:
    answer = await world.call("PUT", "/api/v1/hosts", await world.signed_in("admin"))

    check_problem(answer, 405, "method-not-allowed")
    assert "GET" in answer.headers["allow"]


UNREADABLE: list[bytes] = [
    b"{",
    b"\xff\xfe",
    b'{"email": "\\ud800", "password": "x"}',
    b"[" * 100_000,
    b'{"email": NaN}',
    b"nonsense",
]


async def test_a_body_that_cannot_be_read(world: Any) -> None:
    for body in UNREADABLE:
        check_problem(await world.post("/api/v1/auth/login", content=body), 400, "malformed")


NO_OBJECTS: list[bytes] = [b"", b"null", b"[]", b"5"]


async def test_a_body_that_is_no_object(world: Any) -> None:
    for body in NO_OBJECTS:
        check_problem(await world.post("/api/v1/auth/login", content=body), 400, "validation")


async def test_all_bad_fields_are_named_and_none_of_their_values(world: Any) -> None:
    body = {"email": "geheim-1", "password": 5, "role": "geheim-2"}

    answer = await world.post("/api/v1/auth/login", json=body)

    problem = check_problem(answer, 400, "validation")
    assert {error["field"] for error in problem["errors"]} == {"email", "password", "role"}
    assert "geheim" not in answer.text


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_that_is_too_large(make_world: Callable[..., Any], chunked: bool) -> None:
    world = await make_world(request_body_max=2048)
    body = json.dumps({"email": "a@example.org", "password": "x" * 3000}).encode()

    async def chunks() -> Any:
        for start in range(0, len(body), 500):
            yield body[start : start + 500]

    answer = await world.post("/api/v1/auth/login", content=chunks() if chunked else body)

    check_problem(answer, 413, "too-large")


async def test_an_error_that_nobody_foresaw_tells_nothing(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("SELECT secret FROM table")

    monkeypatch.setattr(hosts, "page", fail)

    answer = await world.get("/api/v1/hosts", await world.signed_in("viewer"), headers={"X-Request-ID": "request-0001"})

    check_problem(answer, 500, "internal")
    assert "SELECT" not in answer.text
    assert "Traceback" not in answer.text


async def test_a_broken_statement_is_an_error_and_not_an_absent_database(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "_PAGE", "SELECT nothing FROM nowhere")

    answer = await world.get("/api/v1/hosts", await world.signed_in("viewer"))

    check_problem(answer, 500, "internal")
    assert "nowhere" not in answer.text


async def test_a_statement_that_takes_too_long_is_given_up(
    make_world: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world(database_timeout=0.2)
    monkeypatch.setattr(hosts, "_GET", "SELECT pg_sleep(5), $1::text")

    answer = await world.get("/api/v1/hosts/a", await world.signed_in("viewer"))

    check_problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0


REQUEST_IDS: list[tuple[str, bool]] = [
    ("request-0001", True),
    ("short", False),
    ("x" * 65, False),
    ("line\\nend-0001", False),
    ("ümlaut-0001", False),
]


async def test_a_sane_request_id_is_taken_over(world: Any) -> None:
    for offered, taken in REQUEST_IDS:
        answer = await world.get("/health/live", headers={"X-Request-ID": offered.encode("latin-1")})

        assert (answer.headers["x-request-id"] == offered) is taken
        assert len(answer.headers["x-request-id"]) >= 8


SOME_PATHS: list[str] = ["/health/live", "/api/v1/hosts", "/none", "/metrics", "/docs", "/openapi.json"]


async def test_every_answer_has_the_security_headers(world: Any) -> None:
    for path in SOME_PATHS:
        headers = (await world.get(path)).headers

        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "server" not in headers


async def test_only_allowed_hosts_are_served(make_world: Callable[..., Any]) -> None:
    world = await make_world(allowed_hosts="api.test, other.test")

    assert (await world.get("/health/live")).status_code == 200
    assert (await world.get("/health/live", headers={"Host": "Other.test:8080"})).status_code == 200
    check_problem(await world.get("/health/live", headers={"Host": "evil.test"}), 400, "misdirected")


async def test_the_metrics_count_every_answer_truthfully(world: Any) -> None:
    viewer = await world.signed_in("viewer")
    await world.get("/api/v1/hosts")
    await world.get("/api/v1/hosts/none", viewer)
    await world.get("/api/v1/users", viewer)
    await world.get("/nothing/here")
    await world.call("PUT", "/api/v1/hosts", viewer)
    await world.call("INVENTED", "/health/live")
    await world.login("nobody@example.org")

    text = (await world.get("/metrics")).text

    for method, path, status in (
        ("GET", "/api/v1/hosts", 401),
        ("GET", "/api/v1/hosts/{host_id}", 404),
        ("GET", "/api/v1/users", 403),
        ("GET", "(none)", 404),
        ("PUT", "(none)", 405),
        ("other", "(none)", 405),
        ("POST", "/api/v1/auth/login", 401),
    ):
        series = f'infrawatch_api_requests_total{{method="{method}",path_template="{path}",status="{status}"}} 1.0'
        assert series in text, series
    assert "infrawatch_api_requests_in_flight 1.0" in text
    assert 'infrawatch_api_refused_tokens_total{reason="missing"} 1.0' in text
