"""Administration of Kafka: topics, access rules, users with SCRAM-SHA-512.

By librdkafka, since aiokafka's own client knows neither rules nor users. Its calls go out from threads of its own and
block nobody here.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from infrawatch_common.settings import KafkaAdminSettings

# Passwords here are random and long, so that further iterations protect nothing; fewer are not allowed.
_ITERATIONS = 4096
_NO_AUTHORIZER = "the broker has no authorizer, so it keeps no access rules; set authorizer.class.name there"


class KafkaAdminError(Exception):
    """The broker did not do it, or did not answer in time; the message says which."""


class Kind(Enum):
    """What a rule is about."""

    TOPIC = ResourceType.TOPIC
    GROUP = ResourceType.GROUP
    CLUSTER = ResourceType.BROKER


class Operation(Enum):
    """What a rule allows. Each implies the right to describe."""

    READ = AclOperation.READ
    WRITE = AclOperation.WRITE
    ALTER = AclOperation.ALTER


@dataclass(frozen=True, slots=True)
class Rule:
    """A principal may do something with a thing, from any address; ``*`` is every user that has proved who it is."""

    user: str
    operation: Operation
    kind: Kind
    name: str


class KafkaAdmin:
    """An administrator's connection; it is made at the first call. Every call raises ``KafkaAdminError``."""

    def __init__(self, settings: KafkaAdminSettings) -> None:
        self._settings = settings
        self._client: AdminClient | None = None

    async def create_topics(self, topics: Iterable[NewTopic]) -> list[str]:
        """Create what is missing; the names of the new topics."""
        client = await self._connected()
        created = []
        for name, future in client.create_topics(
            list(topics), request_timeout=self._settings.kafka_admin_timeout
        ).items():
            if await self._done(future, unless=KafkaError.TOPIC_ALREADY_EXISTS):
                created.append(name)
        return created

    async def allow(self, rules: Iterable[Rule]) -> None:
        """Write rules; one that is there already stays as it is."""
        client = await self._connected()
        bindings = [_binding(rule) for rule in rules]
        timeout = self._settings.kafka_admin_timeout
        for future in client.create_acls(bindings, request_timeout=timeout).values():
            await self._done(future)

    async def put_users(self, passwords: Mapping[str, str]) -> None:
        """Create users, or give them other passwords."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
        await self._alter(
            [UserScramCredentialUpsertion(user, info, password.encode()) for user, password in passwords.items()]
        )

    async def delete_users(self, users: Iterable[str]) -> None:
        """Delete users; one that is not there is no error."""
        await self._alter([UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512) for user in users])

    async def users(self, prefix: str) -> set[str]:
        """The users whose names begin so."""
        client = await self._connected()
        future = client.describe_user_scram_credentials(request_timeout=self._settings.kafka_admin_timeout)
        return {user for user in await self._done(future) or {} if user.startswith(prefix)}

    async def _alter(self, alterations: list[Any]) -> None:
        if not alterations:
            return
        client = await self._connected()
        timeout = self._settings.kafka_admin_timeout
        for future in client.alter_user_scram_credentials(alterations, request_timeout=timeout).values():
            await self._done(future, unless=KafkaError.RESOURCE_NOT_FOUND)

    async def _connected(self) -> AdminClient:
        if self._client is None:
            # reads certificates
            self._client = await asyncio.to_thread(_connect, self._settings)
        return self._client

    async def _done(self, future: "Future[Any] | dict[str, Future[Any]]", unless: int | None = None) -> Any:
        """The result, or True when there is none; False when the error is ``unless``."""
        assert isinstance(future, Future)
        try:
            async with asyncio.timeout(self._settings.kafka_admin_timeout + 1):
                result = await asyncio.wrap_future(future)
        except KafkaException as error:
            if error.args[0].code() == unless:
                return False
            raise KafkaAdminError(_words(error.args[0], self._settings)) from error
        except TimeoutError as error:
            raise KafkaAdminError(_no_answer(self._settings)) from error
        return True if result is None else result


def _connect(settings: KafkaAdminSettings) -> AdminClient:
    logger = logging.getLogger("infrawatch.kafka.admin")
    logger.setLevel(logging.ERROR)
    try:
        return AdminClient(_options(settings), logger=logger)
    except KafkaException as error:
        raise KafkaAdminError(error.args[0].str()) from error


def _options(settings: KafkaAdminSettings) -> dict[str, str | int | float | bool]:
    options: dict[str, str | int | float | bool] = {
        "bootstrap.servers": settings.kafka_bootstrap_servers,
        "security.protocol": settings.kafka_security_protocol,
        "client.id": "infrawatch-admin",
    }
    if settings.kafka_ca_file is not None:
        options["ssl.ca.location"] = str(settings.kafka_ca_file)
    if settings.kafka_security_protocol.startswith("SASL"):
        password = settings.kafka_password.get_secret_value() if settings.kafka_password else ""
        options |= {
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": settings.kafka_username or "",
            "sasl.password": password,
        }
    return options


def _binding(rule: Rule) -> AclBinding:
    return AclBinding(
        rule.kind.value,
        "kafka-cluster" if rule.kind is Kind.CLUSTER else rule.name,
        ResourcePatternType.LITERAL,
        f"User:{rule.user}",
        "*",
        rule.operation.value,
        AclPermissionType.ALLOW,
    )


def _words(error: KafkaError, settings: KafkaAdminSettings) -> str:
    if error.code() == KafkaError.SECURITY_DISABLED:
        return _NO_AUTHORIZER
    if error.code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):  # noqa: SLF001 - librdkafka's own codes are named so
        return _no_answer(settings)
    return str(error.str())


def _no_answer(settings: KafkaAdminSettings) -> str:
    return f"Kafka at {settings.kafka_bootstrap_servers} did not answer within {settings.kafka_admin_timeout:g} s"
