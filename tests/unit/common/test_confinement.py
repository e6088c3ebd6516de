import asyncio
import os
import socket
import subprocess
import sys
import syslog
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infrawatch_common.notices.addresses import Targets
from infrawatch_common.notices.confinement import RefusedError, confined

LOOPBACK = Targets.parse(["127.0.0.1"])


@pytest.fixture
def listener() -> Iterator[int]:
    """A port of this machine, on all its addresses."""
    with socket.create_server(("0.0.0.0", 0)) as server:
        yield server.getsockname()[1]


def connect(host: str, port: int) -> None:
    socket.create_connection((host, port), timeout=5).close()


def test_it_connects_only_where_messages_may_go(listener: int) -> None:
    with confined(LOOPBACK) as confinement:
        connect("127.0.0.1", listener)
        assert confinement.refusals == []
        with pytest.raises(RefusedError, match=r"127\.0\.0\.2 is a loopback address"):
            connect("127.0.0.2", listener)
    assert confinement.refusals == ["127.0.0.2 is a loopback address; allow it by INFRAWATCH_PRIVATE_TARGETS"]
    connect("127.0.0.2", listener)


def test_an_allowed_name_allows_the_addresses_that_it_has(listener: int) -> None:
    with confined(Targets.parse(["localhost"])):
        connect("localhost", listener)
        connect("127.0.0.1", listener)
        with pytest.raises(RefusedError):
            connect("127.0.0.2", listener)


def test_without_targets_it_connects_to_nothing(listener: int) -> None:
    with confined(None), pytest.raises(RefusedError, match="must not connect to anything"):
        connect("127.0.0.1", listener)


def test_after_its_time_it_connects_to_nothing(listener: int) -> None:
    with confined(LOOPBACK, until=time.monotonic() - 1), pytest.raises(RefusedError, match="its time was up"):
        connect("127.0.0.1", listener)


def test_it_sends_no_datagram_to_a_private_address() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, confined(Targets()):
        with pytest.raises(RefusedError):
            datagrams.sendto(b"x", ("127.0.0.1", 9))
        with pytest.raises(RefusedError):
            datagrams.sendmsg([b"x"], [], 0, ("127.0.0.1", 9))
        with pytest.raises(RefusedError):
            datagrams.connect_ex(("127.0.0.1", 9))


def test_a_name_that_the_connection_itself_would_look_up_is_refused(listener: int) -> None:
    with socket.socket() as one, confined(LOOPBACK), pytest.raises(RefusedError, match="is not an address"):
        one.connect(("localhost", listener))


def test_it_uses_no_local_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one, confined(LOOPBACK), pytest.raises(RefusedError, match="local sockets"):
        one.connect(str(tmp_path / "docker.sock"))


def test_asyncio_in_the_thread_is_confined_too(listener: int) -> None:
    loop = asyncio.SelectorEventLoop()
    with socket.socket() as one, confined(LOOPBACK):
        one.setblocking(False)
        with pytest.raises(RefusedError):
            loop.run_until_complete(loop.sock_connect(one, ("127.0.0.2", listener)))
    loop.close()


@pytest.mark.parametrize(
    "act",
    [
        open,
        lambda path: open(path.parent / "new", "w"),  # noqa: PTH123, SIM115
        lambda path: os.open(path, os.O_RDONLY),
        lambda path: path.read_text(),
        lambda path: path.unlink(),
        lambda path: path.rename(path.parent / "other"),
        lambda path: (path.parent / "d").mkdir(),
        lambda path: path.chmod(0o777),
        lambda _path: open("/etc/passwd"),  # noqa: PTH123, SIM115
        lambda _path: open(Path(os.__file__).parent / ".." / ".." / ".." / "etc" / "passwd"),  # noqa: PTH123, SIM115
        lambda _path: open(Path(os.__file__).parent / "new.pyc", "wb"),  # noqa: PTH123, SIM115
        lambda _path: subprocess.run(["true"], check=False),
        lambda _path: os.system("true"),
        lambda _path: os.fork(),
        lambda _path: os.execv("/bin/true", ["true"]),
        lambda _path: os.posix_spawn("/bin/true", ["true"], {}),
        lambda _path: syslog.syslog("x"),
        *([lambda _path: threading.Thread(target=print).start()] if sys.version_info >= (3, 12) else []),
    ],
)
def test_it_does_nothing_else_to_the_machine(act: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("CANARY")
    with confined(LOOPBACK), pytest.raises(PermissionError, match="it must not"):
        act(path)
    assert path.read_text() == "CANARY"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_python_reads_its_own_files() -> None:
    with confined(LOOPBACK):
        assert Path(os.__file__).read_text(encoding="utf-8")


def test_other_threads_are_free_meanwhile(listener: int) -> None:
    done: list[object] = []

    def free() -> None:
        connect("127.0.0.2", listener)
        done.append(Path("/etc/passwd").read_bytes())

    began, ended = threading.Event(), threading.Event()

    def confine() -> None:
        with confined(None):
            began.set()
            ended.wait()

    one = threading.Thread(target=confine)
    one.start()
    began.wait()
    free()
    ended.set()
    one.join()
    assert len(done) == 1


def test_the_hook_leaves_programs_alone_that_confine_nothing() -> None:
    module = "infrawatch_common.notices.confinement"
    code = f"from {module} import confined\nwith confined(None): pass\nopen('/etc/passwd').close()"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
