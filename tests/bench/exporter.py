"""An exporter of stepping values, as a process of its own, for Prometheus to scrape."""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from bench.steps import Steps
from infrawatch_local.ports import LOOPBACK

METRIC = "bench_cpu"
_LOOK_AFTER_PARENT = 1.0  # seconds


def exposition(steps: Steps, hosts: int, at: float) -> str:
    """What is scraped."""
    lines = (f'{METRIC}{{host="host-{host}"}} {steps.value(host, at)}' for host in range(hosts))
    return "\n".join((f"# TYPE {METRIC} gauge", *lines, ""))


def serve(port: int, steps: Steps, hosts: int) -> None:
    """Answer until the process that started this one is gone."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = exposition(steps, hosts, time.time()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass  # a line a second

    parent = multiprocessing.parent_process()
    with HTTPServer((LOOPBACK, port), Handler) as server:
        server.timeout = _LOOK_AFTER_PARENT
        while parent is not None and parent.is_alive():
            server.handle_request()


@contextmanager
def exporter(port: int, steps: Steps, hosts: int) -> Iterator[None]:
    """One that runs during the block."""
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(port, steps, hosts), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()
