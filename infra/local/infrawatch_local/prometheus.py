"""Prometheus, scraping every service of the table."""

import signal
from collections.abc import Mapping
from pathlib import Path

from infrawatch_local.ports import LOOPBACK
from infrawatch_local.probes import http_ok
from infrawatch_local.program import Component, Program
from infrawatch_local.tree import Runtime

_HEAD = """\
global:
  scrape_interval: 5s
  scrape_timeout: 4s
scrape_configs:
"""


def scrape_configuration(targets: Mapping[str, int]) -> str:
    """The configuration that scrapes these jobs, each at a port of the loopback address."""
    return _HEAD + "".join(
        f"  - job_name: {job}\n"
        f"    metrics_path: /metrics\n"
        f"    static_configs:\n"
        f'      - targets: ["{LOOPBACK}:{port}"]\n'
        for job, port in targets.items()
    )


class Prometheus(Component):
    """The server; its data lies in ``directory``."""

    def __init__(self, runtime: Runtime, directory: Path, port: int, targets: Mapping[str, int]) -> None:
        self._runtime = runtime
        self._directory = directory
        self._port = port
        self._targets = targets

    @property
    def name(self) -> str:
        """Its name."""
        return "prometheus"

    @property
    def ports(self) -> Mapping[str, int]:
        """The one port."""
        return {"prometheus": self._port}

    def program(self) -> Program:
        """The server with its configuration."""
        targets = {**self._targets, self.name: self._port}
        command = (
            "prometheus",
            "--config.file=/data/prometheus.yml",
            "--storage.tsdb.path=/data/tsdb",
            "--storage.tsdb.retention.time=15d",
            f"--web.listen-address={LOOPBACK}:{self._port}",
            "--log.level=warn",
        )
        return Program(
            name=self.name,
            command=self._runtime.sandbox.command(self._directory, command),
            stop_signal=signal.SIGTERM,
            sandboxed=True,
            files={str(self._directory / "prometheus.yml"): scrape_configuration(targets)},
        )

    def is_ready(self) -> bool:
        """Whether it has loaded its data and serves queries."""
        return http_ok(self._port, "/-/ready")
