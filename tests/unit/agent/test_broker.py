import ssl
from typing import Any

import pytest

from infrawatch_agent.broker import connection_options
from infrawatch_agent.identity import Identity, IdentityError, KafkaAccess
from infrawatch_agent.settings import parse

TOLD = KafkaAccess("kafka.example:9094", "SASL_SSL", "infrawatch-agent-1", "a password")
ENROLLED = Identity("host-a", "0" * 32, "AAAA", kafka=TOLD)


def options(identity: Identity | None, **settings: str) -> dict[str, Any]:
    return connection_options(
        parse({f"INFRAWATCH_{name.upper()}": value for name, value in settings.items()}), identity
    )


def test_an_agent_connects_as_it_was_told_at_its_enrolment() -> None:
    made = options(ENROLLED)
    assert made["bootstrap_servers"] == "kafka.example:9094"
    assert (made["security_protocol"], made["sasl_mechanism"]) == ("SASL_SSL", "SCRAM-SHA-512")
    assert (made["sasl_plain_username"], made["sasl_plain_password"]) == ("infrawatch-agent-1", "a password")
    assert made["ssl_context"].check_hostname
    assert made["ssl_context"].verify_mode is ssl.CERT_REQUIRED


def test_its_own_settings_win_one_by_one() -> None:
    made = options(ENROLLED, kafka_bootstrap_servers="near:9094", kafka_password="another")
    assert (made["bootstrap_servers"], made["sasl_plain_username"]) == ("near:9094", "infrawatch-agent-1")
    assert made["sasl_plain_password"] == "another"


@pytest.mark.parametrize("identity", [None, Identity("host-a", "0" * 32, "AAAA")])
def test_without_either_it_connects_to_this_machine_without_protection(identity: Identity | None) -> None:
    made = options(identity)
    assert (made["bootstrap_servers"], made["security_protocol"]) == ("localhost:29092", "PLAINTEXT")


def test_sasl_without_user_and_an_unreadable_authority_are_said_at_the_start() -> None:
    with pytest.raises(IdentityError, match="needs INFRAWATCH_KAFKA_USERNAME"):
        options(None, kafka_security_protocol="SASL_SSL")
    with pytest.raises(IdentityError, match="INFRAWATCH_KAFKA_CA_FILE names /nowhere"):
        options(ENROLLED, kafka_ca_file="/nowhere")


def test_no_password_shows_in_what_could_be_logged() -> None:
    assert "a password" not in repr(ENROLLED) + repr(TOLD)
