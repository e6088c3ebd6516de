from pathlib import Path

import pytest
from pydantic import Field, SecretStr

from infrawatch_common.settings import ConsumerSettings, DatabaseSettings, ServiceSettings, load

GOOD = {
    "INFRAWATCH_DATABASE_URL": "postgresql://infrawatch_ingest@localhost:5432/infrawatch",
    "INFRAWATCH_DATABASE_PASSWORD": "correct horse",
    "INFRAWATCH_HOST_KEY_SECRET": "x" * 32,
}


class Example(ServiceSettings):
    token: SecretStr = Field(description="A token.")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*GOOD, "INFRAWATCH_TOKEN", "INFRAWATCH_TOKEN_FILE", "INFRAWATCH_HTTP_PORT"):
        monkeypatch.delenv(name, raising=False)


def refused(settings: type[ServiceSettings], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as exit_:
        load(settings)
    assert exit_.value.code == 2
    sentence = capsys.readouterr().err
    assert sentence.count("\n") == 1
    return sentence


def test_a_secret_is_read_from_the_file_that_its_variable_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    monkeypatch.setenv("INFRAWATCH_TOKEN_FILE", str(tmp_path / "token"))
    assert load(Example).token.get_secret_value() == "s3cret"


def test_a_missing_setting_is_named_with_its_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    assert "INFRAWATCH_TOKEN is not set (A token)" in refused(Example, capsys)


def test_a_missing_secret_file_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("INFRAWATCH_TOKEN_FILE", "/nowhere/token")
    assert "INFRAWATCH_TOKEN_FILE names /nowhere/token, which cannot be read" in refused(Example, capsys)


def test_value_and_file_together_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INFRAWATCH_TOKEN", "a")
    monkeypatch.setenv("INFRAWATCH_TOKEN_FILE", "/nowhere/token")
    assert "both set" in refused(Example, capsys)


def test_a_wrong_value_is_named_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INFRAWATCH_TOKEN", "a")
    monkeypatch.setenv("INFRAWATCH_HTTP_PORT", "eighty-eight")
    sentence = refused(Example, capsys)
    assert "INFRAWATCH_HTTP_PORT is wrong" in sentence
    assert "eighty-eight" not in sentence


def test_a_password_in_the_database_url_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Both(ServiceSettings, DatabaseSettings):
        pass

    monkeypatch.setenv("INFRAWATCH_DATABASE_URL", "postgresql://infrawatch_ingest:hunter2@localhost/infrawatch")
    monkeypatch.setenv("INFRAWATCH_DATABASE_PASSWORD", "hunter2")
    sentence = refused(Both, capsys)
    assert "INFRAWATCH_DATABASE_PASSWORD_FILE" in sentence
    assert "hunter2" not in sentence


def test_a_stall_must_be_longer_than_a_slow_statement(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("INFRAWATCH_STALL_TIMEOUT", "15")
    assert "INFRAWATCH_STALL_TIMEOUT" in refused(ConsumerSettings, capsys)


def test_secrets_do_not_show_in_the_settings_text(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    text = repr(load(ConsumerSettings))
    assert "correct horse" not in text
    assert "x" * 32 not in text
