from pathlib import Path

import pytest

from infrawatch_local.cli import main
from infrawatch_local.errors import SettingsError
from infrawatch_local.settings import DEFAULT_STATE_DIR, REPOSITORY, parse, variables

HOME = Path("/home/somebody")


def test_defaults() -> None:
    settings = parse({}, HOME)
    assert settings.state_dir == DEFAULT_STATE_DIR
    assert settings.cache_dir == HOME / ".cache" / "infrawatch"
    assert (settings.ports["kafka"], settings.ports["database"], settings.ports["api"]) == (29092, 25432, 8080)


def test_what_is_set_counts_and_empty_is_unset() -> None:
    given = {"INFRAWATCH_LOCAL_API_PORT": "18080", "INFRAWATCH_LOCAL_KAFKA_PORT": "", "XDG_CACHE_HOME": "/elsewhere"}
    settings = parse(given, HOME)
    assert (settings.ports["api"], settings.ports["kafka"]) == (18080, 29092)
    assert settings.cache_dir == Path("/elsewhere/infrawatch")


def test_the_state_directory_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse({"INFRAWATCH_LOCAL_STATE_DIR": "here"}, HOME).state_dir == tmp_path / "here"


@pytest.mark.parametrize("text", ["abc", "0", "65536", "-1", "80.5", "٨٠٨٠"])
def test_a_bad_port_is_named(text: str) -> None:
    with pytest.raises(SettingsError, match=rf"INFRAWATCH_LOCAL_API_PORT is '{text}'.*1 to 65535"):
        parse({"INFRAWATCH_LOCAL_API_PORT": text}, HOME)


def test_two_settings_with_one_port_are_named() -> None:
    with pytest.raises(
        SettingsError, match=r"INFRAWATCH_LOCAL_KAFKA_PORT and INFRAWATCH_LOCAL_API_PORT are both 29092"
    ):
        parse({"INFRAWATCH_LOCAL_API_PORT": "29092"}, HOME)


def test_a_misspelt_setting_is_refused() -> None:
    with pytest.raises(SettingsError, match="there is no setting INFRAWATCH_LOCAL_API_PROT"):
        parse({"INFRAWATCH_LOCAL_API_PROT": "1"}, HOME)


def test_a_bad_setting_ends_with_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INFRAWATCH_LOCAL_START_TIMEOUT", "soon")
    assert main(["status"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_readme_tells_every_setting_and_its_default() -> None:
    readme = (REPOSITORY / "infra" / "local" / "README.md").read_text()
    for name, default in variables().items():
        assert f"| `{name}` | `{default}` |" in readme
