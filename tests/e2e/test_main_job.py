"""The main job, through the shipped entry points: agent → Kafka → ingest → TimescaleDB → API."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from operating import ADMIN, api_environment, command, get
from stack import Database, Service, Topics, eventually, ingest_environment


async def test_a_new_host_enrols_itself_and_its_telemetry_is_read_through_the_api(
    database: Database, topics: Topics, service: Callable[..., Service], tmp_path: Path
) -> None:
    api = service("api", api_environment(database), "serve").start()
    service("ingest", ingest_environment(database, topics)).start()
    command(database, "create-admin", "--email", ADMIN)
    token = command(database, "create-token", "--email", ADMIN, "--role", "viewer", "--expires-in", "600")["token"]
    enrolment = tmp_path / "token"
    command(database, "create-enrolment", "--expires-in", "600", "--output", str(enrolment))
    assert enrolment.stat().st_mode & 0o777 == 0o600

    environment = {
        **topics.environment(),
        "INFRAWATCH_STATE_DIRECTORY": str(tmp_path / "agent"),
        "INFRAWATCH_API_URL": f"http://127.0.0.1:{api.port}",
        "INFRAWATCH_ENROLMENT_TOKEN_FILE": str(enrolment),
        "INFRAWATCH_HOST_TAGS": "env=test",
        "INFRAWATCH_INTERVAL": "1",
    }
    service("agent", environment, "run").start()
    identity = json.loads((tmp_path / "agent" / "identity.json").read_text())
    assert (tmp_path / "agent" / "identity.json").stat().st_mode & 0o777 == 0o600

    async def readable() -> bool:
        items = get(api.port, "/metrics/latest", token)["items"]
        return bool(items and items[0]["timestamp"])

    await eventually(readable)
    samples = get(api.port, f"/hosts/{identity['host_id']}/metrics?limit=1", token)["items"]
    async with database.admin() as connection:
        row = await connection.fetchrow("SELECT * FROM metrics ORDER BY timestamp LIMIT 1")
        letters = await connection.fetchval("SELECT count(*) FROM dead_letters")
    assert [samples[0][field] for field in ("cpu", "memory", "disk", "uptime")] == [
        row[field] for field in ("cpu", "memory", "disk", "uptime")
    ]
    assert letters == 0
    host = get(api.port, f"/hosts/{identity['host_id']}", token)
    assert host["tags"] == {"env": "test"}
    assert host["name"] == os.uname().nodename
