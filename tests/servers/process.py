"""One server process: started in its own session, stopped by its own pid, its log shown when it fails."""

import atexit
import contextlib
import os
import signal
import subprocess
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

_POLL_S = 0.05
_started: "weakref.WeakSet[ServerProcess]" = weakref.WeakSet()


class ServerError(RuntimeError):
    """A server did not start, answer or stop in time; the text ends with the tail of its log."""


class ServerUnavailable(RuntimeError):
    """No server of this kind can be had on this machine; the text says what to install."""


class ServerProcess:
    """A server program that can be started, stopped, killed and started again with the same arguments.

    It leads its own session, so that `kill` ends the program together with whatever it started itself, and a
    Ctrl-C at the terminal reaches the tests alone.
    """

    def __init__(
        self,
        name: str,
        args: Sequence[str],
        *,
        folder: Path,
        env: Mapping[str, str],
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        """Store what to run; `folder` receives the log and is the working directory."""
        self.name = name
        self.args = list(args)
        self.folder = folder
        self.env = dict(env)
        self.stop_signal = stop_signal
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the running program.

        Raises:
            ServerError: it was not started.
        """
        if self._process is None:
            msg = f"{self.name} was not started"
            raise ServerError(msg)
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the program was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start the program; what it prints is appended to its log.

        Raises:
            ServerError: it runs already.
        """
        if self.running:
            msg = f"{self.name} runs already (pid {self.pid})"
            raise ServerError(msg)
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.args,
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _started.add(self)
        return self

    def wait_ready(self, ready: Callable[[], bool], *, timeout_s: float) -> None:
        """Poll `ready` until it is true.

        Raises:
            ServerError: the program ended, or was not ready in time.
        """
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.running:
                raise self._error("ended before it was ready")
            if time.monotonic() > deadline:
                raise self._error(f"was not ready after {timeout_s:.0f} s")
            time.sleep(_POLL_S)

    def stop(self, *, timeout_s: float = 30.0) -> None:
        """Ask the program to end and wait for it; nothing to do when it does not run.

        Raises:
            ServerError: it had to be killed because it did not end in time.
        """
        if self._process is None or not self.running:
            return
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self._error(
                f"did not end {timeout_s:.0f} s after {self.stop_signal.name}"
            ) from None
        finally:
            _started.discard(self)

    def kill(self) -> None:
        """End the program at once with SIGKILL, as a power cut would, with all that it started."""
        if self._process is None:
            return
        # The whole group may be gone already: that is the wanted state.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        _started.discard(self)

    def log_tail(self, lines: int = 40) -> str:
        """Return the last lines of what the program printed."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(
            self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        )

    def _error(self, what: str) -> ServerError:
        return ServerError(
            f"{self.name} {what}: {' '.join(self.args)}\n--- {self.log}\n{self.log_tail()}"
        )


def child_env(home: Path, **own: str) -> dict[str, str]:
    """Return an environment of PATH, a HOME of the server's own and `own`: no setting of the user leaks in."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        **own,
    }


@atexit.register
def _kill_what_is_left() -> None:
    for process in list(_started):
        process.kill()
