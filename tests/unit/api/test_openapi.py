"""The OpenAPI document: complete, and the same everywhere."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from infrawatch_api.app import openapi_document

_PRINT = "import json; from infrawatch_api.app import openapi_document; print(json.dumps(openapi_document()))"


def operations() -> list[tuple[str, dict[str, Any]]]:
    paths = openapi_document()["paths"]
    return [(f"{method} {path}", operation) for path, item in paths.items() for method, operation in item.items()]


def test_every_operation_is_described() -> None:
    for name, operation in operations():
        assert operation["operationId"], name
        assert operation["summary"], name
        assert operation["tags"], name
        assert all(parameter["description"] for parameter in operation.get("parameters", ())), name


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, operation in operations()]

    assert len(ids) == len(set(ids))


def test_every_error_is_a_problem() -> None:
    for name, operation in operations():
        errors = {status: answer for status, answer in operation["responses"].items() if status >= "400"}
        assert errors, name
        for answer in errors.values():
            schema = answer["content"]["application/problem+json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Problem"}, name


def test_only_what_needs_no_login_is_open() -> None:
    public = {operation["operationId"] for _, operation in operations() if not operation["security"]}

    by_agents = {"claimEnrolment", "rotateHostKey", "confirmHostKey", "verifyHostKey"}
    assert public == {"login", "getLiveness", "getReadiness", "getMetrics"} | by_agents


def test_every_reference_leads_somewhere() -> None:
    document = openapi_document()
    text = json.dumps(document)
    names = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}

    assert names <= set(document["components"]["schemas"])
    assert not any("." in name or "_" in name for name in document["components"]["schemas"])


@pytest.mark.parametrize("seed", ["0", "1"])
def test_the_document_does_not_depend_on_process_or_environment(seed: str) -> None:
    environment = {
        **os.environ,
        "PYTHONHASHSEED": seed,
        "INFRAWATCH_PAGE_SIZE": "nonsense",
        "INFRAWATCH_HTTP_PORT": "1",
    }

    output = subprocess.run(
        [sys.executable, "-c", _PRINT], env=environment, capture_output=True, check=True, text=True
    ).stdout

    assert output == json.dumps(openapi_document()) + "\n"
