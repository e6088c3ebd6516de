"""The agent installs alone: its wheel, pipx, and nothing of the repository."""

import configparser
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import fields

from infrawatch_agent.settings import Settings, variable
from stack import CLEAN

REPOSITORY = Path(__file__).parents[2]
AGENT = REPOSITORY / "services" / "agent"
UNIT = AGENT / "systemd" / "infrawatch-agent.service"


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=CLEAN | environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command as pipx installs it from the wheel, in a directory of its own."""
    directory = tmp_path_factory.mktemp("alone")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    made = run(*build, "--wheel-dir", str(directory), str(AGENT), cwd=directory)
    assert made.returncode == 0, made.stderr
    [wheel] = directory.glob("infrawatch_agent-*.whl")
    home = {"PIPX_HOME": str(directory / "pipx"), "PIPX_BIN_DIR": str(directory / "bin"), "PYTHONPATH": ""}
    pipx = run(sys.executable, "-m", "pipx", "install", "--quiet", str(wheel), cwd=directory, **home)
    assert pipx.returncode == 0, pipx.stderr
    return directory


def agent(installed: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (installed / "empty").mkdir(exist_ok=True)
    settings = {f"INFRAWATCH_{name.upper()}": value for name, value in environment.items()}
    command = str(installed / "bin" / "infrawatch-agent")
    return run(command, *arguments, cwd=installed / "empty", PYTHONPATH="", **settings)


def test_every_command_explains_itself(installed: Path) -> None:
    for verbs in ([], ["run"], ["enrol"], ["rotate-key"], ["check"]):
        answer = agent(installed, *verbs, "--help")
        assert answer.returncode == 0, answer.stderr
        assert "usage: infrawatch-agent" in answer.stdout


LOOK = """
import importlib.metadata, infrawatch_agent
print(infrawatch_agent.__file__)
print(*(found.name for found in importlib.metadata.distributions()))
"""


def test_nothing_of_the_repository_is_on_its_path(installed: Path) -> None:
    [python] = installed.glob("pipx/venvs/infrawatch-agent/bin/python")
    answer = run(str(python), "-I", "-c", LOOK, cwd=installed)
    path, distributions = answer.stdout.splitlines()
    assert str(REPOSITORY) not in path
    assert not {"pydantic", "infrawatch-common"} & set(distributions.split())


def test_its_check_says_what_is_missing_on_a_new_host(installed: Path) -> None:
    answer = agent(
        installed, "check", state_directory=str(installed / "nowhere"), kafka_bootstrap_servers="127.0.0.1:1"
    )
    assert answer.returncode == 1
    assert re.search(r"^ok +telemetry:", answer.stdout, re.MULTILINE)
    for bad in ("state directory", "identity", "broker"):
        assert re.search(rf"^BAD +{bad}.*\. [A-Z].*\.$", answer.stdout, re.MULTILINE), answer.stdout


def unit() -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        name, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            values.setdefault(name, []).append(value)
    return values


def test_the_unit_names_only_commands_and_settings_that_there_are() -> None:
    known = {variable(field.name) for field in fields(Settings)}
    assert set(re.findall(r"INFRAWATCH_[A-Z_]+", UNIT.read_text())) <= known
    [start] = unit()["ExecStart"]
    program, verb = shlex.split(start)
    project = (AGENT / "pyproject.toml").read_text()
    assert f'{Path(program).name} = "infrawatch_agent.__main__:main"' in project
    assert run(sys.executable, "-m", "infrawatch_agent", verb, "--help", cwd=AGENT).returncode == 0


def test_the_unit_gives_the_agent_its_directory_and_time_to_stop() -> None:
    values = unit()
    defaults = Settings()
    [state] = values["StateDirectory"]
    assert defaults.state_directory == f"/var/lib/{state}"
    assert float(values["TimeoutStopSec"][0]) > defaults.stop_timeout + 5
    assert values["User"][0] in (UNIT.parent / "infrawatch-agent.sysusers").read_text()


def test_every_section_of_the_unit_is_one_that_systemd_knows() -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(UNIT)
    assert parser.sections() == ["Unit", "Service", "Install"]
