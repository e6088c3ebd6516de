"""Who this host is, and the key that proves it."""

import base64
import logging
import os
import secrets
import socket
from pathlib import Path
from typing import Literal

import msgspec

from infrawatch_agent.domain.ids import host_id_of
from infrawatch_agent.logs import fields
from infrawatch_agent.settings import Settings

_log = logging.getLogger(__name__)
_MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


class KafkaAccess(msgspec.Struct, frozen=True):
    """How this host reaches Kafka as its own user; ``ca`` are PEM certificates, None for those of the system."""

    bootstrap_servers: str
    security_protocol: Literal["SASL_SSL"]
    username: str
    password: str
    ca: str | None = None

    def __repr__(self) -> str:
        return f"KafkaAccess(username={self.username!r})"


class Identity(msgspec.Struct, frozen=True):
    """What enrolment gave this host; ``secret`` is base64.

    ``issued_at`` is Unix time, None in files of older agents. ``confirmed`` is False while the API does not know yet
    that this key has taken the place of the one before. ``kafka`` is None where agents have no user of Kafka.
    """

    host_id: str
    key_id: str
    secret: str
    issued_at: float | None = None
    confirmed: bool = True
    kafka: KafkaAccess | None = None

    def __repr__(self) -> str:
        return f"Identity(host_id={self.host_id!r})"

    def key(self) -> bytes:
        """The secret's bytes."""
        return base64.b64decode(self.secret, validate=True)


class IdentityError(Exception):
    """The state directory does not hold what it should; the message says what to do."""


def identity_path(settings: Settings) -> Path:
    """Where the identity lies."""
    return Path(settings.state_directory) / "identity.json"


class CurrentIdentity:
    """The identity as the file holds it now, so that a key that was replaced is used from the next record on."""

    def __init__(self, settings: Settings, identity: Identity | None) -> None:
        self._settings = settings
        self._identity = identity
        self._read_at = self._changed_at()

    def get(self) -> Identity | None:
        """The identity; the last good one while the file cannot be read."""
        changed_at = self._changed_at()
        if changed_at != self._read_at:
            try:
                self._identity = load_identity(self._settings) or self._identity
            except IdentityError as error:
                _log.error("the identity cannot be read; the last one stays in use", extra=fields(error=str(error)))
            self._read_at = changed_at
        return self._identity

    def _changed_at(self) -> int | None:
        try:
            return identity_path(self._settings).stat().st_mtime_ns
        except OSError:
            return None


def load_identity(settings: Settings) -> Identity | None:
    """The enrolled identity, if there is one."""
    path = identity_path(settings)
    try:
        identity = msgspec.json.decode(path.read_bytes(), type=Identity)
        identity.key()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be used ({error}); remove it and enrol again"
        raise IdentityError(msg) from error
    return identity


def save_identity(settings: Settings, identity: Identity) -> None:
    """Keep the identity, readable by the agent alone."""
    write_private(identity_path(settings), msgspec.json.encode(identity))


def host_id(settings: Settings, identity: Identity | None) -> str:
    """The id of this host: as set, as enrolled, or derived from the machine."""
    if settings.host_id is not None:
        return settings.host_id
    return identity.host_id if identity else _derived_host_id(settings)


def host_name(settings: Settings) -> str:
    """The name that operators see."""
    return settings.host_name or socket.gethostname()


def host_tags(settings: Settings) -> dict[str, str]:
    """The tags as set."""
    return dict(tag.split("=", 1) for tag in settings.host_tags)


def digest_key(settings: Settings) -> bytes:
    """The key of secret values' digests: this host's own, and the same after every start."""
    path = Path(settings.state_directory) / "digest.key"
    if not path.exists():
        write_private(path, secrets.token_bytes(32))
    return path.read_bytes()


def write_private(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, with mode 0600."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _derived_host_id(settings: Settings) -> str:
    for path in _MACHINE_IDS:
        try:
            machine_id = path.read_text(encoding="ascii").strip()
        except OSError:
            continue
        if machine_id:
            return host_id_of(machine_id)
    return _kept_host_id(settings)


def _kept_host_id(settings: Settings) -> str:
    """For containers without a machine id: made up once, then kept."""
    path = Path(settings.state_directory) / "host-id"
    if not path.exists():
        write_private(path, host_id_of(secrets.token_hex(16)).encode())
    return path.read_text(encoding="ascii")
