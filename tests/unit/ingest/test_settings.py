"""Settings of ingest that must fit each other; all others hold for themselves."""

import pytest
from pydantic import ValidationError

from infrawatch_ingest.domain.hours import MARK_HOLDS
from infrawatch_ingest.settings import Settings

GOOD = {
    "database_url": "postgresql://infrawatch_ingest@localhost:5432/infrawatch",
    "database_password": "correct horse",
    "host_key_secret": "x" * 32,
}


@pytest.mark.parametrize(
    ("wrong", "right", "sentence"),
    [
        (
            {"stall_timeout": 60, "job_timeout": 60},
            {"stall_timeout": 61, "job_timeout": 60},
            r"INFRAWATCH_STALL_TIMEOUT \(60 s\) must be longer than INFRAWATCH_JOB_TIMEOUT \(60 s\)",
        ),
        (
            {"rollup_delay": MARK_HOLDS + 20, "database_timeout": 20},
            {"rollup_delay": MARK_HOLDS + 21, "database_timeout": 20},
            r"INFRAWATCH_ROLLUP_DELAY \(80 s\) must be longer than 80 s",
        ),
        (
            {"rollup_retention_days": 29, "raw_retention_days": 30},
            {"rollup_retention_days": 30, "raw_retention_days": 30},
            r"INFRAWATCH_ROLLUP_RETENTION_DAYS \(29\) must not be less than INFRAWATCH_RAW_RETENTION_DAYS \(30\)",
        ),
    ],
)
def test_settings_that_do_not_fit_each_other_are_refused(
    wrong: dict[str, float], right: dict[str, float], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Settings.model_validate({**GOOD, **wrong})
    Settings.model_validate({**GOOD, **right})


def test_a_statement_of_a_batch_is_given_up_before_one_of_a_job() -> None:
    settings = Settings.model_validate(GOOD)
    assert settings.database_timeout < settings.job_timeout < settings.stall_timeout
