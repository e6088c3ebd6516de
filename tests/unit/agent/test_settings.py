from pathlib import Path

import pytest

from infrawatch_agent.settings import SettingsError, load, parse


def refused(environment: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        parse(environment)
    return str(caught.value)


def test_defaults_need_no_setting() -> None:
    settings = parse({})
    assert settings.interval == 10.0
    assert settings.snapshot_interval == 600.0


def test_values_are_converted_by_the_type_of_their_field() -> None:
    settings = parse(
        {
            "INFRAWATCH_INTERVAL": "2.5",
            "INFRAWATCH_ALLOW_UNSIGNED": "true",
            "INFRAWATCH_ENV_WHITELIST": "LANG, TZ,,",
            "INFRAWATCH_HOST_TAGS": "env=prod,site=a=b",
        }
    )
    assert settings.interval == 2.5
    assert settings.allow_unsigned
    assert settings.env_whitelist == ("LANG", "TZ")
    assert settings.host_tags == ("env=prod", "site=a=b")


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"INFRAWATCH_INTERVAL": "0.5"}, "INFRAWATCH_INTERVAL"),
        ({"INFRAWATCH_HTTP_PORT": "http"}, "INFRAWATCH_HTTP_PORT"),
        ({"INFRAWATCH_KAFKA_SECURITY_PROTOCOL": "TLS"}, "INFRAWATCH_KAFKA_SECURITY_PROTOCOL"),
        ({"INFRAWATCH_HOST_TAGS": "prod"}, "INFRAWATCH_HOST_TAGS"),
        ({"INFRAWATCH_HOST_ID": "a host"}, "INFRAWATCH_HOST_ID"),
        ({"INFRAWATCH_KAFKA_PASSWORD_FILE": "/nowhere"}, "INFRAWATCH_KAFKA_PASSWORD_FILE"),
    ],
)
def test_a_wrong_setting_is_named(environment: dict[str, str], named: str) -> None:
    assert named in refused(environment)


def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n")
    assert parse({"INFRAWATCH_ENROLMENT_TOKEN_FILE": str(tmp_path / "token")}).enrolment_token == "abc"


def test_a_wrong_setting_ends_the_process_with_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        load({"INFRAWATCH_INTERVAL": "soon"})
    assert exit_.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_secrets_do_not_show_in_the_settings_text() -> None:
    assert "hunter2" not in repr(parse({"INFRAWATCH_KAFKA_PASSWORD": "hunter2"}))
