from pathlib import Path

import yaml

from infrawatch_local import host, stamps
from infrawatch_local.database import postgresql_conf, remove_stale_lock
from infrawatch_local.kafka import Listener, server_properties
from infrawatch_local.keeper import back_off
from infrawatch_local.plan import make_plan, migration_environment
from infrawatch_local.programs import SERVICES
from infrawatch_local.prometheus import scrape_configuration
from infrawatch_local.settings import Settings, parse

HOME = Path("/home/somebody")


def settings(**ports: str) -> Settings:
    given = {f"INFRAWATCH_LOCAL_{name.upper()}_PORT": port for name, port in ports.items()}
    return parse({"INFRAWATCH_LOCAL_STATE_DIR": "/state", **given}, HOME)


def test_stores_start_first_and_the_agent_last() -> None:
    names = [component.name for component in make_plan(settings()).components]
    assert names == ["kafka", "database", "api", "ingest", "alerting", "drift", "prometheus", "agent"]


def test_every_service_of_the_table_is_planned_and_scraped() -> None:
    plan = make_plan(settings())
    assert {service.name for service in SERVICES} <= {component.name for component in plan.components}
    (written,) = plan.prometheus.program().files.values()
    jobs = {job["job_name"]: job for job in yaml.safe_load(written)["scrape_configs"]}
    for service in SERVICES:
        assert jobs[service.name]["static_configs"] == [{"targets": [f"127.0.0.1:{service.port}"]}]


def test_a_service_is_told_what_it_needs_and_no_more() -> None:
    told = {item.name: item.program().environment for item in make_plan(settings()).components}
    assert told["ingest"] == {
        "INFRAWATCH_HTTP_HOST": "127.0.0.1",
        "INFRAWATCH_HTTP_PORT": "28081",
        "INFRAWATCH_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:29092",
        "INFRAWATCH_DATABASE_URL": "postgresql://infrawatch_ingest@127.0.0.1:25432/infrawatch",
        "INFRAWATCH_DATABASE_PASSWORD_FILE": "/state/secrets/database-ingest",
        "INFRAWATCH_HOST_KEY_SECRET_FILE": "/state/secrets/host-key-secret",
    }
    assert not any("DATABASE" in name or "SECRET" in name for name in told["agent"])


def test_where_messages_may_go_is_passed_on_to_those_that_send_or_judge() -> None:
    given = {"INFRAWATCH_PRIVATE_TARGETS": "127.0.0.1", "INFRAWATCH_DEAD_MAN_URL": "", "INFRAWATCH_LOG_LEVEL": "debug"}
    plan = make_plan(parse({"INFRAWATCH_LOCAL_STATE_DIR": "/state", **given}, HOME))
    told = {item.name for item in plan.components if "INFRAWATCH_PRIVATE_TARGETS" in item.program().environment}
    assert told == {"api", "alerting"}
    others = [item.program().environment for item in plan.components]
    assert not any({"INFRAWATCH_DEAD_MAN_URL", "INFRAWATCH_LOG_LEVEL"} & set(one) for one in others)


def test_migrations_are_told_every_role() -> None:
    told = migration_environment(settings(), make_plan(settings()).database)
    assert told["INFRAWATCH_DATABASE_URL"] == "postgresql://postgres@127.0.0.1:25432/infrawatch"
    assert told["INFRAWATCH_DRIFT_DATABASE_PASSWORD_FILE"] == "/state/secrets/database-drift"


def test_a_setting_changes_the_fingerprints_of_those_it_concerns() -> None:
    before = {item.name: item.program().fingerprint for item in make_plan(settings()).components}
    after = {item.name: item.program().fingerprint for item in make_plan(settings(ingest="28999")).components}
    assert {name for name in before if before[name] != after[name]} == {"ingest", "prometheus"}


def test_kafka_listens_on_loopback_and_takes_further_listeners() -> None:
    listeners = (Listener("INTERNAL", "PLAINTEXT", 1), Listener("AGENTS", "SASL_SSL", 2))
    lines = server_properties(listeners, 3).splitlines()
    assert "listeners=INTERNAL://127.0.0.1:1,AGENTS://127.0.0.1:2,CONTROLLER://127.0.0.1:3" in lines
    assert "advertised.listeners=INTERNAL://127.0.0.1:1,AGENTS://127.0.0.1:2" in lines
    assert "listener.security.protocol.map=INTERNAL:PLAINTEXT,AGENTS:SASL_SSL,CONTROLLER:PLAINTEXT" in lines
    assert "auto.create.topics.enable=false" in lines


def test_postgresql_listens_on_loopback_only_and_keeps_what_it_confirms() -> None:
    lines = postgresql_conf(5).splitlines()
    for line in ("listen_addresses = '127.0.0.1'", "port = 5", "unix_socket_directories = ''", "fsync = on"):
        assert line in lines


def test_the_scrape_configuration_is_what_prometheus_reads() -> None:
    read = yaml.safe_load(scrape_configuration({"api": 8080}))
    assert read["global"]["scrape_interval"] == "5s"
    assert read["scrape_configs"][0]["metrics_path"] == "/metrics"


def test_back_off_doubles_up_to_thirty_seconds() -> None:
    assert [back_off(failures) for failures in (1, 2, 3, 5, 6, 1000)] == [1, 2, 4, 16, 30, 30]


def test_a_stamp_is_current_for_the_same_input_only(tmp_path: Path) -> None:
    lock, stamp = tmp_path / "lock.txt", tmp_path / "stamp"
    lock.write_text("a")
    first = stamps.digest("3.11", files=[lock])
    assert not stamps.is_current(stamp, first)
    stamps.write(stamp, first)
    assert stamps.is_current(stamp, first)
    lock.write_text("b")
    assert not stamps.is_current(stamp, stamps.digest("3.11", files=[lock]))
    assert stamps.digest("ab", "c") != stamps.digest("a", "bc")


def test_a_lock_of_postgresql_goes_only_when_its_pid_is_somebody_elses(tmp_path: Path) -> None:
    lock, process = tmp_path / "postmaster.pid", tmp_path / "proc" / "77"
    process.mkdir(parents=True)
    lock.write_text("77\n/data/cluster\n")
    (process / "comm").write_text("postgres\n")
    remove_stale_lock(lock, tmp_path / "proc")
    assert lock.exists()
    (process / "comm").write_text("vim\n")
    remove_stale_lock(lock, tmp_path / "proc")
    assert not lock.exists()
    remove_stale_lock(lock, tmp_path / "proc")


def test_missing_packages_are_named_with_the_command() -> None:
    said = host.missing_packages(["bubblewrap", "uidmap"], ["apt-get", "install", "bubblewrap", "uidmap"])
    assert said == (
        "the Debian packages are missing: bubblewrap, uidmap. Install with: sudo apt-get install bubblewrap uidmap"
    )
