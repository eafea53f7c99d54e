"""Watches the watcher: the processor's sign of life, and the dead man's switch."""

import threading
import urllib.error
import urllib.request
from collections.abc import Callable

import structlog

from bridge.clock import Clock, to_us
from processor.notifier.text import Notice

log = structlog.get_logger(__name__)

PING_TIMEOUT_S = 5.0


class Watch:
    """Tells once when the processor falls silent, and once when it is heard again. Pure.

    Moments are monotonic seconds; it counts from `started_s` where nothing was heard yet.
    """

    def __init__(self, timeout_s: float, started_s: float) -> None:
        self._timeout_s = timeout_s
        self._heard_s = started_s
        self.silent = False
        self._silent_since_s = started_s

    def heartbeat(self, now_s: float) -> None:
        """The processor was heard."""
        self._heard_s = max(self._heard_s, now_s)

    def fresh(self, now_s: float) -> bool:
        """Whether the processor was heard within the timeout."""
        return now_s - self._heard_s < self._timeout_s

    def check(self, now_s: float) -> float | None:
        """Seconds since the silence began where it just began or just ended, else None."""
        quiet = not self.fresh(now_s)
        if quiet == self.silent:
            return None
        self.silent = quiet
        if quiet:
            self._silent_since_s = self._heard_s
        return now_s - self._silent_since_s


def notice(watch: Watch, clock: Clock, since_s: float) -> Notice:
    """What to tell about a change that `Watch.check` reported."""
    now_us = to_us(clock())
    kind = "silent" if watch.silent else "back"
    return Notice(
        id=f"processor-{kind}-{now_us}",
        silent=watch.silent,
        at_us=now_us,
        since_us=now_us - round(since_s * 1_000_000),
    )


class DeadMan:
    """Fetches an external monitor's URL every `every_s` while `well()`; its silence alarms there.

    The URL is a secret and never logged.
    """

    def __init__(self, url: str, every_s: float, well: Callable[[], bool]) -> None:
        self._url = url
        self._every_s = every_s
        self._well = well
        self.pings = 0
        self.fault = ""

    def run(self, stopping: threading.Event) -> None:
        """Ping until told to stop; the first ping comes after one period."""
        while not stopping.wait(self._every_s):
            if self._well():
                self.ping()

    def ping(self) -> None:
        """Fetch the URL once, in at most some seconds; a failure is told when it changes."""
        try:
            with urllib.request.urlopen(self._url, timeout=PING_TIMEOUT_S) as answer:  # noqa: S310 - http(s) checked with the settings
                answer.read(1024)
            self.pings += 1
            fault = ""
        except urllib.error.HTTPError as error:
            fault = f"answered {error.code}"
            error.close()
        except (OSError, ValueError) as error:
            fault = type(getattr(error, "reason", error)).__name__
        if fault and fault != self.fault:
            log.warning("dead man's switch not reached, trying again", reason=fault)
        self.fault = fault
