"""A wrong setting ends every program at its start: one sentence that names it, exit code 2."""

import subprocess
import sys

import pytest

from stack import CLEAN

PROGRAMS = [
    ("infrawatch_ingest", []),
    ("infrawatch_alerting", []),
    ("infrawatch_drift", []),
    ("infrawatch_api", ["serve"]),
    ("infrawatch_api", ["create-admin", "--email", "a@example.org"]),
    ("infrawatch_migrations", []),
    ("infrawatch_common.topics", []),
    ("infrawatch_agent", ["run"]),
    ("infrawatch_agent", ["enrol"]),
]


@pytest.mark.parametrize(("module", "arguments"), PROGRAMS)
@pytest.mark.parametrize(
    ("name", "value"), [("INFRAWATCH_HTTP_PORT", "eighty"), ("INFRAWATCH_LOG_LEVEL_FILE", "/nowhere/level")]
)
def test_a_wrong_setting_is_named_in_one_sentence(module: str, arguments: list[str], name: str, value: str) -> None:
    environment = {
        **CLEAN,
        "INFRAWATCH_DATABASE_URL": "postgresql://someone@127.0.0.1:1/infrawatch",
        "INFRAWATCH_DATABASE_PASSWORD": "x" * 16,
        **{f"INFRAWATCH_{r}_DATABASE_PASSWORD": "x" * 16 for r in ("INGEST", "ALERTING", "DRIFT", "API")},
        "INFRAWATCH_HOST_KEY_SECRET": "x" * 32,
        name: value,
    }
    result = subprocess.run(
        [sys.executable, "-m", module, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1, result.stderr
    assert name in result.stderr
    assert result.stdout == ""
