"""Everything that can go wrong with a request, as RFC 9457 says it."""

from collections.abc import Mapping, Sequence
from enum import Enum
from http import HTTPStatus
from typing import Any

import msgspec
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotAuthorizedException,
    NotFoundException,
    ValidationException,
)
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from infrawatch_api.domain.inputs import InvalidInputError

MEDIA_TYPE = "application/problem+json"
# The key in a route's ``opt`` under which it lists the statuses that only it answers with.
PROBLEMS = "problems"
# Until the database is back or a busy moment is over.
RETRY_SECONDS = 5


class Kind(Enum):
    """Every kind of problem: the end of its type, its status and its title."""

    VALIDATION = ("validation", 400, "The request is not valid")
    MALFORMED = ("malformed", 400, "The request cannot be read")
    UNKNOWN_HOST = ("misdirected", 400, "This is not the host that was asked for")
    UNAUTHENTICATED = ("unauthenticated", 401, "Authentication is required")
    LOGIN_FAILED = ("login-failed", 401, "The email address or the password is wrong")
    FORBIDDEN = ("forbidden", 403, "This is not allowed")
    PASSWORD_CHANGE_REQUIRED = ("password-change-required", 403, "The one-time password must be changed first")
    ENROLMENT_REFUSED = ("enrolment-refused", 403, "The enrolment is refused")
    HOST_KEY_REFUSED = ("host-key-refused", 403, "The proof of the host key is refused")
    NOT_FOUND = ("not-found", 404, "There is no such thing")
    METHOD_NOT_ALLOWED = ("method-not-allowed", 405, "The method is not allowed here")
    CONFLICT = ("conflict", 409, "The request conflicts with what is there")
    TOO_LARGE = ("too-large", 413, "The request body is too large")
    TOO_MANY = ("too-many-requests", 429, "There were too many failed attempts")
    INTERNAL = ("internal", 500, "Something went wrong on the server")
    UNAVAILABLE = ("unavailable", 503, "The service cannot answer for the moment")
    OTHER = ("other", 400, "The request cannot be handled")

    @property
    def type(self) -> str:
        """The type of the problem, a URN."""
        return f"urn:infrawatch:problem:{self.value[0]}"

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[1]

    @property
    def title(self) -> str:
        """The title, always the same for the kind."""
        return self.value[2]


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field of the body or one parameter."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem document (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: Sequence[FieldError] = ()


class ProblemError(Exception):
    """Ends the request with a problem."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        self.status = status or kind.status

    def encode(self, *, instance: str, request_id: str) -> bytes:
        """The document for one request."""
        return msgspec.json.encode(
            Problem(
                type=self.kind.type,
                title=self.kind.title,
                status=self.status,
                detail=self.detail,
                instance=instance,
                request_id=request_id,
                errors=self.errors,
            )
        )


def invalid(field: str, message: str) -> ProblemError:
    """A 400 that names one field."""
    return ProblemError(Kind.VALIDATION, f"{field} {message}", errors=(FieldError(field, message),))


def invalid_fields(found: Mapping[str, str]) -> ProblemError:
    """A 400 that names several fields, each with its own message."""
    return _invalid([FieldError(field, message) for field, message in found.items()])


def _invalid(errors: Sequence[FieldError]) -> ProblemError:
    named = ", ".join(dict.fromkeys(error.field for error in errors))
    return ProblemError(Kind.VALIDATION, f"Not valid: {named}.", errors=errors)


def not_found(what: str) -> ProblemError:
    """A 404."""
    return ProblemError(Kind.NOT_FOUND, f"There is no such {what}.")


def too_many(seconds: int) -> ProblemError:
    """A 429 with the time to wait, in seconds."""
    return ProblemError(Kind.TOO_MANY, f"Try again in {seconds} seconds.", headers={"Retry-After": str(seconds)})


def unavailable(detail: str) -> ProblemError:
    """A 503 with the time to wait."""
    return ProblemError(Kind.UNAVAILABLE, detail, headers={"Retry-After": str(RETRY_SECONDS)})


_INTERNAL = "The error is in the log of the server, under the request id."


def explain(error: Exception) -> ProblemError:
    """The problem that an exception is; what nobody foresaw becomes a 500 without particulars."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, InvalidInputError):
        return invalid(error.field, error.message)
    if isinstance(error, ValidationException):
        return _validation(error)
    if isinstance(error, RecursionError):  # nothing here recurses but the reading of a body
        return ProblemError(Kind.MALFORMED, "The body is nested too deeply.")
    if isinstance(error, HTTPException) and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return _from_http(error)
    return ProblemError(Kind.INTERNAL, _INTERNAL)


def _validation(error: ValidationException) -> ProblemError:
    extra: Any = error.extra
    found = [item for item in extra if isinstance(item, Mapping)] if isinstance(extra, list) else []
    errors = [FieldError(_field(item), _sentence(str(item.get("message", "is not valid")))) for item in found]
    if not errors:  # parameters that are absent altogether come without particulars
        return ProblemError(Kind.VALIDATION, error.detail.partition(" for ")[0] + ".")
    return _invalid(errors)


# Parameters whose names Python or Litestar uses otherwise, by what they are called in routes.
_PARAMETERS = {"form": "format", "standing": "state", "start": "from", "end": "to"}


def _field(item: Mapping[str, Any]) -> str:
    key = str(item.get("key", "body"))
    if item.get("source") == "query":
        return _PARAMETERS.get(key, key)
    return "body" if key == "data" else key


def _sentence(message: str) -> str:
    # pydantic marks what our own validators say
    return message.removeprefix("Value error, ").removeprefix("Assertion failed, ")


def _from_http(error: HTTPException) -> ProblemError:
    headers = dict(error.headers or {})
    match error:
        case NotFoundException():
            return ProblemError(Kind.NOT_FOUND, "There is nothing under this path.")
        case MethodNotAllowedException():
            return ProblemError(Kind.METHOD_NOT_ALLOWED, "Another method may be.", headers=headers)
        case RequestEntityTooLarge():
            return ProblemError(Kind.TOO_LARGE, "Send a smaller body.")
        case NotAuthorizedException():
            return ProblemError(Kind.UNAUTHENTICATED, "Send a valid token.", headers={"WWW-Authenticate": "Bearer"})
        case ClientException() if error.status_code == HTTPStatus.BAD_REQUEST:
            return ProblemError(Kind.MALFORMED, "The body should be JSON.")
        case _:
            return ProblemError(Kind.OTHER, HTTPStatus(error.status_code).phrase, status=error.status_code)
