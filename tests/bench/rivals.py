"""Prometheus and Alertmanager of Debian, told to be as fast as their settings allow with a scrape a second."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from os import environ
from pathlib import Path

from bench.exporter import METRIC
from bench.steps import THRESHOLD
from infrawatch_local import settings as local_settings
from infrawatch_local.ports import LOOPBACK, free_ports
from infrawatch_local.probes import http_ok
from infrawatch_local.program import Component, Program
from infrawatch_local.stack import Server
from infrawatch_local.tree import Runtime

_PROMETHEUS = """\
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
rule_files: [/data/rules.yml]
alerting:
  alertmanagers:
    - static_configs: [{{targets: ["{alertmanager}"]}}]
scrape_configs:
  - job_name: hosts
    static_configs: [{{targets: ["{exporter}"]}}]
"""
_RULES = f"""\
groups:
  - name: hosts
    rules:
      - alert: CpuBusy
        expr: {METRIC} >= {THRESHOLD}
"""
# Its intervals must be above 0, but for the first.
_ALERTMANAGER = """\
route:
  receiver: bench
  group_by: [host]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 4h
receivers:
  - name: bench
    webhook_configs:
      - url: {webhook}
        send_resolved: false
"""


class Rival(Component):
    """A server of the Debian tree that has a port and configuration files."""

    def __init__(
        self,
        runtime: Runtime,
        directory: Path,
        name: str,
        command: tuple[str, ...],
        port: int,
        files: Mapping[str, str],
    ) -> None:
        self._runtime = runtime
        self._directory = directory
        self._name = name
        self._command = command
        self._port = port
        self._files = files

    @property
    def name(self) -> str:
        return self._name

    @property
    def ports(self) -> Mapping[str, int]:
        return {self._name: self._port}

    def program(self) -> Program:
        command = (*self._command, f"--web.listen-address={LOOPBACK}:{self._port}", "--log.level=warn")
        return Program(
            name=self._name,
            command=self._runtime.sandbox.command(self._directory, command),
            stop_signal=signal.SIGTERM,
            sandboxed=True,
            files={str(self._directory / name): text for name, text in self._files.items()},
        )

    def is_ready(self) -> bool:
        return http_ok(self._port, "/-/ready")


@contextmanager
def prometheus(directory: Path, exporter: int, webhook: str) -> Iterator[None]:
    """Both run during the block: what the exporter at this port says is judged, and told to ``webhook``."""
    runtime = Runtime.in_cache(local_settings.parse(environ, Path.home()).cache_dir)
    ports = free_ports(2)
    addresses = {"alertmanager": f"{LOOPBACK}:{ports[1]}", "exporter": f"{LOOPBACK}:{exporter}"}
    rivals = (
        Rival(
            runtime,
            directory / "alertmanager",
            "alertmanager",
            (
                *("prometheus-alertmanager", "--config.file=/data/alertmanager.yml", "--storage.path=/data/alerts"),
                "--cluster.listen-address=",
            ),
            ports[1],
            {"alertmanager.yml": _ALERTMANAGER.format(webhook=webhook)},
        ),
        Rival(
            runtime,
            directory / "prometheus",
            "prometheus",
            ("prometheus", "--config.file=/data/prometheus.yml", "--storage.tsdb.path=/data/tsdb"),
            ports[0],
            {"prometheus.yml": _PROMETHEUS.format(**addresses), "rules.yml": _RULES},
        ),
    )
    with ExitStack() as running:
        for rival in rivals:
            (directory / rival.name).mkdir(exist_ok=True)
            server = Server(rival, directory / "log")
            running.callback(server.stop)
            server.start()
        yield
