"""``infrawatch-agent check``: whether this host can collect, send, and be believed; one line each, with a remedy."""

import asyncio
import os
import pwd
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

from infrawatch_agent import api
from infrawatch_agent.broker_check import broker_findings
from infrawatch_agent.findings import Finding
from infrawatch_agent.identity import Identity, IdentityError, host_id, load_identity
from infrawatch_agent.rotation import verify
from infrawatch_agent.sender import producer_options
from infrawatch_agent.settings import Settings, variable
from infrawatch_agent.sources.containers import container_control_group
from infrawatch_agent.sources.packages import Lister, SourceError
from infrawatch_agent.sources.telemetry import Telemetry

# Services refuse what is stamped more than five minutes ahead.
_MOST_SKEW = 60.0
_SPARE_BYTES = 1_000_000
_CPU_WINDOW = 0.2


async def check(settings: Settings) -> AsyncIterator[Finding]:
    """Look at everything, in the order in which things go wrong."""
    async for finding in _collection(settings):
        yield finding
    for finding in _disk(settings):
        yield finding
    try:
        identity = load_identity(settings)
    except IdentityError as error:
        yield Finding("identity", str(error), "Until then nothing is sent.")
        return
    yield _identity(settings, identity)
    for finding in await asyncio.to_thread(lambda: list(_believed(settings, identity))):
        yield finding
    topics = [settings.metrics_topic, settings.snapshots_topic]
    try:
        options = producer_options(settings, identity)
    except IdentityError as error:
        yield Finding("broker", str(error), "Until then nothing is sent.")
        return
    async for finding in broker_findings(options, topics):
        yield finding


async def _collection(settings: Settings) -> AsyncIterator[Finding]:
    telemetry = Telemetry(container_control_group(settings.container_limits))
    telemetry.start_cpu_window()
    await asyncio.sleep(_CPU_WINDOW)
    try:
        reading = telemetry.read()
        yield Finding("telemetry", f"cpu {reading.cpu} %, memory {reading.memory} %, disk {reading.disk} %")
    except (OSError, RuntimeError) as error:
        yield Finding("telemetry", f"cannot be read: {error}", "Is /proc mounted, and visible to this user?")
    lister = Lister(settings.python_interpreters, settings.command_timeout, 2 * settings.snapshot_max_bytes)
    sources = lister.sources()
    if not sources:
        yield Finding(
            "packages", "no source is there", f"Set {variable('python_interpreters')} if there should be one."
        )
    for source in sources:
        try:
            yield Finding("packages", f"{source} lists {len(await lister.packages(source))}")
        except SourceError as error:
            remedy = (
                f"No snapshot is sent until this works; run it by hand, or change {variable('python_interpreters')}."
            )
            yield Finding("packages", str(error), remedy)


def _disk(settings: Settings) -> Iterator[Finding]:
    directory = Path(settings.state_directory)
    owner = f"Create it for the agent's user, or set {variable('state_directory')}."
    try:
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".check-") as file:
            file.write(b"\0" * 65_536)
            file.flush()
            os.fsync(file.fileno())
        free = shutil.disk_usage(directory).free
    except FileNotFoundError:
        yield Finding("state directory", f"{directory} is not there", owner)
        return
    except PermissionError:
        user = pwd.getpwuid(directory.stat().st_uid).pw_name if directory.exists() else "?"
        yield Finding(
            "state directory", f"{directory} is not ours to write", f"It belongs to {user}: run as that user."
        )
        return
    except OSError as error:
        remedy = "Free space or mount it writable; until then new records are sent from memory."
        yield Finding("state directory", f"{directory} cannot be written ({error.strerror})", remedy)
        return
    yield Finding("state directory", f"{directory} can be written")
    yield _spool(directory / "spool.sqlite", settings, free)


def _spool(path: Path, settings: Settings, free: int) -> Finding:
    used = path.stat().st_size if path.exists() else 0
    if free < min(_SPARE_BYTES, settings.spool_max_bytes - used):
        remedy = f"Free space: the spool may grow to {settings.spool_max_bytes} bytes ({variable('spool_max_bytes')})."
        return Finding("spool", f"only {free} bytes are free", remedy)
    if not path.exists():
        return Finding("spool", "is made at the first start")
    try:
        database = sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=5.0, isolation_level=None)
        try:
            database.execute("BEGIN IMMEDIATE")
            waiting = database.execute("SELECT count(*) FROM records").fetchone()[0]
            database.execute("ROLLBACK")
        finally:
            database.close()
    except sqlite3.Error as error:
        return Finding("spool", f"{path} cannot be used: {error}", "Move it away; the agent makes a new one.")
    return Finding("spool", f"can be written; {waiting} records wait in it")


def _identity(settings: Settings, identity: Identity | None) -> Finding:
    if identity is not None:
        if settings.host_id not in (None, identity.host_id):
            remedy = f"Unset {variable('host_id')}, or enrol as that host."
            return Finding("identity", f"the key is that of {identity.host_id}, not of {settings.host_id}", remedy)
        return Finding("identity", f"{identity.host_id}, key {identity.key_id}")
    if settings.allow_unsigned:
        return Finding("identity", f"{host_id(settings, None)}, unsigned: services must be told to accept that")
    if settings.api_url and settings.enrolment_token:
        return Finding("identity", "there is none yet; the first start enrols this host")
    remedy = f"Run 'infrawatch-agent enrol' with {variable('api_url')} and {variable('enrolment_token')} set."
    return Finding("identity", "this host is not enrolled", remedy)


def _believed(settings: Settings, identity: Identity | None) -> Iterator[Finding]:
    if settings.api_url is None:
        yield Finding("clock and key", f"not compared: {variable('api_url')} is not set")
        return
    try:
        date = api.get(settings.api_url, "/health/live").date
    except api.ApiError as error:
        yield Finding("API", str(error), f"Check {variable('api_url')} and the way there; sending does not need it.")
        return
    yield _clock(datetime.now(UTC), date)
    if identity is not None:
        yield _key(settings.api_url, identity)


def _clock(ours: datetime, theirs: datetime | None) -> Finding:
    if theirs is None:
        return Finding("clock", "not compared: the API does not tell its time")
    skew = (ours - theirs).total_seconds()
    if abs(skew) <= _MOST_SKEW:
        return Finding("clock", "agrees with the API's")
    direction = "ahead of" if skew > 0 else "behind"
    remedy = "Set it, and keep it by NTP; records from the future are refused, others land in the past."
    return Finding("clock", f"is {abs(skew):.0f} s {direction} the API's", remedy)


def _key(api_url: str, identity: Identity) -> Finding:
    try:
        state = verify(api_url, identity)
    except api.ApiError as error:
        return Finding("key", f"the API does not believe it: {error}", "Enrol anew if the host is to report again.")
    if state.revoked_at is not None:
        remedy = "Another key has taken its place; enrol anew unless the agent has it already."
        return Finding("key", f"is believed until {state.revoked_at:%Y-%m-%d %H:%M} UTC only", remedy)
    return Finding("key", "the API believes it")
