"""Whether this process lives and is ready, and the small HTTP server that says so."""

import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import msgspec
import structlog

log = structlog.get_logger(__name__)

_JSON = "application/json"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing looked at: its name, whether it is well, and what is the matter."""

    name: str
    ok: bool
    detail: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one question about health; well when every check is."""

    ok: bool
    checks: list[Check]


class Loop:
    """The sign of life of one loop: it calls `tick` at every turn, idle or not."""

    def __init__(self, name: str, limit_s: float, monotonic: Callable[[], float]) -> None:
        self.name = name
        self.limit_s = limit_s
        self._monotonic = monotonic
        self._ticked_at = monotonic()

    def tick(self) -> None:
        """Say that the loop turns."""
        self._ticked_at = self._monotonic()

    def check(self) -> Check:
        """Well while the last tick is younger than the limit."""
        age = self._monotonic() - self._ticked_at
        if age < self.limit_s:
            return Check(name=self.name, ok=True)
        detail = f"no turn for {age:.0f} s (limit {self.limit_s:.0f} s); the loop hangs"
        return Check(name=self.name, ok=False, detail=detail)


class Health:
    """What the loops and the adapters of a process say of themselves."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._loops: list[Loop] = []
        self._needs: dict[str, Callable[[], str]] = {}

    def loop(self, name: str, limit_s: float = 60.0) -> Loop:
        """Register a loop that must turn at least every `limit_s` seconds."""
        loop = Loop(name, limit_s, self._monotonic)
        self._loops.append(loop)
        return loop

    def needs(self, name: str, fault: Callable[[], str]) -> None:
        """Register what readiness depends on; `fault` says what is wrong, or "" when well.

        It is called from the server's threads at every `/readyz` and must not block.
        """
        self._needs[name] = fault

    def alive(self) -> Report:
        """Whether every loop turns."""
        return _report([loop.check() for loop in self._loops])

    def ready(self) -> Report:
        """Whether every loop turns and everything needed is there."""
        faults = {name: fault() for name, fault in self._needs.items()}
        needs = [Check(name=name, ok=not text, detail=text) for name, text in faults.items()]
        return _report([*(loop.check() for loop in self._loops), *needs])


def _report(checks: list[Check]) -> Report:
    return Report(ok=all(check.ok for check in checks), checks=checks)


class HealthServer:
    """Serves `/healthz`, `/readyz` and `/metrics` over HTTP; a context manager.

    `metrics` returns Prometheus text. Port 0 takes a free one; `port` tells which.
    """

    def __init__(self, host: str, port: int, health: Health, metrics: Callable[[], bytes]) -> None:
        self.host = host
        self.port = port
        self._health = health
        self._metrics = metrics
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Start to answer; raises OSError where the address cannot be had."""
        handler = _handler(self._health, self._metrics)
        self._server = _Server((self.host, self.port), handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="health", kwargs={"poll_interval": 0.2}
        )
        self._thread.daemon = True
        self._thread.start()
        log.info("health endpoints open", host=self.host, port=self.port)

    def close(self) -> None:
        """Stop answering."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = self._thread = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 16

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the base class's call
        """A probe that breaks off is no news."""
        log.debug("health request broke off", client=client_address, reason=repr(sys.exception()))


def _handler(health: Health, metrics: Callable[[], bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5.0
        server_version = "steam"
        sys_version = ""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/healthz":
                self._tell(health.alive())
            elif path == "/readyz":
                self._tell(health.ready())
            elif path == "/metrics":
                self._answer(200, "text/plain; version=0.0.4; charset=utf-8", metrics())
            else:
                self._answer(404, _JSON, b'{"error":"try /healthz, /readyz or /metrics"}')

        do_HEAD = do_GET  # noqa: N815 - the name http.server calls

        def _tell(self, report: Report) -> None:
            self._answer(200 if report.ok else 503, _JSON, msgspec.json.encode(report))

        def _answer(self, status: int, media_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            log.debug("health request", line=format % args)

    return Handler
