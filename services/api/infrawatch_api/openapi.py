"""The OpenAPI document: made from the routes alone, without settings and without database."""

import re
from functools import cache
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Tag

from infrawatch_api.authentication import PUBLIC
from infrawatch_api.csv_export import CSV
from infrawatch_api.csv_export import MEDIA_TYPE as CSV_MEDIA_TYPE
from infrawatch_api.dependencies import dependencies
from infrawatch_api.problems import MEDIA_TYPE, PROBLEMS, Problem
from infrawatch_api.routing import documented

_DESCRIPTION = """\
Hosts, their samples, alerts, channels, silences, users and tokens of Infra-Watch.

Times are RFC 3339 in UTC. Lists are pages: `{"items": [...], "next_cursor": ...}`; pass `next_cursor` as `cursor` for
the next page, with the same filters. Errors are problem documents (RFC 9457). Authenticate with
`Authorization: Bearer TOKEN`, where the token comes from `/api/v1/auth/login` or `/api/v1/tokens`.
"""
_TAGS = {
    "auth": "Logging in and out.",
    "hosts": "The hosts that report.",
    "metrics": "Their samples.",
    "alerts": "The rules that say when a host is in trouble.",
    "alert events": "When rules fired, for which hosts, and until when.",
    "channels": "Whom events are told to.",
    "silences": "What is not to be told for a while.",
    "deliveries": "What was told, how often it was tried, and how that went.",
    "drift triage": "Verdicts on changes, what hosts may have, and which changes nobody is to be bothered with.",
    "fleet": "How hosts' configurations differ, and how changes spread.",
    "snapshots": "The configurations that hosts had.",
    "drift": "How configurations changed, and what that may have to do with alerts.",
    "users": "Who may log in; for administrators.",
    "tokens": "One's own API tokens.",
    "enrolments": "How hosts get the keys that they sign with.",
    "host keys": "How agents replace those keys.",
    "records": "The audit log and the dead letters; for administrators.",
    "system": "Health and metrics, without login.",
}
_BEARER = "bearer"
# What Litestar makes of Page[Host].
_PAGE = re.compile(r"Page_[\w.]*\.(\w+)_")
_MEANINGS = {
    400: "The request is not valid; errors name the fields.",
    401: "There is no valid token, or the login failed.",
    403: "The role does not suffice, the one-time password is still to be changed, or the token gives no access.",
    404: "There is no such thing.",
    409: "The request conflicts with what is there.",
    413: "The body is too large.",
    429: "There were too many failed attempts; Retry-After says how many seconds to wait.",
    500: "The server failed; its log has the error under the request id.",
    503: "The database is away or busy; Retry-After says how many seconds to wait.",
}


@cache
def openapi_document() -> dict[str, Any]:
    """The document, the same on every call and every machine."""
    app = Litestar(documented(), dependencies=dependencies(None), openapi_config=_config(), logging_config=None)
    document: dict[str, Any] = app.openapi_schema.to_schema()
    for path, method, handler in _operations(app):
        operation = document["paths"][path][method]
        operation["security"] = [] if handler.opt.get(PUBLIC) else [{_BEARER: []}]
        # Litestar would describe its own form of errors.
        operation["responses"].pop("400", None)
        if handler.opt.get(CSV):
            _add_csv(operation["responses"]["200"])
        operation["responses"] |= {str(status): _problem(status) for status in _statuses(operation, handler)}
    document["components"]["schemas"] |= _problem_schemas()
    tidied: dict[str, Any] = _tidy(document)
    return tidied


def _tidy(node: Any) -> Any:
    """Pages get short names; and an empty page fits several kinds of pages, so it is ``anyOf`` and not ``oneOf``."""
    if isinstance(node, dict):
        return {_short(key if key != "oneOf" else "anyOf"): _tidy(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_tidy(item) for item in node]
    return _short(node) if isinstance(node, str) else node


def _short(name: str) -> str:
    return _PAGE.sub(r"\1Page", name)


def _statuses(operation: dict[str, Any], handler: HTTPRouteHandler) -> list[int]:
    """The statuses of the problems that an operation can answer with."""
    parameters = operation.get("parameters", [])
    statuses = {500, *handler.opt.get(PROBLEMS, ())}
    if not handler.opt.get(PUBLIC):
        statuses |= {401, 403, 503}
    if parameters or "requestBody" in operation:
        statuses |= {400, 503}
    if "requestBody" in operation:
        statuses.add(413)
    if any(parameter["in"] == "path" for parameter in parameters):
        statuses.add(404)
    return sorted(statuses)


def _add_csv(answer: dict[str, Any]) -> None:
    answer["content"][CSV_MEDIA_TYPE] = {"schema": {"type": "string"}}
    answer.setdefault("headers", {})["X-Truncated"] = {
        "description": "Of a CSV file: whether there were more rows than it may have.",
        "schema": {"type": "string", "enum": ["true", "false"]},
    }


def _problem(status: int) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{Problem.__name__}"}
    return {"description": _MEANINGS[status], "content": {MEDIA_TYPE: {"schema": schema}}}


def _problem_schemas() -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
    return schemas


def _operations(app: Litestar) -> Any:
    for route in app.routes:
        for handler in getattr(route, "route_handlers", []):
            if handler.resolve_include_in_schema():
                for method in handler.http_methods:
                    yield route.path_format, method.lower(), handler


def _config() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Infra-Watch API",
        version="1",
        description=_DESCRIPTION,
        tags=[Tag(name, description) for name, description in _TAGS.items()],
        components=Components(
            security_schemes={
                _BEARER: SecurityScheme(
                    type="http", scheme="bearer", description="A session (iws_...) or an API token (iwt_...)."
                )
            }
        ),
        render_plugins=[JsonRenderPlugin()],
        use_handler_docstrings=True,
    )
