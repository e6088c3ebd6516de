"""Structured logs: one JSON object a line on stdout, with context, without secrets."""

import logging
import sys
import time
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog

_SECRET_NAMES = ("password", "secret", "token", "authorization", "signature")
_CLIENT_LIBRARY_LINES_PER_MINUTE = 30


def configure_logging(service: str, level: str, stream: TextIO | None = None) -> None:
    """Send everything, libraries included, through one JSON renderer on stdout.

    A command whose stdout is its answer passes another ``stream``.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _bind_service(service),
        _hide_secrets,
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream or sys.stdout)
    # JSON escapes line ends, so that a hostile value cannot forge a second record.
    render: list[Any] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(),
    ]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=render))
    handler.addFilter(RateLimit("aiokafka", per_minute=_CLIENT_LIBRARY_LINES_PER_MINUTE))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose keyword arguments become fields of the record."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


class RateLimit(logging.Filter):
    """Lets through ``per_minute`` records of one library; aiokafka writes 30 a second while a broker is away."""

    def __init__(self, library: str, per_minute: int) -> None:
        super().__init__()
        self._library = library
        self._per_minute = per_minute
        self._minute = 0
        self._seen = 0

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: D102
        if record.name.partition(".")[0] != self._library:
            return True
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._seen = minute, 0
        self._seen += 1
        return self._seen <= self._per_minute


def _bind_service(service: str) -> Any:
    def bind(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        event["service"] = service
        return event

    return bind


def _hide_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    for name in event:
        if any(secret in name.lower() for secret in _SECRET_NAMES):
            event[name] = "(hidden)"
    return event
