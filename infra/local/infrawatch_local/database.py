"""PostgreSQL with TimescaleDB."""

import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from infrawatch_local import sandbox
from infrawatch_local.commands import output_of, run_logged
from infrawatch_local.ports import LOOPBACK
from infrawatch_local.probes import postgres_accepts
from infrawatch_local.program import Component, Program
from infrawatch_local.tree import Runtime

_BIN = "/usr/lib/postgresql/17/bin"
_FAST_SHUTDOWN = signal.SIGINT
_PASSWORD_IN_TREE = "/tmp/password"  # noqa: S108 - a file system of the sandbox alone

_HBA = """\
# Loopback only, and everybody by password: other users of this machine can reach the port too.
host all all 127.0.0.1/32 scram-sha-256
"""


def postgresql_conf(port: int) -> str:
    """The server's configuration."""
    return f"""\
listen_addresses = '{LOOPBACK}'
port = {port}
# No socket file: its path must be short, and a checkout's path may be long.
unix_socket_directories = ''
hba_file = '/data/pg_hba.conf'
password_encryption = 'scram-sha-256'
max_connections = 100

shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = 'off'
timescaledb.max_background_workers = 16
max_worker_processes = 28

fsync = on
shared_buffers = '256MB'
max_wal_size = '1GB'

timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
"""


class Database(Component):
    """The server; its data lies in ``directory``, the superuser's password in ``password_file``."""

    def __init__(self, runtime: Runtime, directory: Path, password_file: Path, port: int) -> None:
        self._runtime = runtime
        self._directory = directory
        self._password_file = password_file
        self._port = port

    @property
    def name(self) -> str:
        """Its name."""
        return "database"

    @property
    def ports(self) -> Mapping[str, int]:
        """The one port."""
        return {"database": self._port}

    def program(self) -> Program:
        """The postmaster with its configuration."""
        return Program(
            name=self.name,
            command=self._in_tree(f"{_BIN}/postgres", "-D", "/data/cluster", "-c", "config_file=/data/postgresql.conf"),
            stop_signal=_FAST_SHUTDOWN,
            sandboxed=True,
            files={
                str(self._directory / "postgresql.conf"): postgresql_conf(self._port),
                str(self._directory / "pg_hba.conf"): _HBA,
            },
        )

    def prepare(self, log_dir: Path) -> None:
        """Make the cluster, once; and let no stale lock file of a crash stand in the way of a start."""
        cluster = self._directory / "cluster"
        if cluster.exists():
            remove_stale_lock(cluster / "postmaster.pid")
            return
        # made beside and renamed, so that an interrupted attempt is not taken for a cluster
        command = (
            *("sh", "-c", 'rm -rf cluster.new && "$@" && mv cluster.new cluster', "sh"),
            *(f"{_BIN}/initdb", "--pgdata=/data/cluster.new", "--username=postgres"),
            *(f"--pwfile={_PASSWORD_IN_TREE}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"),
        )
        run_logged(
            self._in_tree(*command, read_only={self._password_file: _PASSWORD_IN_TREE}),
            log_dir / "database-init.log",
            "making the database cluster",
            environment=sandbox.ENVIRONMENT,
        )

    def is_ready(self) -> bool:
        """Whether it accepts connections."""
        return postgres_accepts(self._port)

    def url(self, role: str = "postgres", database: str = "postgres") -> str:
        """The address, without a password."""
        return f"postgresql://{role}@{LOOPBACK}:{self._port}/{database}"

    def create_database(self, name: str, log_dir: Path) -> None:
        """Create a database of the superuser, unless it exists."""
        exists = f"SELECT 1 FROM pg_database WHERE datname = '{name}'"
        if not self._query(exists, log_dir):
            self._query(f'CREATE DATABASE "{name}" OWNER postgres', log_dir)

    def _query(self, statement: str, log_dir: Path) -> str:
        command = self._in_tree(f"{_BIN}/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, self.url())
        environment = {**sandbox.ENVIRONMENT, "PGPASSWORD": self._password_file.read_text()}
        return output_of(command, log_dir / "database-create.log", "creating the database", environment).strip()

    def _in_tree(self, *command: str, read_only: Mapping[Path, str] | None = None) -> tuple[str, ...]:
        return self._runtime.sandbox.command(self._directory, command, read_only)


def remove_stale_lock(lock: Path, proc: Path = Path("/proc")) -> None:
    """Remove the lock file of a server that died, when its pid went to some other program meanwhile.

    PostgreSQL only asks whether that pid lives, and would refuse to start for ever. A second server on the same data
    remains impossible: the shared memory is locked too.
    """
    with suppress(FileNotFoundError):
        pid = lock.read_text().partition("\n")[0]
        try:
            name = (proc / pid / "comm").read_text().strip()
        except OSError:
            return
        if name != "postgres":
            lock.unlink()
