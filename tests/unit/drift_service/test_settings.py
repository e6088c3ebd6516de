import pytest
from pydantic import ValidationError

from infrawatch_common.drift.default_rules import DEFAULT
from infrawatch_common.drift.severity import Outcome
from infrawatch_drift.settings import Settings

NEEDED = {
    "database_url": "postgresql://role@localhost/infrawatch",
    "database_password": "not used",
    "host_key_secret": "not used, but long enough to be one",
}


def settings(**given: object) -> Settings:
    return Settings.model_validate({**NEEDED, **given})


def test_our_own_rules_decide_where_nobody_gives_others() -> None:
    assert settings().rules is DEFAULT
    (rule,) = settings(drift_rules='[{"severity": "info", "reason": "all the same"}]').rules.rules
    assert rule.severity is Outcome.INFO


@pytest.mark.parametrize("severity", ["info", "warning", "critical"])
def test_the_least_severity_that_is_told_is_a_severity(severity: str) -> None:
    assert settings(drift_notify_severity=severity).notify_severity == Outcome(severity)


def test_nothing_is_told_where_that_is_wanted() -> None:
    assert settings(drift_notify_severity="none").notify_severity is None


@pytest.mark.parametrize("words", ["rule 1: severity must be one of", "rule 2: reason must say why"])
def test_all_that_is_wrong_with_rules_is_said_at_once(words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        settings(drift_rules='[{"severity": "bad", "reason": "x"}, {"severity": "info"}]')


@pytest.mark.parametrize("days", [30, 37])
def test_sightings_stay_while_a_late_snapshot_may_need_them(days: int) -> None:
    with pytest.raises(ValidationError, match="must be more than 37"):
        settings(sighting_retention_days=days)
    assert settings(sighting_retention_days=days, snapshot_max_late_days=20).sighting_retention_days == days
