"""Structured logs: one JSON object a line on stdout."""

import json
import logging
import sys
import time
import traceback

_LIBRARY_LINES_PER_MINUTE = 10


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "message": record.getMessage(),
            "level": record.levelname.lower(),
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "service": "agent",
            "logger": record.name,
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(line, default=str)


class _RateLimit(logging.Filter):
    """aiokafka writes 30 lines a second while a broker is away."""

    _minute = 0
    _seen = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("aiokafka"):
            return True
        minute = int(record.created // 60)
        if minute != self._minute:
            self._minute, self._seen = minute, 0
        self._seen += 1
        return self._seen <= _LIBRARY_LINES_PER_MINUTE


def configure_logging(level: str) -> None:
    """Send everything through one JSON formatter."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonFormatter())
    handler.addFilter(_RateLimit())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


def fields(**values: object) -> dict[str, dict[str, object]]:
    """Context of a log line: ``log.info("sent", extra=fields(records=3))``."""
    return {"fields": values}
