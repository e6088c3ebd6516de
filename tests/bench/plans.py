"""What PostgreSQL did to answer a query."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Plan:
    """``buffers`` are the pages of 8 KiB that were looked at, ``chunks`` the chunks from which rows were taken."""

    rows: int
    buffers: int
    chunks: int
    milliseconds: float
    nodes: tuple[str, ...]


async def explain(connection: Any, statement: str, *arguments: object) -> Plan:
    """Run a query and say what it took; its rows are not returned."""
    text = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *arguments)
    return summary(json.loads(text)[0])


def summary(explained: dict[str, Any]) -> Plan:
    """The part of ``EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)`` that people compare."""
    top = explained["Plan"]
    nodes = list(_walk(top))
    relations = {node["Relation Name"] for node in nodes if "_chunk" in node.get("Relation Name", "")}
    return Plan(
        rows=round(top["Actual Rows"] * top["Actual Loops"]),
        buffers=top["Shared Hit Blocks"] + top["Shared Read Blocks"],
        chunks=len(relations),
        milliseconds=explained["Execution Time"],
        nodes=tuple(dict.fromkeys(node["Node Type"] for node in nodes)),
    )


def _walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _walk(child)
