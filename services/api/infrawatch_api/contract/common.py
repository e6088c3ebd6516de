"""What several bodies are made of."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Generic, Self, TypeVar

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, StrictStr, StringConstraints

from infrawatch_api.domain.durations import read_duration, read_seconds
from infrawatch_api.domain.inputs import InvalidInputError, parse_time
from infrawatch_api.domain.passwords import MAX_LENGTH

ItemT = TypeVar("ItemT")

# PostgreSQL stores no NUL in text.
Name = Annotated[StrictStr, StringConstraints(min_length=1, max_length=512, pattern=r"^[^\x00]*$")]
Text = Annotated[StrictStr, StringConstraints(max_length=4096, pattern=r"^[^\x00]*$")]
# More than blanks.
Reason = Annotated[StrictStr, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]
# Only what a log or a header could stumble over is refused; whether mail arrives shows nothing but mail.
Email = Annotated[StrictStr, StringConstraints(max_length=254, pattern=r"^[^\s@\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+$")]
# Longer than any password that can be right, so that the answer to a wrong one stays the same.
Password = Annotated[StrictStr, StringConstraints(max_length=MAX_LENGTH)]
Secret = Annotated[StrictStr, StringConstraints(min_length=1, max_length=256, pattern=r"^[\x21-\x7e]*$")]
HostIdText = Annotated[StrictStr, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
Tags = Annotated[dict[Name, Text], Field(max_length=64)]
Seconds = Annotated[StrictInt, Field(ge=1, le=2**31 - 1)]
# Instead of a field that is not given; it is neither validated nor read.
ABSENT: Any = None


def _duration(value: object) -> timedelta:
    read = None
    if isinstance(value, str):
        read = read_duration(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        read = read_seconds(value)
    if read is None:
        msg = "should be an ISO 8601 duration in whole seconds, such as PT5M, or a number of seconds, 0 or more"
        raise ValueError(msg)
    return read


# After validation a timedelta; the number is for the OpenAPI document.
Duration = Annotated[timedelta | float, BeforeValidator(_duration)]


def _moment(value: object) -> datetime:
    try:
        return parse_time("time", value if isinstance(value, str) else "")
    except InvalidInputError as error:
        raise ValueError(error.message) from error


Moment = Annotated[datetime, BeforeValidator(_moment)]


class Body(BaseModel):
    """A request body."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @classmethod
    def model_validate(cls, obj: Any, *, strict: bool | None = None, **options: Any) -> Self:  # noqa: ARG003
        """As pydantic's, but every field decides by itself whether it is strict; Litestar would make none so."""
        return super().model_validate(obj, strict=None, **options)


class Page(msgspec.Struct, Generic[ItemT], frozen=True):
    """One page of a list; ``next_cursor`` leads to the next one and is null on the last."""

    items: list[ItemT]
    next_cursor: str | None
