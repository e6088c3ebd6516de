"""Enrolment: a one-time token against this host's key."""

import time

import msgspec

from infrawatch_agent import api
from infrawatch_agent.identity import Identity, host_id, host_name, host_tags, save_identity
from infrawatch_agent.settings import Settings, variable


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
    try:
        answer = api.post(settings.api_url, "/api/v1/enrolments/claim", claim)
        given = msgspec.json.decode(answer.body, type=Identity)
    except api.ApiError as error:
        msg = f"the API refused the enrolment ({error.status}): {error}" if error.status else str(error)
        raise EnrolmentError(msg) from error
    except msgspec.DecodeError as error:
        msg = f"the API at {settings.api_url} did not answer as expected: {error}"
        raise EnrolmentError(msg) from error
    identity = msgspec.structs.replace(given, issued_at=time.time())
    save_identity(settings, identity)
    return identity
