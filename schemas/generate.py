"""Writes every generated contract, or with ``--check`` says which of them the code no longer matches.

The models and the wiring are the source; the files are what other teams and languages read.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI
from pydantic import BaseModel

from infrawatch_alerting.app import create_app as create_alerting
from infrawatch_alerting.settings import Settings as AlertingSettings
from infrawatch_api.app import openapi_document
from infrawatch_common.events import MetricRecord, SnapshotRecord
from infrawatch_common.events.published import AlertEvent, DriftEvent
from infrawatch_common.service import Service
from infrawatch_common.settings import ConsumerSettings
from infrawatch_drift.app import create_app as create_drift
from infrawatch_drift.settings import Settings as DriftSettings
from infrawatch_ingest.app import create_app as create_ingest
from infrawatch_ingest.settings import Settings as IngestSettings
from settings_page import settings_page

HERE = Path(__file__).parent
METRICS_TOPIC = "infrawatch.metrics.v1"
SNAPSHOTS_TOPIC = "infrawatch.snapshots.v1"
ALERT_EVENTS_TOPIC = "infrawatch.alert-events.v1"
DRIFT_EVENTS_TOPIC = "infrawatch.drift-events.v1"


def main() -> int:
    """Write or check; exit code 1 when a file differs."""
    check = "--check" in sys.argv[1:]
    stale = [path for path, content in contracts().items() if _differs(HERE / path, content, write=not check)]
    for path in stale:
        sys.stdout.write(f"{'differs from the code' if check else 'written'}: schemas/{path}\n")
    if check and stale:
        sys.stdout.write("run 'make contracts' and commit the result\n")
    return 1 if check and stale else 0


def contracts() -> dict[str, str]:
    """Path below ``schemas/`` → content."""
    documents: dict[str, Callable[[], Any]] = {
        "events/metrics.v1.schema.json": lambda: _event_schema(MetricRecord, METRICS_TOPIC),
        "events/snapshots.v1.schema.json": lambda: _event_schema(SnapshotRecord, SNAPSHOTS_TOPIC),
        "events/alert-events.v1.schema.json": lambda: _event_schema(AlertEvent, ALERT_EVENTS_TOPIC),
        "events/drift-events.v1.schema.json": lambda: _event_schema(DriftEvent, DRIFT_EVENTS_TOPIC),
        "asyncapi/agent.json": _agent_asyncapi,
        "asyncapi/ingest.json": lambda: asyncio.run(_asyncapi(IngestSettings, create_ingest)),
        "asyncapi/alerting.json": lambda: asyncio.run(_asyncapi(AlertingSettings, create_alerting)),
        "asyncapi/drift.json": lambda: asyncio.run(_asyncapi(DriftSettings, create_drift)),
        "openapi/api.json": openapi_document,
    }
    # FastStream names channels in another order at every run, so AsyncAPI is sorted.
    generated = {
        path: json.dumps(make(), indent=2, ensure_ascii=False, sort_keys=path.startswith("asyncapi/")) + "\n"
        for path, make in documents.items()
    }
    return {**generated, "../docs/settings.md": settings_page()}


def _differs(path: Path, content: str, *, write: bool) -> bool:
    if path.exists() and path.read_text(encoding="utf-8") == content:
        return False
    if write:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return True


def _event_schema(model: type[BaseModel], topic: str) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:infrawatch:{topic}",
        **model.model_json_schema(),
    }


def _agent_asyncapi() -> Any:
    broker = KafkaBroker("localhost:29092")
    broker.publisher(METRICS_TOPIC, schema=MetricRecord, title=METRICS_TOPIC, description="Samples, one a message.")
    broker.publisher(
        SNAPSHOTS_TOPIC, schema=SnapshotRecord, title=SNAPSHOTS_TOPIC, description="Configuration snapshots."
    )
    return AsyncAPI(broker, title="Infra-Watch agent", version="1").to_specification().to_jsonable()


SettingsT = TypeVar("SettingsT", bound=ConsumerSettings)


async def _asyncapi(settings_class: type[SettingsT], create: Callable[[SettingsT], Service]) -> Any:
    settings = settings_class.model_validate(
        {
            "database_url": "postgresql://role@localhost/infrawatch",
            "database_password": "not used",
            "host_key_secret": "not used, but long enough to be one",
        }
    )
    return create(settings).app.schema.to_specification().to_jsonable()


if __name__ == "__main__":
    sys.exit(main())
