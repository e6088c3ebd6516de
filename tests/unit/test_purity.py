"""The decisions (``domain/`` of every service, and the event contract) touch nothing outside themselves."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What of the shared library is pure as well.
SHARED = ("alerts/*.py", "drift/*.py", "notices/addresses.py", "notices/matching.py", "schedule.py")
DOMAINS = sorted(
    [
        *ROOT.glob("services/*/infrawatch_*/domain/*.py"),
        *(path for shared in SHARED for path in ROOT.glob(f"libs/common/infrawatch_common/{shared}")),
    ]
)
# What would make a decision depend on more than its arguments.
FORBIDDEN_STANDARD = {
    "asyncio",
    "logging",
    "time",
    "os",
    "socket",
    "subprocess",
    "random",
    "secrets",
    "sqlite3",
    "threading",
}
CLOCKS = {"now", "utcnow", "today", "monotonic", "time"}


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def allowed(name: str, package: str) -> bool:
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return top not in FORBIDDEN_STANDARD
    shared = ("events", "alerts", "drift", "notices.matching")
    pure = [f"infrawatch_common.{module}" for module in shared]
    if package == "infrawatch_common":
        pure += ["msgspec", "packaging.version"]
    return name.startswith((*pure, f"{package}.domain"))


def complaints(source: str, package: str) -> list[str]:
    tree = ast.parse(source)
    found = [f"imports {name}" for name in imported(tree) if not allowed(name, package)]
    for node in ast.walk(tree):
        if isinstance(node, (ast.AsyncFunctionDef, ast.Await)):
            found.append(f"line {node.lineno} is asynchronous")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS:
            found.append(f"line {node.lineno} reads a clock")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "open"):
            found.append(f"line {node.lineno} calls {node.func.id}")
    return found


@pytest.mark.parametrize("path", DOMAINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_decisions_are_functions_of_their_arguments(path: Path) -> None:
    assert complaints(path.read_text(encoding="utf-8"), path.parents[1].name) == []


@pytest.mark.parametrize(
    "source",
    [
        "import asyncpg",
        "import logging",
        "from infrawatch_common.database import Pool",
        "from infrawatch_ingest.store import Store",
        "async def decide(): ...",
        "from datetime import datetime\nx = datetime.now()",
        "open('/etc/passwd')",
    ],
)
def test_the_rule_notices_what_it_forbids(source: str) -> None:
    assert complaints(source, "infrawatch_ingest")


def test_every_service_has_decisions() -> None:
    assert {path.parents[2].name for path in DOMAINS} >= {"agent", "api", "ingest"}
