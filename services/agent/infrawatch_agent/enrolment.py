"""Enrolment: a one-time token against this host's key."""

import json
import urllib.error
import urllib.request
from typing import Any

import msgspec

from infrawatch_agent.identity import Identity, host_id, host_name, host_tags, save_identity
from infrawatch_agent.settings import Settings, variable

_TIMEOUT = 10.0
_LONGEST_ANSWER = 64 * 1024


class EnrolmentError(Exception):
    """The API did not give a key; the message says why and what to do."""


def enrol(settings: Settings) -> Identity:
    """Claim the token and keep the key. Raises ``EnrolmentError``."""
    if settings.api_url is None or settings.enrolment_token is None:
        msg = (
            f"this host is not enrolled: set {variable('api_url')} and {variable('enrolment_token')}"
            " (an admin makes the token by POST /api/v1/enrolments)"
        )
        raise EnrolmentError(msg)
    claim = {
        "token": settings.enrolment_token,
        "host_id": host_id(settings, None),
        "name": host_name(settings),
        "tags": host_tags(settings),
    }
    identity = _post(f"{settings.api_url.rstrip('/')}/api/v1/enrolments/claim", claim)
    save_identity(settings, identity)
    return identity


def _post(url: str, claim: dict[str, Any]) -> Identity:
    if not url.startswith(("http://", "https://")):
        msg = f"{variable('api_url')} is wrong: it must begin with http:// or https://"
        raise EnrolmentError(msg)
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked
        url, data=json.dumps(claim).encode(), headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
            return msgspec.json.decode(response.read(_LONGEST_ANSWER), type=Identity)
    except urllib.error.HTTPError as error:
        msg = f"the API refused the enrolment ({error.code}): {_detail(error)}"
        raise EnrolmentError(msg) from error
    except (OSError, msgspec.DecodeError) as error:
        msg = f"the API at {url} did not answer as expected: {error}"
        raise EnrolmentError(msg) from error


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        problem = json.loads(error.read(_LONGEST_ANSWER))
        return str(problem.get("detail") or problem.get("title"))
    except (ValueError, AttributeError):
        return error.reason
