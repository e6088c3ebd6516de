"""An authority of one's own, and the certificate that it gives to the broker, both made by openssl.

Agents are told to trust the authority alone, so it stays when the broker's certificate is renewed.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from infrawatch_local import secret_files

AUTHORITY = "ca.pem"
# Of the broker: its private key, then its certificate; Kafka takes both from one file.
SERVER = "server.pem"

_AUTHORITY_KEY = "ca.key"
_AUTHORITY_DAYS = 3650
_SERVER_DAYS = 397  # the longest that common clients take
_RENEW_BEFORE_SECONDS = 30 * 86_400

# Runs ``openssl ARGUMENTS`` in a directory; whether it succeeded.
Openssl = Callable[[Path, Sequence[str]], bool]

_CONFIGURATION = """\
[req]
distinguished_name = name
prompt = no
string_mask = utf8only
[name]
commonName = {name}
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
{names}
"""
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")


class CertificateError(Exception):
    """openssl could not make what was asked for."""


def ensure(directory: Path, names: Sequence[str], openssl: Openssl) -> bool:
    """Make what is missing and renew what expires soon, or was made for other names; whether anything is new.

    ``names`` are those by which clients reach the broker, as X.509 writes them: ``DNS:localhost``, ``IP:127.0.0.1``.
    Raises ``CertificateError``.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    made_for = directory / "server.names"
    wanted = ",".join(names)
    authority_is_new = not _lasts(directory, AUTHORITY, openssl)
    if authority_is_new:
        _make_authority(directory, openssl)
    known = made_for.exists() and made_for.read_text() == wanted
    if not authority_is_new and known and _lasts(directory, SERVER, openssl):
        return False
    _make_server(directory, wanted, openssl)
    secret_files.write_private(made_for, wanted)
    return True


def _lasts(directory: Path, name: str, openssl: Openssl) -> bool:
    check = ("x509", "-noout", "-checkend", str(_RENEW_BEFORE_SECONDS), "-in", name)
    return (directory / name).exists() and openssl(directory, check)


def _make_authority(directory: Path, openssl: Openssl) -> None:
    kind = ("-extensions", "authority", "-days", str(_AUTHORITY_DAYS))
    key, certificate = _make(directory, _CONFIGURATION.format(name="Infra-Watch authority", names=""), kind, openssl)
    secret_files.write_private(directory / _AUTHORITY_KEY, key)
    secret_files.write_private(directory / AUTHORITY, certificate)


def _make_server(directory: Path, names: str, openssl: Openssl) -> None:
    signed = ("-CA", AUTHORITY, "-CAkey", _AUTHORITY_KEY)
    kind = ("-extensions", "server", "-days", str(_SERVER_DAYS), *signed)
    configuration = _CONFIGURATION.format(name="Infra-Watch Kafka", names=f"subjectAltName = {names}")
    secret_files.write_private(directory / SERVER, "".join(_make(directory, configuration, kind, openssl)))


def _make(directory: Path, configuration: str, kind: Sequence[str], openssl: Openssl) -> tuple[str, str]:
    """A new private key and its certificate."""
    settings, key, certificate = (directory / name for name in ("new.conf", "new.key", "new.pem"))
    secret_files.write_private(settings, configuration)
    secret_files.write_private(key, "")  # with its mode before openssl writes into it
    output = ("-keyout", key.name, "-out", certificate.name)
    try:
        if not openssl(directory, ("req", "-x509", "-config", settings.name, *kind, *_NEW_KEY, *output)):
            msg = f"openssl made no certificate in {directory}"
            raise CertificateError(msg)
        return key.read_text(), certificate.read_text()
    finally:
        for made in (settings, key, certificate):
            made.unlink(missing_ok=True)
