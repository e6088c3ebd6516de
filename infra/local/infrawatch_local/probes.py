"""Questions to servers: are you ready? Answered by what a client would see, not by an open port."""

import http.client
import json
import socket
import struct
from typing import Any

from infrawatch_local.ports import LOOPBACK

_TIMEOUT = 3.0


def kafka_answers(port: int) -> bool:
    """Whether a broker answers an ApiVersions request; it does so only once it is registered and unfenced."""
    api_versions, version, correlation, no_client = 18, 0, 1, -1
    request = struct.pack(">hhih", api_versions, version, correlation, no_client)
    return len(_exchange(port, struct.pack(">i", len(request)) + request)) > 0


def postgres_accepts(port: int) -> bool:
    """Whether PostgreSQL asks for a password; while it starts, recovers or stops, it sends an error instead."""
    protocol = 3 << 16
    parameters = b"user\0postgres\0database\0postgres\0\0"
    message = struct.pack(">ii", 8 + len(parameters), protocol) + parameters
    return _exchange(port, message)[:1] == b"R"


def http_ok(port: int, path: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        return get(port, path, {})[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def get_json(port: int, path: str, token: str) -> tuple[int, Any]:
    """Status and body of a GET with a bearer token; the body is None when it is not JSON."""
    status, body = get(port, path, {"Authorization": f"Bearer {token}"})
    try:
        return status, json.loads(body)
    except ValueError:
        return status, None


def get(port: int, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and body of a GET; straight to the port, whatever proxies the environment names."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_TIMEOUT)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _exchange(port: int, message: bytes) -> bytes:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=_TIMEOUT) as connection:
            connection.sendall(message)
            return connection.recv(1024)
    except OSError:
        return b""
