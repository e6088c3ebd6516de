"""From the bytes of a message to a record, or to the reason why not."""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from infrawatch_common.events.rejection import Reason, Rejection

RecordT = TypeVar("RecordT", bound=BaseModel)


def decode(model: type[RecordT], value: bytes | None) -> RecordT | Rejection:
    """Validate one message body; never raises, whatever the bytes are."""
    if not value:
        return Rejection(Reason.EMPTY, "the message has no body")
    try:
        record = model.model_validate_json(value)
    except ValidationError as error:
        return _explain(error)
    if (name := _repeated_key(value)) is not None:
        return Rejection(Reason.DUPLICATE_KEYS, f"an object names the key {name!r} twice")
    return record


def _explain(error: ValidationError) -> Rejection:
    errors = error.errors(include_input=False, include_context=False, include_url=False)
    first = errors[0]
    if first["type"] == "json_invalid":
        return Rejection(Reason.MALFORMED, first["msg"])
    field = ".".join(ascii(part).strip("'")[:64] for part in first["loc"]) or "record"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Rejection(Reason.INVALID, f"{field}: {first['msg']}{more}")


def _repeated_key(value: bytes) -> str | None:
    repeated: list[str] = []

    def check(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                repeated.append(name[:64])
            seen.add(name)

    json.loads(value, object_pairs_hook=check)
    return repeated[0] if repeated else None
