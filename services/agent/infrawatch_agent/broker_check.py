"""How far towards a broker this host gets: name, connection, TLS, sign-in, topics; each step by itself."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)

from infrawatch_agent.findings import Finding
from infrawatch_agent.settings import variable
from infrawatch_agent.topic_access import topic_problems

_TIMEOUT = 5.0
_CONNECTION_OPTIONS = (
    *("client_id", "security_protocol", "ssl_context"),
    *("sasl_mechanism", "sasl_plain_username", "sasl_plain_password"),
)


async def broker_problem(options: dict[str, Any]) -> str:
    """What is wrong on the way to the brokers, and what to do; empty when nothing is."""
    findings = [finding async for finding in broker_findings(options, ())]
    return " ".join(f"{finding.found}. {finding.remedy}" for finding in findings if not finding.good)


async def broker_findings(options: dict[str, Any], topics: Sequence[str]) -> AsyncIterator[Finding]:
    """What is found at each bootstrap server; the first that answers tells of the topics.

    ``options`` are those of a client.
    """
    rights_known = False
    for host, port, _ in collect_hosts(options["bootstrap_servers"], randomize=False):
        problem = await _connect_problem(host, port, options.get("ssl_context"))
        if problem is not None:
            yield problem
            continue
        try:
            connection = await _signed_in(host, port, options)
        except (KafkaError, OSError) as error:
            yield _sign_in_problem(f"{host}:{port}", error, options)
            continue
        user = options.get("sasl_plain_username")
        yield Finding("broker", f"{host}:{port} answers" + (f", signed in as {user}" if user else ""))
        if not rights_known:
            rights_known = True
            async for finding in _topics(connection, topics):
                yield finding
        connection.close()


async def _connect_problem(host: str, port: int, context: ssl.SSLContext | None) -> Finding | None:
    """The step of name, connection and TLS that fails."""
    problem = await _network_problem(host, port)
    return await _tls_problem(host, port, context) if problem is None and context is not None else problem


async def _network_problem(host: str, port: int) -> Finding | None:
    where, servers = f"{host}:{port}", variable("kafka_bootstrap_servers")
    try:
        await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        await _open(host, port, None)
    except socket.gaierror as error:
        remedy = f"Check {servers} and this host's DNS."
        return Finding("broker name", f"{host} has no address ({error.strerror})", remedy)
    except TimeoutError:
        return Finding("broker connection", f"{where} does not answer", "A firewall may be in the way.")
    except OSError as error:
        remedy = f"Check {servers}, and whether the broker runs."
        return Finding("broker connection", f"{where} cannot be reached ({error.strerror or error})", remedy)
    return None


async def _tls_problem(host: str, port: int, context: ssl.SSLContext) -> Finding | None:
    where = f"{host}:{port}"
    try:
        await _open(host, port, context)
    except ssl.SSLCertVerificationError as error:
        remedy = f"Check {variable('kafka_ca_file')}, the host name and this host's clock."
        return Finding("broker TLS", f"{where} has a certificate that is not trusted: {error.verify_message}", remedy)
    except (OSError, TimeoutError):
        remedy = f"Check the port and {variable('kafka_security_protocol')}."
        return Finding("broker TLS", f"{where} does not speak TLS", remedy)
    return None


async def _open(host: str, port: int, context: ssl.SSLContext | None) -> None:
    async with asyncio.timeout(_TIMEOUT):
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    writer.transport.abort()


async def _signed_in(host: str, port: int, options: dict[str, Any]) -> Any:
    names = (
        "client_id",
        "security_protocol",
        "ssl_context",
        "sasl_mechanism",
        "sasl_plain_username",
        "sasl_plain_password",
    )
    known = {name: options[name] for name in names if name in options}
    return await create_conn(host, port, request_timeout_ms=int(1000 * _TIMEOUT), **known)


def _sign_in_problem(where: str, error: Exception, options: dict[str, Any]) -> Finding:
    cause = error.__cause__ or error
    protocol = options["security_protocol"]
    remedy = f"Check the port and {variable('kafka_security_protocol')}, which is {protocol}."
    if isinstance(cause, SaslAuthenticationFailed):
        user = options.get("sasl_plain_username")
        return Finding(
            "broker sign-in", f"{where} refuses user {user} or its password", "Enrol anew, or set both right."
        )
    if isinstance(cause, (UnsupportedSaslMechanismError, IllegalSaslStateError)):
        return Finding("broker sign-in", f"{where} does not take SCRAM-SHA-512", remedy)
    return Finding("broker protocol", f"{where} takes connections but does not answer as Kafka with {protocol}", remedy)


async def _topics(connection: Any, topics: Sequence[str]) -> AsyncIterator[Finding]:
    try:
        problems = await topic_problems(connection, topics)
    except (KafkaError, OSError, TimeoutError) as error:
        yield Finding("topics", f"the broker does not tell of them: {error!r}", "Is it older than Kafka 2.3?")
        return
    for topic, problem in problems.items():
        if problem is None:
            yield Finding("topic", f"{topic} can be written")
        else:
            yield Finding("topic", f"{topic}: {problem}", "Create it, or let this host's user write it.")
