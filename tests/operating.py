"""What an operator does: commands of the API's program, and requests to the API."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from typing import Any

from records import MASTER_SECRET
from stack import CLEAN, Database

ADMIN = "admin@example.org"


def api_environment(database: Database) -> dict[str, str]:
    return {**database.environment("api"), "INFRAWATCH_HOST_KEY_SECRET": MASTER_SECRET}


def command(database: Database, *arguments: str) -> dict[str, Any]:
    result = subprocess.run(
        [sys.executable, "-m", "infrawatch_api", *arguments],
        env={**CLEAN, **api_environment(database)},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(result.stdout))


def get(port: int, path: str, token: str) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1{path}", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return dict(json.load(response))


def post(port: int, path: str, token: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A POST that must succeed; empty when there is no answer to it."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1{path}",
        data=json.dumps(body or {}).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return dict(json.loads(response.read() or b"{}"))


def delete(port: int, path: str, token: str) -> None:
    """A DELETE that must succeed."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1{path}", method="DELETE", headers={"Authorization": f"Bearer {token}"}
    )
    urllib.request.urlopen(request, timeout=10).close()
