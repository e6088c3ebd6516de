"""Compose, images and Prometheus name only what exists: settings, ports, commands, targets, secrets."""

import importlib
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from os import environ
from pathlib import Path
from typing import Any

import pytest
import yaml

from infrawatch_agent import settings as agent_settings
from infrawatch_alerting.settings import Settings as AlertingSettings
from infrawatch_api.settings import Settings as ApiSettings
from infrawatch_common.settings import variable
from infrawatch_common.topics import TopicSettings
from infrawatch_drift.settings import Settings as DriftSettings
from infrawatch_ingest.settings import Settings as IngestSettings
from infrawatch_local import settings as local_settings
from infrawatch_local.kafka import Kafka, KafkaPorts
from infrawatch_local.tree import Runtime
from infrawatch_migrations.settings import Settings as MigrationSettings

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (ROOT / "infra/docker/Dockerfile").read_text(encoding="utf-8")
STAGES = dict(re.findall(r"^FROM \S+ AS (\S+)$(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL))
SETTINGS = {
    "topics": TopicSettings.model_fields,
    "migrations": MigrationSettings.model_fields,
    "ingest": IngestSettings.model_fields,
    "alerting": AlertingSettings.model_fields,
    "drift": DriftSettings.model_fields,
    "api": ApiSettings.model_fields,
    "enrolment": ApiSettings.model_fields,
    "agent": agent_settings.Settings.__struct_fields__,
}
HTTP_PORT = 8080


def runtime() -> Runtime:
    return Runtime.in_cache(local_settings.parse(environ, Path.home()).cache_dir)


def compose_config(text: str, directory: Path) -> "subprocess.CompletedProcess[str]":
    (directory / "docker-compose.yml").write_text(text)
    command = ("docker-compose", "--file", "/data/docker-compose.yml", "config", "--quiet")
    return subprocess.run(runtime().sandbox.command(directory, command), capture_output=True, text=True, check=False)


def unknown_variables(name: str, environment: Iterable[str]) -> set[str]:
    known = {variable(field) for field in SETTINGS[name]}
    return {used for used in environment if used not in known and used.removesuffix("_FILE") not in known}


def test_compose_follows_the_compose_specification(tmp_path: Path) -> None:
    result = compose_config((ROOT / "docker-compose.yml").read_text(), tmp_path)
    assert result.returncode == 0, result.stderr


def test_the_specification_notices_a_misspelt_key(tmp_path: Path) -> None:
    text = (ROOT / "docker-compose.yml").read_text().replace("depends_on:", "depend_on:", 1)
    assert "depend_on" in compose_config(text, tmp_path).stderr


def test_every_part_of_ours_has_its_settings_listed_here() -> None:
    assert OURS.keys() == SETTINGS.keys()


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting_of_its_service(name: str) -> None:
    assert unknown_variables(name, OURS[name].get("environment", {})) == set()


def test_a_variable_that_no_service_knows_is_noticed() -> None:
    misspelt = {"INFRAWATCH_DATABSE_URL": "", "INFRAWATCH_DATABASE_PASSWORD_FILE": "", "INFRAWATCH_INTERVAL": ""}
    assert unknown_variables("ingest", misspelt) == {"INFRAWATCH_DATABSE_URL", "INFRAWATCH_INTERVAL"}


@pytest.mark.parametrize("name", OURS)
def test_every_target_is_a_stage_that_runs_a_command_which_its_package_declares(name: str) -> None:
    target = OURS[name]["build"]["target"]
    assert OURS[name]["build"]["dockerfile"] == "infra/docker/Dockerfile"
    (command,) = re.findall(r'^ENTRYPOINT \["([^"]+)"\]$', STAGES[target], re.MULTILINE)
    assert command in declared_commands()


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("infrawatch_api", SERVICES["enrolment"]["command"]),
        ("infrawatch_api", ["serve"]),
        ("infrawatch_agent", ["run"]),
    ],
)
def test_every_command_line_is_one_that_its_program_takes(module: str, arguments: list[str]) -> None:
    parser = importlib.import_module(f"{module}.__main__")._parser()
    parser.parse_args(arguments)
    with pytest.raises(SystemExit):
        parser.parse_args(["no-such-command"])


def test_the_topics_entry_point_is_a_module_that_runs() -> None:
    python, flag, module = SERVICES["topics"]["entrypoint"]
    assert (python, flag) == ("python", "-m")
    assert hasattr(importlib.import_module(module), "main")


def test_the_image_serves_where_compose_and_prometheus_look() -> None:
    (host,) = re.findall(r"INFRAWATCH_HTTP_HOST=(\S+)", STAGES["runtime"])
    (port,) = re.findall(r"INFRAWATCH_HTTP_PORT=(\d+)", STAGES["runtime"])
    assert (host, int(port)) == ("0.0.0.0", HTTP_PORT)
    assert f"EXPOSE {HTTP_PORT}" in STAGES["runtime"]
    for service in ("api", "ingest", "alerting", "drift", "agent"):
        assert f"127.0.0.1:{HTTP_PORT}/health/ready" in " ".join(OURS[service]["healthcheck"]["test"])
    assert SERVICES["api"]["ports"] == [f"127.0.0.1:{HTTP_PORT}:{HTTP_PORT}"]


def test_every_variable_of_the_images_is_a_setting() -> None:
    known = {variable(field) for fields in SETTINGS.values() for field in fields}
    used = set(re.findall(r"\bINFRAWATCH_[A-Z_]+(?==)", DOCKERFILE))
    assert used
    assert used <= known


def test_every_path_that_the_images_copy_exists() -> None:
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert (ROOT / source).exists(), source
    for lock in re.findall(r"-r (requirements/\S+)", DOCKERFILE):
        assert (ROOT / lock).exists(), lock


