"""Where the next page begins: the sort key of the last item, as an opaque text."""

import base64
import binascii
import json
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from infrawatch_api.domain.inputs import InvalidInputError

Key = str | int | datetime | UUID
_FIELD = "cursor"
_MAX_LENGTH = 2048  # several times what any sort key of ours needs
_MAX_INTEGER = 2**63 - 1


def encode_cursor(keys: Sequence[Key]) -> str:
    """The cursor that continues after the item with these sort keys."""
    plain = [
        key if isinstance(key, int) else key.isoformat() if isinstance(key, datetime) else str(key) for key in keys
    ]
    text = json.dumps(plain, separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, kinds: Sequence[type[Key]]) -> list[Key]:
    """The sort keys of a cursor, each of its kind. Raises ``InvalidInputError``."""
    try:
        return [_read(value, kind) for value, kind in zip(_plain(cursor), kinds, strict=True)]
    except (ValueError, binascii.Error, RecursionError) as error:
        raise InvalidInputError(_FIELD, "should be the next_cursor of an earlier answer to the same request") from error


def _plain(cursor: str) -> list[object]:
    if len(cursor) > _MAX_LENGTH:
        raise ValueError
    padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
    plain = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    return plain if isinstance(plain, list) else []


def _read(value: object, kind: type[Key]) -> Key:
    if kind is int:
        if type(value) is not int or abs(value) > _MAX_INTEGER:
            raise ValueError
        return value
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError
    if kind is datetime:
        return _aware(datetime.fromisoformat(value))
    return UUID(value) if kind is UUID else value


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError
    return moment
