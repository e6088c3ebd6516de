"""Agents under test: what they must be told, and what they have sent."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiokafka import AIOKafkaConsumer

from records import host_key
from stack import Topics

HOST = "host-under-test"


def agent_environment(topics: Topics, directory: Path, **settings: object) -> dict[str, str]:
    """An enrolled agent that samples every second."""
    key = host_key(HOST)
    state = directory / "agent"
    state.mkdir(exist_ok=True)
    identity = {"host_id": HOST, "key_id": key.id, "secret": base64.b64encode(key.secret).decode()}
    (state / "identity.json").write_text(json.dumps(identity))
    return {
        **topics.environment(),
        "INFRAWATCH_STATE_DIRECTORY": str(state),
        "INFRAWATCH_INTERVAL": "1",
        "INFRAWATCH_CONTAINER_LIMITS": "off",  # the tests compare with what psutil says of the machine
        **{f"INFRAWATCH_{name.upper()}": str(value) for name, value in settings.items()},
    }


@asynccontextmanager
async def reading(topic: str, topics: Topics) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that sees a topic from its beginning."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=topics.bootstrap_servers, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()
