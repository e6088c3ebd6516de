"""Whether a connection may write a topic, without writing anything: the broker tells a client its own rights."""

from collections.abc import Sequence
from typing import Any

from aiokafka.errors import NoError, TopicAuthorizationFailedError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

_METADATA = 3
_VERSION = 8  # the first that tells rights, and spoken by every broker since 2019
_WRITE = 1 << 4  # AclOperation.WRITE


class _Metadata(Response):
    API_KEY = _METADATA
    API_VERSION = _VERSION
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", String()), ("port", Int32), ("rack", String()))),
        ("cluster_id", String()),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String()),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("authorized_operations", Int32),
    )


class _MetadataRequest(RequestStruct):
    API_KEY = _METADATA
    API_VERSION = _VERSION
    RESPONSE_TYPE = _Metadata
    SCHEMA = Schema(
        ("topics", Array(String())),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _TopicRights(Request[_MetadataRequest]):
    API_KEY = _METADATA

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_MetadataRequest]) -> _MetadataRequest:
        return request_struct_class(self._topics, False, False, True)


async def topic_problems(connection: Any, topics: Sequence[str]) -> dict[str, str | None]:
    """Topic → why records cannot be written there, None when they can. Raises ``KafkaError``."""
    response = await connection.send(_TopicRights(list(topics)))
    told = {topic: (code, operations) for code, topic, _, _, operations in response.topics}
    return {topic: _problem(*told[topic]) if topic in told else "the broker says nothing of it" for topic in topics}


def _problem(code: int, operations: int) -> str | None:
    error: Any = for_code(code)
    if error is UnknownTopicOrPartitionError:
        return "there is no such topic"
    if error is TopicAuthorizationFailedError:
        return "this host may not even read about it"
    if error is not NoError:
        return f"the broker says {error.message}"
    return None if operations & _WRITE else "this host may read about it, but not write it"
