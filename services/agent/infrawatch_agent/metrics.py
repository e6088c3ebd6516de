"""Every metric of the agent, in Prometheus' text format; a client library would cost a tenth of its memory."""

from dataclasses import dataclass, field, fields
from typing import Any


def _metric(kind: str, meaning: str) -> Any:
    return field(default=0.0, metadata={"kind": kind, "meaning": meaning})


@dataclass(slots=True)
class Metrics:
    """Counters end in ``_total``; all names begin with ``infrawatch_agent_``."""

    samples_total: float = _metric("counter", "Samples taken.")
    snapshots_total: float = _metric("counter", "Snapshots taken.")
    collection_failures_total: float = _metric("counter", "Samples or snapshots that could not be taken.")
    sent_total: float = _metric("counter", "Records that the broker acknowledged.")
    send_failures_total: float = _metric("counter", "Sends without acknowledgement; they are tried again.")
    dropped_total: float = _metric("counter", "Oldest records dropped because the spool was full, since it was made.")
    refused_total: float = _metric("counter", "Records given up because the broker takes none of their size.")
    spool_failures_total: float = _metric("counter", "Records lost because the spool could not be written.")
    spool_records: float = _metric("gauge", "Records that wait to be sent.")
    spool_bytes: float = _metric("gauge", "Bytes that wait to be sent.")
    connected: float = _metric("gauge", "1 while a broker is connected.")
    last_sample_timestamp_seconds: float = _metric("gauge", "Unix time of the latest sample.")
    last_sent_timestamp_seconds: float = _metric("gauge", "Unix time of the latest acknowledgement.")

    def render(self) -> str:
        """The text exposition format, version 0.0.4."""
        lines: list[str] = []
        for declared in fields(self):
            name = f"infrawatch_agent_{declared.name}"
            lines += (
                f"# HELP {name} {declared.metadata['meaning']}",
                f"# TYPE {name} {declared.metadata['kind']}",
                f"{name} {getattr(self, declared.name)!r}",
            )
        return "\n".join(lines) + "\n"
