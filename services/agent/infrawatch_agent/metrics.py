"""Every metric of the agent, in Prometheus' text format; a client library would cost a tenth of its memory."""

from dataclasses import dataclass, field, fields
from typing import Any

from infrawatch_agent.domain.drops import Drop


def _metric(kind: str, meaning: str) -> Any:
    return field(default=0.0, metadata={"kind": kind, "meaning": meaning})


@dataclass(slots=True)
class Metrics:
    """Counters end in ``_total``; all names begin with ``infrawatch_agent_``."""

    samples_total: float = _metric("counter", "Samples taken.")
    snapshots_total: float = _metric("counter", "Snapshots taken.")
    snapshots_refused_total: float = _metric("counter", "Snapshots given up because they were too large.")
    collection_failures_total: float = _metric("counter", "Samples or snapshots that could not be taken.")
    sent_total: float = _metric("counter", "Records that the broker acknowledged.")
    send_failures_total: float = _metric("counter", "Sends without acknowledgement; they are tried again.")
    dropped_total: dict[Drop, int] = field(
        default_factory=lambda: dict.fromkeys(Drop, 0),
        metadata={
            "kind": "counter",
            "label": "reason",
            "meaning": "Records lost.",
        },
    )
    spool_records: float = _metric("gauge", "Records that wait to be sent, on disk and in memory.")
    spool_bytes: float = _metric("gauge", "Bytes of the records that wait.")
    spool_file_bytes: float = _metric("gauge", "Bytes that the spool's files take on the disk.")
    spool_writable: float = _metric("gauge", "1 while the spool can be written; else records wait in memory.")
    key_rotation_failures_total: float = _metric("counter", "Failed attempts to replace the host's key.")
    connected: float = _metric("gauge", "1 while a broker is connected.")
    last_sample_timestamp_seconds: float = _metric("gauge", "Unix time of the latest sample.")
    last_sent_timestamp_seconds: float = _metric("gauge", "Unix time of the latest acknowledgement.")

    def render(self) -> str:
        """The text exposition format, version 0.0.4."""
        lines: list[str] = []
        for declared in fields(self):
            name, value = f"infrawatch_agent_{declared.name}", getattr(self, declared.name)
            lines += (f"# HELP {name} {declared.metadata['meaning']}", f"# TYPE {name} {declared.metadata['kind']}")
            if isinstance(value, dict):
                label = declared.metadata["label"]
                lines += (f'{name}{{{label}="{key}"}} {count!r}' for key, count in value.items())
            else:
                lines.append(f"{name} {value!r}")
        return "\n".join(lines) + "\n"
