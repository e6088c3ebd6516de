"""What is wrong with a request, by field."""

import re
from datetime import UTC, datetime

_NUL = "\0"
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_HOST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", re.ASCII)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{8,64}", re.ASCII)
# Far outside lies nothing but arithmetic at the edges of the calendar.
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class InvalidInputError(ValueError):
    """A field of the request holds what it must not; the message says what it should be."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


def parse_time(field: str, text: str) -> datetime:
    """A moment in UTC. Raises ``InvalidInputError``."""
    if _RFC_3339.fullmatch(text) is None:
        raise InvalidInputError(field, "should be an RFC 3339 time with zone, such as 2026-11-22T10:00:00Z")
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInputError(field, "should be a date and time that exist") from error
    if not _EARLIEST <= moment < _LATEST:
        raise InvalidInputError(field, "should lie between the years 1970 and 2199")
    return moment


def period(start: str | None, end: str | None) -> tuple[datetime | None, datetime | None]:
    """What ``from`` and ``to`` say, None where they are absent. Raises ``InvalidInputError``."""
    since = parse_time("from", start) if start is not None else None
    until = parse_time("to", end) if end is not None else None
    if since is not None and until is not None and since >= until:
        raise InvalidInputError("from", "should be earlier than to")
    return since, until


def parse_tags(tags: list[str]) -> list[dict[str, str]]:
    """``key:value`` filters, each as an object of its own. Raises ``InvalidInputError``."""
    parsed = []
    for tag in tags:
        key, colon, value = tag.partition(":")
        if not key or not colon or _NUL in tag:
            raise InvalidInputError("tag", "should have the form key:value")
        parsed.append({key: value})
    return parsed


def plain_text(field: str, text: str | None) -> str | None:
    """The text, if the database can hold it. Raises ``InvalidInputError``."""
    if text is not None and _NUL in text:
        raise InvalidInputError(field, "must not contain the character NUL")
    return text


def is_host_id(text: str) -> bool:
    """Whether a host can have this id at all."""
    return _HOST_ID.fullmatch(text) is not None


def is_request_id(text: str) -> bool:
    """Whether a caller's request id may appear in logs and answers."""
    return _REQUEST_ID.fullmatch(text) is not None
