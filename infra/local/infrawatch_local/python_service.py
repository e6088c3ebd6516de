"""Infra-Watch's own services, straight from this checkout."""

import signal
from collections.abc import Mapping
from pathlib import Path

from infrawatch_local.probes import http_ok
from infrawatch_local.program import Component, Program
from infrawatch_local.programs import Service


class PythonService(Component):
    """A service of the table."""

    def __init__(self, service: Service, python: Path, port: int, environment: Mapping[str, str]) -> None:
        self._service = service
        self._python = python
        self._port = port
        self._environment = environment

    @property
    def name(self) -> str:
        """Its name."""
        return self._service.name

    @property
    def ports(self) -> Mapping[str, int]:
        """Where it serves health and metrics, and the API everything else."""
        return {self.name: self._port}

    def program(self) -> Program:
        """The module with its environment."""
        return Program(
            name=self.name,
            # -P: nothing is imported from the directory where somebody happens to type `make up`
            command=(str(self._python), "-P", "-m", self._service.module, *self._service.arguments),
            stop_signal=signal.SIGTERM,
            sandboxed=False,
            environment=self._environment,
        )

    def is_ready(self) -> bool:
        """What it says itself."""
        return http_ok(self._port, "/health/ready")
