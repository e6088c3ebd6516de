"""A key is replaced while the agent sends: nothing is refused, and what the old key signs later is."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents import HOST, agent_environment
from records import MASTER_SECRET
from stack import CLEAN, Database, Service, Topics, eventually, ingest_environment

MakeService = Callable[..., Service]


def identity(tmp_path: Path) -> dict[str, Any]:
    return dict(json.loads((tmp_path / "agent" / "identity.json").read_text()))


def command(environment: dict[str, str], verb: str) -> str:
    arguments = [sys.executable, "-m", "infrawatch_agent", verb]
    return subprocess.run(arguments, env={**CLEAN, **environment}, capture_output=True, text=True, check=True).stdout


async def test_a_replaced_key_is_used_at_once_and_no_record_is_lost_or_refused(
    database: Database,
    topics: Topics,
    service: MakeService,
    known_hosts: Callable[[list[str]], None],
    tmp_path: Path,
) -> None:
    known_hosts([HOST])
    keys = {**database.environment("api"), "INFRAWATCH_HOST_KEY_SECRET": MASTER_SECRET}
    api = service("api", keys | {"INFRAWATCH_HOST_KEY_OVERLAP": "3600"}, "serve").start()
    service("ingest", ingest_environment(database, topics)).start()
    environment = agent_environment(topics, tmp_path, api_url=f"http://127.0.0.1:{api.port}")
    agent = service("agent", environment, "run").start()
    old = identity(tmp_path)["key_id"]

    async def stored() -> int:
        async with database.admin() as connection:
            return int(await connection.fetchval("SELECT count(*) FROM metrics"))

    async def three_more() -> bool:
        return await stored() >= before + 3

    before = 0
    await eventually(three_more)
    rotated = command(environment, "rotate-key")
    new = identity(tmp_path)["key_id"]
    assert json.loads(rotated.splitlines()[-1]) == {"host_id": HOST, "key_id": new}
    assert new != old
    assert identity(tmp_path)["confirmed"] is True
    # Retiring the old key now leaves the new one alone to be believed.
    async with database.admin() as connection:
        await connection.execute("UPDATE host_keys SET revoked_at = now() WHERE id = $1", old)
    before = await stored()
    await eventually(three_more)
    assert agent.metric("infrawatch_agent_key_rotation_failures_total") == 0
    async with database.admin() as connection:
        sequences = [row["n"] for row in await connection.fetch("SELECT count(*) AS n FROM metrics GROUP BY id")]
        assert set(sequences) == {1}
        assert await connection.fetchval("SELECT count(*) FROM dead_letters") == 0
        actions = await connection.fetch("SELECT action FROM audit_log WHERE action LIKE 'host_key.%' ORDER BY id")
    assert [row["action"] for row in actions] == ["host_key.rotated", "host_key.confirmed"]
