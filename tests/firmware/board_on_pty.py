"""The real MicroPython behind a pseudo-terminal: to mpremote it is a board on a serial port."""

import contextlib
import os
import pty
import select
import subprocess
import termios
import threading
import time
from pathlib import Path

from tests.firmware.micropython import program

START = """\
import os
for name in ("boot.py", "main.py"):
    if name in os.listdir():
        exec(open(name).read(), {"__name__": "__main__"})
"""
MACHINE = """\
def reset():
    raise SystemExit(75)
def unique_id():
    return b"steam12AB"
"""
BOOTS_IN_S = 0.5
DEAF_S = 0.5


class BoardOnPty:
    """Runs boot.py and main.py of `folder`, then the prompt; a reset starts it anew.

    `port` is what mpremote is given. Ctrl-C interrupts what runs, as on a board. `resets` counts.
    With `watchdog_s` the board resets so long after main.py was interrupted, whatever it does then.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "board"
        self.folder.mkdir()
        stubs = folder / "stubs"
        stubs.mkdir()
        (stubs / "machine.py").write_text(MACHINE)
        (stubs / "start.py").write_text(START)
        self._start = stubs / "start.py"
        self._env = os.environ | {"MICROPYPATH": f"{stubs}:lib:.frozen"}
        self.resets = 0
        self.watchdog_s = None
        self._outer, self._held = pty.openpty()
        _raw(self._held, signals=False)
        self.port = os.ttyname(self._held)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self):
        self._thread.start()
        time.sleep(3 * DEAF_S)
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join(15)
        os.close(self._outer)
        os.close(self._held)

    def _live(self) -> None:
        while not self._ending.is_set():
            inner, terminal = pty.openpty()
            _raw(terminal, signals=True)
            process = subprocess.Popen(
                ["setsid", "--ctty", program(), "-i", self._start],
                stdin=terminal,
                stdout=terminal,
                stderr=terminal,
                cwd=self.folder,
                env=self._env,
            )
            os.close(terminal)
            self._carry(process, inner)
            process.kill()
            process.wait()
            os.close(inner)
            self.resets += 1
            self._ending.wait(BOOTS_IN_S)

    def _carry(self, process, inner) -> None:
        """Between the two terminals, until the interpreter ends; a board that starts is deaf."""
        ends = {self._outer: inner, inner: self._outer}
        hears_at = time.monotonic() + DEAF_S
        bites_at, watched = None, (self.folder / "main.py").exists()
        while process.poll() is None and not self._ending.is_set():
            if bites_at is not None and time.monotonic() > bites_at:
                return
            for ready in select.select(list(ends), [], [], 0.05)[0]:
                with contextlib.suppress(OSError):
                    said = os.read(ready, 4096)
                    if b"\x03" in said and ready == self._outer and watched and self.watchdog_s:
                        bites_at = bites_at or time.monotonic() + self.watchdog_s
                    if ready == inner or time.monotonic() > hears_at:
                        os.write(ends[ready], said)


def _raw(terminal: int, *, signals: bool) -> None:
    """Bytes as they are; with `signals` Ctrl-C interrupts what MicroPython runs."""
    modes = termios.tcgetattr(terminal)
    modes[0] = modes[1] = 0
    modes[3] = termios.ISIG if signals else 0
    termios.tcsetattr(terminal, termios.TCSANOW, modes)


def wait_until(condition, what: str, patience_s: float = 20.0) -> None:
    """Ask until it is so."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {patience_s:.0f} s: {what}"
        time.sleep(0.05)
