import os
import socket

import pytest

from infrawatch_local import ports
from infrawatch_local.errors import LocalError

TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:A000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1
   2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0
"""


def test_only_listeners_on_the_port_count() -> None:
    assert ports.listening(TABLE, 8080) == ["4711"]


def test_a_conflict_names_port_program_holder_and_setting() -> None:
    said = ports.conflict("api", "api", 8080, "pid 123 (nginx)")
    assert said == (
        "port 8080 (api) is taken by pid 123 (nginx): stop it, or set INFRAWATCH_LOCAL_API_PORT to another port"
    )


def test_a_taken_port_is_found_with_its_holder() -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(LocalError, match=rf"port {port} \(api\) is taken by pid {os.getpid()} "):
            ports.check_free("api", {"api": port})
    ports.check_free("api", {"api": port})


def test_free_ports_differ_and_lie_below_those_of_outgoing_connections() -> None:
    found = ports.free_ports(20)
    assert len(set(found)) == 20
    assert max(found) < 32768
