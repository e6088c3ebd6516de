"""Parameters that several routes take."""

from typing import Annotated
from uuid import UUID

from litestar.params import PathParameter, QueryParameter

from infrawatch_api.domain.inputs import is_host_id
from infrawatch_api.problems import invalid, not_found

HostIdParameter = Annotated[str, PathParameter(description="Id of a host.")]
UserIdParameter = Annotated[UUID, PathParameter(description="Id of a user.")]
TokenIdParameter = Annotated[UUID, PathParameter(description="Id of an API token.")]
EnrolmentIdParameter = Annotated[UUID, PathParameter(description="Id of an enrolment.")]
AlertIdParameter = Annotated[UUID, PathParameter(description="Id of an alert.")]
ChannelIdParameter = Annotated[UUID, PathParameter(description="Id of a channel.")]
SilenceIdParameter = Annotated[UUID, PathParameter(description="Id of a silence.")]
HostIdFilter = Annotated[str | None, QueryParameter(description="Id of a host.")]
TagFilter = Annotated[
    list[str] | None, QueryParameter(max_items=64, description="A tag as key:value; repeat it for several.")
]
RangeStart = Annotated[
    str | None,
    QueryParameter(name="from", description="RFC 3339 time of the start; an hour before the end by default."),
]
RangeEnd = Annotated[
    str | None,
    QueryParameter(name="to", description="RFC 3339 time of the end, which is not included; now by default."),
]
BucketWidth = Annotated[
    str | None,
    QueryParameter(description="Width of a bucket: an ISO 8601 duration, 30s, 5m, 1h, or whole seconds."),
]


def existing_host_id(text: str) -> str:
    """The text, if a host can have it as its id. Raises ``ProblemError`` (404)."""
    if not is_host_id(text):
        raise not_found("host")
    return text


def checked_host_id(text: str | None) -> str | None:
    """The text, if a host can have it as its id, or None. Raises ``ProblemError`` (400) for parameter ``host_id``."""
    if text is not None and not is_host_id(text):
        raise invalid("host_id", "should be the id of a host")
    return text
