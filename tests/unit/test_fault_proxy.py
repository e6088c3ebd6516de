"""The proxy makes the faults that it claims to make."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from faults.proxy import FaultProxy


class Echo:
    """A server that sends back what it gets."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                while chunk := connection.recv(4096):
                    connection.sendall(chunk)
            except OSError:
                return


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    echo = Echo()
    with FaultProxy(echo.port) as made:
        yield made
    echo.close()


def connect(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection((proxy.host, proxy.port), timeout=0.4)


def exchange(connection: socket.socket, message: bytes = b"hello") -> bytes:
    connection.sendall(message)
    return connection.recv(4096)


def test_without_a_fault_everything_passes(proxy: FaultProxy) -> None:
    with connect(proxy) as connection:
        assert exchange(connection) == b"hello"


def test_delay_counts_each_way(proxy: FaultProxy) -> None:
    proxy.delay = 0.1
    with connect(proxy) as connection:
        began = time.monotonic()
        assert exchange(connection) == b"hello"
        assert time.monotonic() - began >= 0.2


def test_loss_makes_chunks_late_and_keeps_their_order(proxy: FaultProxy) -> None:
    proxy.loss = 1.0
    with connect(proxy) as connection:
        connection.settimeout(5)
        began = time.monotonic()
        connection.sendall(b"first")
        connection.sendall(b"second")
        received = b""
        while len(received) < 11:
            received += connection.recv(4096)
        assert received == b"firstsecond"
        assert time.monotonic() - began >= 0.4


def test_a_frozen_network_says_nothing_and_delivers_later(proxy: FaultProxy) -> None:
    with connect(proxy) as connection:
        assert exchange(connection) == b"hello"
        proxy.freeze()
        with pytest.raises(TimeoutError):
            exchange(connection, b"held back")
        proxy.thaw()
        assert connection.recv(4096) == b"held back"


def test_a_half_open_connection_stays_silent_while_new_ones_work(proxy: FaultProxy) -> None:
    with connect(proxy) as stranded:
        assert exchange(stranded) == b"hello"
        proxy.strand()
        with pytest.raises(TimeoutError):
            exchange(stranded)
        with connect(proxy) as fresh:
            assert exchange(fresh) == b"hello"


def test_a_cut_is_seen_at_once(proxy: FaultProxy) -> None:
    with connect(proxy) as connection:
        assert exchange(connection) == b"hello"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            exchange(connection)


def test_a_target_that_is_away_resets_the_client() -> None:
    echo = Echo()
    echo.close()
    with FaultProxy(echo.port) as proxy, pytest.raises(ConnectionResetError):
        first_byte(proxy)


def first_byte(proxy: FaultProxy) -> bytes:
    with connect(proxy) as connection:
        return connection.recv(1)
