"""Builds every image and starts each container as it runs in production, until its health check answers.

Kafka and TimescaleDB are those of the local stack, reached over the host's network. The engine is Docker by default;
INFRAWATCH_BUILD and INFRAWATCH_RUN name other commands that take the same arguments.
"""

import base64
import json
import os
import secrets
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from infrawatch_local.ports import free_ports
from infrawatch_local.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
BUILD = shlex.split(os.environ.get("INFRAWATCH_BUILD", "docker build"))
RUN = shlex.split(os.environ.get("INFRAWATCH_RUN", "docker run --rm --network=host"))
TARGETS = ("migrations", "ingest", "alerting", "drift", "api", "agent")
HARDENED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")
USER = 10001
READY_TIMEOUT = 60.0

Environment = Mapping[str, str]


def main() -> int:
    """Build, run, check; exit code 1 with the reason when an image does not do what it should."""
    try:
        for target in TARGETS:
            build(target)
        with tempfile.TemporaryDirectory() as directory, Stack.isolated(Path(directory)) as stack:
            check(stack, Path(directory))
    except CheckFailedError as error:
        say(f"FAILED: {error}")
        return 1
    say(f"{len(TARGETS)} images are built, and run as user {USER} on a read-only root")
    return 0


class CheckFailedError(Exception):
    """An image does not do what it should."""


def say(text: str) -> None:
    """One line of progress."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def build(target: str) -> None:
    """Build one image."""
    say(f"building {target}")
    command = [*BUILD, "-f", "infra/docker/Dockerfile", "--target", target, "-t", f"infrawatch/{target}", "."]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise CheckFailedError(f"{target} cannot be built:\n{result.stdout[-3000:]}{result.stderr[-3000:]}")


def check(stack: Stack, directory: Path) -> None:
    """Run every image against the stack: once-commands to their end, services until they are ready."""
    database, kafka = database_environment(stack), {"INFRAWATCH_KAFKA_BOOTSTRAP_SERVERS": stack.kafka_bootstrap}
    keys = {"INFRAWATCH_HOST_KEY_SECRET": secrets.token_urlsafe(32)}
    state = agent_state(directory)
    run_once("migrations", database["migrations"])
    run_once("ingest", kafka, "--entrypoint=python", arguments=["-m", "infrawatch_common.topics"])
    for target, environment in {
        "api": {**database["api"], **keys},
        "ingest": {**database["ingest"], **keys, **kafka},
        "alerting": {**database["alerting"], **keys, **kafka},
        "drift": {**database["drift"], **keys, **kafka},
        "agent": kafka,
    }.items():
        volumes = [f"--volume={state}:/var/lib/infrawatch-agent"] if target == "agent" else []
        run_until_ready(target, environment, volumes)


def database_environment(stack: Stack) -> dict[str, dict[str, str]]:
    """What each image must be told about the database; passwords are new."""
    admin = urlsplit(stack.database_url)
    passwords = {role: secrets.token_urlsafe(24) for role in ("ingest", "alerting", "drift", "api")}

    def of(user: str, password: str) -> dict[str, str]:
        url = f"postgresql://{user}@{admin.hostname}:{admin.port}/postgres"
        return {"INFRAWATCH_DATABASE_URL": url, "INFRAWATCH_DATABASE_PASSWORD": password}

    roles = {f"INFRAWATCH_{role.upper()}_DATABASE_PASSWORD": password for role, password in passwords.items()}
    services = {role: of(f"infrawatch_{role}", password) for role, password in passwords.items()}
    return {"migrations": {**of(admin.username or "", unquote(admin.password or "")), **roles}, **services}


def agent_state(directory: Path) -> Path:
    """A state directory as enrolment leaves it, the container's user's own."""
    state = directory / "agent-state"
    state.mkdir()
    identity = {
        "host_id": "image-check",
        "key_id": "0" * 32,
        "secret": base64.b64encode(secrets.token_bytes(32)).decode(),
    }
    (state / "identity.json").write_text(json.dumps(identity))
    for path in (state, state / "identity.json"):
        os.chown(path, USER, USER)
    directory.chmod(0o755)
    return state


def command(target: str, environment: Environment, options: Sequence[str]) -> list[str]:
    """The command that runs a hardened container."""
    variables = [f"--env={name}={value}" for name, value in environment.items()]
    return [*RUN, *HARDENED, *variables, *options, f"infrawatch/{target}"]


def run_once(target: str, environment: Environment, *options: str, arguments: Sequence[str] = ()) -> None:
    """Run a container to its end."""
    say(f"running {target} {' '.join(arguments)}")
    full = [*command(target, environment, options), *arguments]
    result = subprocess.run(full, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise CheckFailedError(
            f"{target} ended with {result.returncode}:\n{result.stdout[-2000:]}{result.stderr[-2000:]}"
        )


def run_until_ready(target: str, environment: Environment, options: Sequence[str]) -> None:
    """Run a container until it is ready, look at what it runs as, and stop it."""
    say(f"running {target}")
    (port,) = free_ports(1)
    environment = {**environment, "INFRAWATCH_HTTP_PORT": str(port)}
    with tempfile.TemporaryFile() as log:
        container = subprocess.Popen(
            command(target, environment, options), stdout=log, stderr=log, start_new_session=True
        )
        try:
            await_ready(target, port, container)
            check_process(target, port)
        except CheckFailedError as error:
            log.seek(0)
            raise CheckFailedError(f"{error}\n{log.read()[-3000:].decode(errors='replace')}") from error
        finally:
            stop(port, container)


def await_ready(target: str, port: int, container: "subprocess.Popen[bytes]") -> None:
    """Wait for the health check's yes."""
    deadline = time.monotonic() + READY_TIMEOUT
    while not answers(f"http://127.0.0.1:{port}/health/ready"):
        if container.poll() is not None:
            raise CheckFailedError(f"{target} ended with {container.poll()}")
        if time.monotonic() > deadline:
            raise CheckFailedError(f"{target} is not ready after {READY_TIMEOUT:g} s")
        time.sleep(0.2)


def answers(url: str) -> bool:
    """Whether a URL answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def check_process(target: str, port: int) -> None:
    """The process runs as its own user, and its root cannot be written."""
    processes = serving(port)
    if not processes:
        raise CheckFailedError(f"{target} answers, but no process of it can be seen")
    for process in processes:
        status = (process / "status").read_text()
        uid = int(next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1])
        mounts = (process / "mounts").read_text().splitlines()
        options = next(line.split()[3] for line in mounts if line.split()[1] == "/")
        if uid != USER or "ro" not in options.split(","):
            raise CheckFailedError(f"{target} runs as {uid}, on a root mounted {options}")


def serving(port: int) -> list[Path]:
    """The processes that were told to serve at a port."""
    told = f"INFRAWATCH_HTTP_PORT={port}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (
                told in (process / "environ").read_bytes().split(b"\0")
                and b"infrawatch" in (process / "cmdline").read_bytes()
            ):
                found.append(process)
        except OSError:
            continue
    return [process for process in found if b"--env" not in (process / "cmdline").read_bytes()]


def stop(port: int, container: "subprocess.Popen[bytes]") -> None:
    """Stop a container by its own process, and then whatever ran it."""
    for process in serving(port):
        os.kill(int(process.name), 15)
    try:
        container.wait(30)
    except subprocess.TimeoutExpired:
        container.kill()


if __name__ == "__main__":
    sys.exit(main())
