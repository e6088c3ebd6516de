"""Snapshots as services use them, read straight from the bytes of a message.

A host says the same for weeks. ``SnapshotReader`` gives the verdict of ``decode`` with the contract's model, and finds

- a body that differs from the host's last one in id, time and agent alone without decoding it,
- a body of the usual form in a fraction of the model's time,
- and every other body by the model; property tests hold the three together.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from infrawatch_common.drift.content import Content, digest
from infrawatch_common.events import Reason, Rejection, SnapshotRecord, decode
from infrawatch_common.events.records import MAX_SEQUENCE, parse_timestamp
from infrawatch_common.events.samples import is_host_id

# Hosts whose last body is remembered, and the most bytes of name and tags that are remembered with it: some 50 MB.
_HOSTS_MAX = 100_000
_DESCRIPTION_MAX = 1024


class Limits(NamedTuple):
    """The largest snapshot that is taken: bytes of its body, variables, and packages of all sources."""

    max_bytes: int
    env_vars: int
    packages: int


class Snapshot(NamedTuple):
    """What services use of a valid snapshot; ``timestamp`` is in UTC, ``digest`` that of the content (32 bytes).

    ``content`` is None where the body had not to be decoded, since an earlier one that was read said the same of the
    host; ``content_of`` gives it. That says nothing of what is stored.
    """

    id: UUID
    host_id: str
    timestamp: datetime
    digest: bytes
    name: str
    tags: Mapping[str, str]
    content: Content | None


class _Remembered(NamedTuple):
    """What a body says, by the hash of that part of it; ``description`` holds name and tags, packed."""

    said: bytes
    digest: bytes
    description: bytes


_REMEDIES = {
    "bytes": "let its agent report less, or raise INFRAWATCH_SNAPSHOT_MAX_BYTES here and at the topic",
    "variables": "shorten its agent's INFRAWATCH_ENV_WHITELIST, or raise INFRAWATCH_SNAPSHOT_ENV_VARS_MAX",
    "packages": "let its agent report fewer sources, or raise INFRAWATCH_SNAPSHOT_PACKAGES_MAX",
}


def _too_large(number: int, things: str, most: int) -> Rejection:
    return Rejection(Reason.TOO_LARGE, f"the snapshot has {number} {things}, and {most} are taken; {_REMEDIES[things]}")


class _Envelope(NamedTuple):
    """A body's own id, host and time, and the hash of all else but its agent.

    Id, time and agent are valid, and so is a host of which something is remembered.
    """

    id: UUID
    host_id: str
    timestamp: datetime
    said: bytes


_UUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_IS_UUID = re.compile(_UUID).fullmatch
_HEAD = re.compile(
    rf'\{{"id":"({_UUID})","host_id":"([A-Za-z0-9._:-]{{1,128}})","timestamp":"([0-9T:.Z+-]{{20,32}})",'.encode()
)
_TAIL_BEGINS = b',"agent":{"'
_TAIL = re.compile(rf',"agent":\{{"instance":"{_UUID}","sequence":(0|[1-9][0-9]{{0,15}})\}}\}}'.encode())


# Why a body need not be decoded whose part between head and tail is, byte for byte, that of a body which was valid.
# Both bodies begin with a head, which is an open object with three whole members, and a comma; so a reader of either is
# in the same state behind it, and, as what follows is the same, in the same state where the tail begins. In the valid
# body the tail is not inside a string: its first quotation mark would end that string, with a letter behind it. So it
# is a member "agent" and the ends of two objects, and as the text ends there, the second is the outermost. In the other
# body it is the same, then, and the two have the same members with the same values but for id, host, time and agent,
# of which head and tail show that they are valid, and that the agent's two keys are not repeated.
def _open(body: bytes) -> _Envelope | None:
    """The envelope of a body that begins and ends as our agents write them; of another, None."""
    head = _HEAD.match(body)
    begins = body.rfind(_TAIL_BEGINS)
    tail = _TAIL.fullmatch(body, begins) if begins >= 0 else None
    if head is None or tail is None or int(tail[1]) > MAX_SEQUENCE:
        return None
    timestamp = _time(head[3].decode())
    if timestamp is None:
        return None
    said = hashlib.sha256(memoryview(body)[head.end() : begins]).digest()
    return _Envelope(UUID(head[1].decode()), head[2].decode(), timestamp, said)


def _time(text: str) -> datetime | None:
    try:
        return parse_timestamp(text)
    except ValueError:
        return None


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(tuple[str, dict[str, str]]).decode


_Text = Annotated[str, Meta(max_length=4096)]
_Name = Annotated[str, Meta(min_length=1, max_length=512)]


class _Stamp(msgspec.Struct):
    instance: str
    sequence: Annotated[int, Meta(ge=0, le=MAX_SEQUENCE)]


class _Host(msgspec.Struct):
    name: _Name
    tags: dict[_Name, _Text] | UnsetType = UNSET


class _Usual(msgspec.Struct):
    id: str
    host_id: str
    timestamp: str
    os_info: _Text
    kernel: _Text
    packages: dict[_Name, dict[_Name, _Text]]
    env_vars: dict[_Name, _Text]
    host: _Host
    agent: _Stamp


# Keys of a record, its host (but for tags) and its agent, and the strings that are their values.
_TEXTS = (9 + 1 + 2) + (5 + 1 + 1)

_decode = msgspec.json.Decoder(_Usual).decode


def _read_usual(body: bytes) -> Snapshot | None:
    """The snapshot in a valid body of the usual form; None for every other, valid or not."""
    # No character is written as a number, so that none is NUL, which msgspec lets pass, or half of a pair; and no
    # backslash follows another, so that one before a quotation mark always means that mark.
    if b"\\" in body and (b"\\u" in body or b"\\\\" in body):
        return None
    try:
        usual = _decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    tags = usual.host.tags
    packages = usual.packages
    texts = _TEXTS + 2 * len(usual.env_vars) + len(packages) + 2 * sum(map(len, packages.values()))
    if tags is not UNSET:
        texts += 1 + 2 * len(tags)
    # Each key and string has two quotation marks. One that is repeated, or unknown, is not among those decoded.
    if body.count(b'"') - body.count(b'\\"') != 2 * texts:
        return None
    timestamp = _time(usual.timestamp)
    if timestamp is None or not (is_host_id(usual.host_id) and _IS_UUID(usual.id) and _IS_UUID(usual.agent.instance)):
        return None
    content = Content(usual.os_info, usual.kernel, packages, usual.env_vars)
    name, described = usual.host.name, {} if tags is UNSET else tags
    return Snapshot(UUID(usual.id), usual.host_id, timestamp, digest(content), name, described, content)


def _read_any(body: bytes) -> Snapshot | Rejection:
    record = decode(SnapshotRecord, body)
    if isinstance(record, Rejection):
        return record
    content, host = Content.of(record), record.host
    return Snapshot(record.id, record.host_id, record.timestamp, digest(content), host.name, host.tags, content)


class SnapshotReader:
    """Reads the bodies of snapshots, one after the other. Its memory is bounded, whatever the bodies hold."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()

    def read(self, body: bytes) -> Snapshot | Rejection:
        """Validate one snapshot's message body; never raises, whatever the bytes are."""
        if len(body) > self._limits.max_bytes:
            return _too_large(len(body), "bytes", self._limits.max_bytes)
        envelope = _open(body)
        if envelope is not None and (known := self._recall(envelope)) is not None:
            name, tags = _unpack(known.description)
            return Snapshot(envelope.id, envelope.host_id, envelope.timestamp, known.digest, name, tags, None)
        snapshot = _read_usual(body) or _read_any(body)
        if isinstance(snapshot, Rejection):
            return snapshot
        refused = self._excess(snapshot)
        if refused is None and envelope is not None:
            self._remember(envelope, snapshot)
        return refused or snapshot

    def _recall(self, envelope: _Envelope) -> _Remembered | None:
        known = self._remembered.get(envelope.host_id)
        if known is None or known.said != envelope.said:
            return None
        self._remembered.move_to_end(envelope.host_id)
        return known

    def _remember(self, envelope: _Envelope, snapshot: Snapshot) -> None:
        description = _pack((snapshot.name, snapshot.tags))
        if len(description) > _DESCRIPTION_MAX:
            return
        self._remembered[envelope.host_id] = _Remembered(envelope.said, snapshot.digest, description)
        self._remembered.move_to_end(envelope.host_id)
        if len(self._remembered) > _HOSTS_MAX:
            self._remembered.popitem(last=False)

    def _excess(self, snapshot: Snapshot) -> Rejection | None:
        content = snapshot.content
        assert content is not None
        if (variables := len(content.env_vars)) > self._limits.env_vars:
            return _too_large(variables, "variables", self._limits.env_vars)
        if (packages := sum(map(len, content.packages.values()))) > self._limits.packages:
            return _too_large(packages, "packages", self._limits.packages)
        return None


def content_of(body: bytes) -> Content:
    """The content of a body that ``read`` took. Raises ``ValueError`` for a body that holds no snapshot."""
    snapshot = _read_usual(body) or _read_any(body)
    content = None if isinstance(snapshot, Rejection) else snapshot.content
    if content is None:
        msg = "the body holds no snapshot"
        raise ValueError(msg)
    return content
