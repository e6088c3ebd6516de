"""The proof that the stack works: this machine's own sample and snapshot, read through the API."""

from datetime import datetime
from typing import Any

from infrawatch_local import probes


def latest_sample(answer: Any, host_id: str) -> datetime | None:
    """The time of a host's latest sample in an answer of ``/api/v1/metrics/latest``."""
    for item in answer["items"] if isinstance(answer, dict) and "items" in answer else []:
        if item.get("host_id") == host_id:
            return datetime.fromisoformat(item["timestamp"]) if item["timestamp"] else None
    return None


def has_snapshot(port: int, token: str, host_id: str) -> bool:
    """Whether a snapshot of this host can be read, however old: an agent that runs sends the next one in minutes."""
    try:
        status, answer = probes.get_json(port, f"/api/v1/hosts/{host_id}/snapshots?limit=1", token)
    except OSError:
        return False
    return status == 200 and lists_something(answer)


def lists_something(answer: Any) -> bool:
    """Whether an answer is a page with something on it."""
    return isinstance(answer, dict) and bool(answer.get("items"))


def has_sample(port: int, token: str, host_id: str, newer_than: datetime | None) -> bool:
    """Whether a sample of this host can be read, newer than a time if one is given."""
    cursor = ""
    while True:
        try:
            status, answer = probes.get_json(port, f"/api/v1/metrics/latest{cursor}", token)
        except OSError:
            return False
        sample = latest_sample(answer, host_id) if status == 200 else None
        if sample is not None:
            return newer_than is None or sample > newer_than
        following = answer.get("next_cursor") if status == 200 and isinstance(answer, dict) else None
        if not following:
            return False
        cursor = f"?cursor={following}"
