import pytest
from pydantic import ValidationError

from infrawatch_common.topics import TopicSettings, declared_rules

PASSWORD = "a password that is long enough"


def rules(**settings: object) -> set[tuple[str, str, str, str]]:
    declared = declared_rules(TopicSettings.model_validate({"kafka_access": True, **settings}))
    return {(rule.user, rule.operation.name, rule.kind.name, rule.name) for rule in declared}


def test_agents_may_write_their_topics_and_nothing_else() -> None:
    assert rules() == {
        ("*", "WRITE", "TOPIC", "infrawatch.metrics.v1"),
        ("*", "WRITE", "TOPIC", "infrawatch.snapshots.v1"),
    }


def test_a_service_with_a_user_may_do_its_work_alone() -> None:
    assert rules(alerting_kafka_password=PASSWORD) - rules() == {
        ("infrawatch-alerting", "READ", "TOPIC", "infrawatch.metrics.v1"),
        ("infrawatch-alerting", "READ", "GROUP", "infrawatch-alerting"),
        ("infrawatch-alerting", "WRITE", "TOPIC", "infrawatch.alert-events.v1"),
    }


def test_only_a_service_that_makes_users_may_alter_the_cluster() -> None:
    assert rules(api_kafka_password=PASSWORD) - rules() == {("infrawatch-api", "ALTER", "CLUSTER", "")}
    everyone = {f"{name}_kafka_password": PASSWORD for name in ("ingest", "alerting", "drift")}
    assert not any(kind == "CLUSTER" for _, _, kind, _ in rules(**everyone))


def test_a_password_without_rules_is_refused() -> None:
    with pytest.raises(ValidationError, match="INFRAWATCH_KAFKA_ACCESS is not"):
        TopicSettings.model_validate({"ingest_kafka_password": PASSWORD})
