"""`python -m device.unix`: the firmware as a process on a PC."""

import json
import stat
import subprocess
import sys
import time

import pytest

from device.steamlink.copies import Copies
from steam import firmware
from tests.firmware import micropython
from tests.firmware.interrupt import interrupt

CONFIG = {"site": "mill", "device": "pc-1", "mqtt": {"host": "127.0.0.1", "port": 9}}


class Process:
    """One device in a folder; `lines` is what it has printed so far."""

    def __init__(self, command, folder):
        self.out = folder.with_name(folder.name + ".log")
        with self.out.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, str(folder)],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=micropython.ROOT,
                env=micropython.environment()
                | {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"},
                umask=0o022,
            )

    @property
    def lines(self):
        return self.out.read_text().splitlines()

    def wait_for(self, count):
        """The introductions, once there are so many."""
        deadline = time.monotonic() + 30
        while True:
            found = [line for line in self.lines if line.startswith("steam ")]
            if len(found) >= count or time.monotonic() > deadline:
                assert len(found) == count, self.out.read_text()
                return found
            time.sleep(0.05)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "board"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


@pytest.fixture
def start(folder):
    started = []

    def start(*command):
        started.append(Process(command, folder))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


CPYTHON = (sys.executable, "-c")
# Asks for a restart as soon as it runs, as a changed configuration does; from the second boot on not.
RESTARTS = """
import runpy, sys
from device.steamlink import app
keep = app.App.open
def open_(self):
    keep(self)
    if self.session.boot == 1:
        run = self.run
        async def restarting():
            await self._restart("config")
        self.run = restarting
app.App.open = open_
sys.argv.insert(0, "x")
sys.argv = ["device.unix", sys.argv[-1]]
runpy.run_module("device.unix", run_name="__main__", alter_sys=True)
"""


def test_firmware_on_a_pc_starts_again_when_it_asks_for_it(start):
    """A change, an update, a restart from afar: no supervisor is needed, and the process stays."""
    device = start(*CPYTHON, RESTARTS)

    first, second = device.wait_for(2)

    assert "boot 1:" in first
    assert "boot 2:" in second
    assert device.process.poll() is None
    assert interrupt(device.process, 20) == 0, device.out.read_text()


@pytest.mark.parametrize("interpreter", ["cpython", "micropython"])
def test_firmware_on_a_pc_starts_from_its_slot(interpreter, start, folder):
    """What an update has put there is what runs, and it says so."""
    made = firmware.make_update("unix", folder / "u.tar", version="9.9.9", compiled=False)
    subprocess.run(["tar", "-xf", made.path, "--one-top-level=a"], cwd=folder, check=True)
    (folder / "a.ok").write_text("whole\n")
    program = sys.executable if interpreter == "cpython" else micropython.program()

    (told,) = start(program, "-m", "device.unix").wait_for(1)

    assert told.startswith("steam 9.9.9 on unix")


FLAT = """
import sys
from device.{board} import __main__ as starter
from device.steamlink import app
app.main = lambda board: print("flat")
folder = sys.argv.pop()
{start}
"""
STARTS = {
    "unix": "starter.main(folder)",
    "pi": "sys.argv = ['device.pi', '--folder', folder]; starter.main()",
}


@pytest.mark.parametrize(
    ("board", "interpreter"), [("unix", "cpython"), ("unix", "micropython"), ("pi", "cpython")]
)
def test_firmware_whose_slot_is_damaged_is_back_after_eight_starts(board, interpreter, folder):
    """An update that has proved itself, then lost a file: the ninth start is what was installed."""
    (folder / "a" / "steamlink").mkdir(parents=True)
    (folder / "a" / "steamlink" / "__init__.py").write_text("this is no program\n")
    (folder / "a.ok").write_text("whole\n")
    Copies(str(folder), "slot").save({"run": "a", "trial": None, "tries": 0, "failed": None})
    program = sys.executable if interpreter == "cpython" else micropython.program()
    command = [program, "-c", FLAT.format(board=board, start=STARTS[board]), str(folder)]

    ended = [
        subprocess.run(
            command,
            cwd=micropython.ROOT,
            env=micropython.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        for _ in range(9)
    ]

    assert [done.returncode for done in ended] == [1] * 8 + [0], ended[-1]
    assert ended[-1].stdout == "flat\n"


@pytest.mark.parametrize("command", [("device.unix",), ("device.pi", "--folder")])
def test_firmware_refuses_a_folder_that_another_process_has(command, start, folder):
    """Two would delete each other's messages: the second says so, and the first goes on."""
    first = start(sys.executable, "-m", "device.unix")
    first.wait_for(1)

    second = subprocess.run(
        [sys.executable, "-m", *command, str(folder)],
        cwd=micropython.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert second.returncode == 1
    assert f"folder {folder}: another process runs with it; stop that first" in second.stderr
    assert first.process.poll() is None


def test_firmware_that_was_killed_leaves_its_folder_free(start):
    """Nobody has to remove anything after it."""
    first = start(sys.executable, "-m", "device.unix")
    first.wait_for(1)
    first.process.kill()
    first.process.wait()

    (told,) = start(sys.executable, "-m", "device.unix").wait_for(1)

    assert "boot 2:" in told


def test_firmware_keeps_its_passwords_from_others(start, folder):
    """Whatever the umask of whoever starts it."""
    start(sys.executable, "-m", "device.unix").wait_for(1)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("config.[ab]")}
    assert modes
    assert set(modes.values()) == {0o600}