def test_prometheus_scrapes_every_long_running_service_at_its_port() -> None:
    config = yaml.safe_load((ROOT / "infra/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    running = {name for name, service in OURS.items() if service["restart"] != "no"}
    assert targets == {name: [f"{name}:{HTTP_PORT}"] for name in running}


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    shutil.copy(ROOT / "infra/prometheus/prometheus.yml", tmp_path)
    command = runtime().sandbox.command(tmp_path, ("promtool", "check", "config", "/data/prometheus.yml"))
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def make_secrets(directory: Path, **environment: str) -> Path:
    """Run the script in a checkout that holds nothing else; where the secrets are. openssl is that of the tree."""
    (directory / "infra").mkdir(exist_ok=True)
    shutil.copytree(ROOT / "infra/docker", directory / "infra/docker", dirs_exist_ok=True)
    shutil.copytree(ROOT / "infra/local", directory / "infra/local", dirs_exist_ok=True)
    openssl = directory / "bin/openssl"
    openssl.parent.mkdir(exist_ok=True)
    inside = shlex.join(runtime().sandbox.command(Path("DIRECTORY"), ("openssl",))).replace("DIRECTORY", '"$PWD"')
    openssl.write_text(f'#!/bin/sh\nexec {inside} "$@"\n')
    openssl.chmod(0o755)
    subprocess.run(
        [sys.executable, directory / "infra/docker/make-secrets"],
        env={"PATH": f"{openssl.parent}:{environ['PATH']}", **environment},
        check=True,
    )
    return directory / ".local/compose-secrets"


def test_every_secret_is_declared_made_and_given_to_who_reads_it(
    tmp_path: Path,
) -> None:
    made = {file.name for file in make_secrets(tmp_path).iterdir()}
    assert made == COMPOSE["secrets"].keys()
    for name, service in SERVICES.items():
        read = {
            value.removeprefix("/run/secrets/")
            for value in service.get("environment", {}).values()
            if str(value).startswith("/run/secrets/")
        }
        assert read == set(service.get("secrets", [])), name


def test_kafkas_certificate_is_for_where_agents_find_it_and_of_an_authority_that_stays(tmp_path: Path) -> None:
    directory = make_secrets(tmp_path)
    authority, first = (directory / "kafka_ca").read_text(), (directory / "kafka_server_pem").read_text()
    make_secrets(tmp_path)
    assert (directory / "kafka_server_pem").read_text() == first
    make_secrets(tmp_path, INFRAWATCH_KAFKA_HOST="kafka.example.org")
    assert (directory / "kafka_ca").read_text() == authority
    names = subprocess.run(
        runtime().sandbox.command(
            directory, ("openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", "kafka_server_pem")
        ),
        capture_output=True,
        text=True,
        check=True,
    )
    for name in ("DNS:kafka", "DNS:localhost", "IP Address:127.0.0.1", "DNS:kafka.example.org"):
        assert name in names.stdout
    ssl.create_default_context(cadata=authority)


def kafka_properties() -> dict[str, str]:
    """Kafka's settings as its image makes them from the environment: ___ is -, __ is _, and _ is a dot."""
    given = SERVICES["kafka"]["environment"]
    return {
        name.removeprefix("KAFKA_").lower().replace("_", ".").replace("...", "-").replace("..", "_"): value
        for name, value in given.items()
    }


def test_kafkas_listener_for_agents_is_that_of_the_local_stack() -> None:
    kafka = Kafka(runtime(), Path("/data"), KafkaPorts(1, 2, 3))
    (local,) = (text for name, text in kafka.program().files.items() if name.endswith("server.properties"))
    known = dict(line.split("=", 1) for line in local.splitlines() if "=" in line and not line.startswith("#"))
    ours = kafka_properties()
    same = [name for name in known if name.startswith("listener.name.agents.")] + [
        "authorizer.class.name",
        "super.users",
    ]
    assert len(same) == 7
    for name in same:
        if name != "listener.name.agents.ssl.keystore.location":
            assert ours[name] == known[name], name
    assert ours["listener.security.protocol.map"] == "INTERNAL:PLAINTEXT,AGENTS:SASL_SSL,CONTROLLER:PLAINTEXT"
    assert ours["listener.name.agents.ssl.keystore.location"] == "/run/secrets/kafka_server_pem"


def test_only_the_protected_listener_of_kafka_is_published() -> None:
    assert SERVICES["kafka"]["ports"] == ["${INFRAWATCH_KAFKA_BIND:-127.0.0.1}:9094:9094"]
    advertised = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    told = OURS["api"]["environment"]["INFRAWATCH_AGENT_KAFKA_BOOTSTRAP_SERVERS"]
    assert f"AGENTS://{told}" in advertised
    assert "INFRAWATCH_KAFKA_BOOTSTRAP_SERVERS" not in OURS["agent"]["environment"]


def test_no_service_of_ours_may_write_or_gain_privileges() -> None:
    assert "USER 10001:10001" in STAGES["runtime"]
    for service in OURS.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_a_container_is_given_longer_to_stop_than_a_service_takes() -> None:
    grace = {
        int(OURS[name]["stop_grace_period"].removesuffix("s"))
        for name in ("api", "ingest", "alerting", "drift", "agent")
    }
    assert min(grace) > IngestSettings.model_fields["stop_timeout"].default
    assert min(grace) > agent_settings.Settings().stop_timeout


def declared_commands() -> set[str]:
    def scripts() -> Iterator[str]:
        for project in ROOT.glob("*/*/pyproject.toml"):
            yield from tomllib.loads(project.read_text(encoding="utf-8"))["project"].get("scripts", {})

    return set(scripts())
