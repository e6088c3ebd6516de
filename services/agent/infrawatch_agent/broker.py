"""The connection to Kafka: what an agent's settings say of it, and what it was told at its enrolment."""

import ssl
from typing import Any

from aiokafka.helpers import create_ssl_context

from infrawatch_agent.identity import Identity, IdentityError
from infrawatch_agent.settings import Settings, variable

_DEFAULT_SERVERS = "localhost:29092"


def connection_options(settings: Settings, identity: Identity | None) -> dict[str, Any]:
    """Arguments of every client; each setting wins over what the host was told at its enrolment.

    Raises ``IdentityError`` when they cannot make a connection.
    """
    told = identity.kafka if identity else None
    protocol = settings.kafka_security_protocol or (told.security_protocol if told else "PLAINTEXT")
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers or (told.bootstrap_servers if told else _DEFAULT_SERVERS),
        "security_protocol": protocol,
        "client_id": "infrawatch-agent",
    }
    if protocol.endswith("SSL"):
        trusted = None if settings.kafka_ca_file or told is None else told.ca
        options["ssl_context"] = _trusting(settings.kafka_ca_file, trusted)
    if protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": settings.kafka_username or (told.username if told else None),
            "sasl_plain_password": settings.kafka_password or (told.password if told else None),
        }
        if None in options.values():
            msg = (
                f"{variable('kafka_security_protocol')} is {protocol}, which needs {variable('kafka_username')} and"
                f" {variable('kafka_password')}: the enrolment gave this host no user"
            )
            raise IdentityError(msg)
    return options


def _trusting(file: str | None, certificates: str | None) -> ssl.SSLContext:
    try:
        return create_ssl_context(cafile=file, cadata=certificates)
    except OSError as error:
        source = f"{variable('kafka_ca_file')} names {file}, which" if file else "the authority told at the enrolment"
        msg = f"{source} cannot be used: {error}"
        raise IdentityError(msg) from error
