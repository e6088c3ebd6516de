"""Calls of the API: JSON in, JSON out.

The agent calls it a few times a year, so urllib and email, two megabytes, are imported by the first call alone.
"""

import json
from datetime import datetime
from typing import Any, NamedTuple

from infrawatch_agent.settings import variable

_TIMEOUT = 10.0
_LONGEST_ANSWER = 64 * 1024


class ApiError(Exception):
    """The API did not do what was asked; the message says why. ``status`` is None when it did not answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Answer(NamedTuple):
    """What the API answered, and its clock (None when it did not say)."""

    body: bytes
    date: datetime | None


def post(api_url: str, path: str, body: dict[str, Any]) -> Answer:
    """POST a JSON body. Raises ``ApiError``."""
    return _call(api_url, path, json.dumps(body).encode())


def get(api_url: str, path: str) -> Answer:
    """GET a path. Raises ``ApiError``."""
    return _call(api_url, path, None)


def _call(api_url: str, path: str, data: bytes | None) -> Answer:
    import urllib.error  # noqa: PLC0415
    import urllib.request  # noqa: PLC0415

    if not api_url.startswith(("http://", "https://")):
        msg = f"{variable('api_url')} is wrong: it must begin with http:// or https://"
        raise ApiError(msg)
    url = f"{api_url.rstrip('/')}{path}"
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})  # noqa: S310 - checked
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
            return Answer(response.read(_LONGEST_ANSWER), _date(response.headers.get("Date")))
    except urllib.error.HTTPError as error:
        raise ApiError(_detail(error.read(_LONGEST_ANSWER)) or error.reason, error.code) from error
    except (OSError, ValueError) as error:
        msg = f"the API at {url} did not answer: {error}"
        raise ApiError(msg) from error


def _date(text: str | None) -> datetime | None:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415

    try:
        return parsedate_to_datetime(text or "")
    except ValueError:
        return None


def _detail(body: bytes) -> str:
    """What a problem document (RFC 9457) says; empty when it is none."""
    try:
        problem = json.loads(body)
        return str(problem.get("detail") or problem.get("title") or "")
    except (ValueError, AttributeError):
        return ""
