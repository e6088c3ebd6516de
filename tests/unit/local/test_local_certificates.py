from collections.abc import Sequence
from pathlib import Path

import pytest

from infrawatch_local import certificates

NAMES = ("DNS:localhost", "IP:127.0.0.1")


class Openssl:
    """Makes files as openssl does, and says of certificates what the test wants."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.expiring: set[str] = set()

    def __call__(self, directory: Path, arguments: Sequence[str]) -> bool:
        if arguments[0] == "x509":
            return arguments[-1] not in self.expiring
        self.made.append(arguments[arguments.index("-extensions") + 1])
        (directory / "new.key").write_text(f"key {len(self.made)}\n")
        (directory / "new.pem").write_text(f"certificate {len(self.made)}\n")
        return True


def test_what_is_there_stays(tmp_path: Path) -> None:
    openssl = Openssl()
    assert certificates.ensure(tmp_path, NAMES, openssl)
    assert not certificates.ensure(tmp_path, NAMES, openssl)
    assert openssl.made == ["authority", "server"]
    assert (tmp_path / "server.pem").read_text() == "key 2\ncertificate 2\n"


def test_an_expiring_certificate_is_renewed_by_the_same_authority(tmp_path: Path) -> None:
    openssl = Openssl()
    certificates.ensure(tmp_path, NAMES, openssl)
    openssl.expiring = {"server.pem"}
    assert certificates.ensure(tmp_path, NAMES, openssl)
    assert openssl.made == ["authority", "server", "server"]
    assert (tmp_path / "ca.pem").read_text() == "certificate 1\n"


def test_other_names_take_another_certificate(tmp_path: Path) -> None:
    openssl = Openssl()
    certificates.ensure(tmp_path, NAMES, openssl)
    assert certificates.ensure(tmp_path, ("DNS:kafka",), openssl)


def test_an_expiring_authority_takes_everything_with_it(tmp_path: Path) -> None:
    openssl = Openssl()
    certificates.ensure(tmp_path, NAMES, openssl)
    openssl.expiring = {"ca.pem"}
    certificates.ensure(tmp_path, NAMES, openssl)
    assert openssl.made[2:] == ["authority", "server"]


def test_keys_are_their_owners_alone_and_nothing_else_stays(tmp_path: Path) -> None:
    certificates.ensure(tmp_path, NAMES, Openssl())
    assert {path.name for path in tmp_path.iterdir()} == {"ca.key", "ca.pem", "server.pem", "server.names"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())


def test_a_failure_is_said_and_leaves_no_half_certificate(tmp_path: Path) -> None:
    with pytest.raises(certificates.CertificateError, match="openssl made no certificate"):
        certificates.ensure(tmp_path, NAMES, lambda _directory, _arguments: False)
    assert list(tmp_path.iterdir()) == []
