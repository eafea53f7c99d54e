"""docs/guides/device.md: what it has a technician type is what `steam device` takes."""

import re
import shlex
from pathlib import Path

import msgspec
import pytest
import typer

from device.steamlink import config, schema, sensors
from device.steamlink.hal import fake
from steam.commands.device import app
from steam.settings import load_settings

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "device.md"
MAPS = GUIDE.parents[2] / "device" / "steamlink" / "maps"
TEXT = GUIDE.read_text(encoding="utf-8")
BLOCKS = "\n".join(re.findall(r"^```bash\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
TYPED = sorted({*re.findall(r"^steam (device .*)$", BLOCKS, re.MULTILINE)})


def parsed(line):
    """The command and its arguments as typer takes them, without running it."""
    command, words = typer.main.get_command(app), shlex.split(line)[1:]
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    return command.make_context(command.name, words).params


@pytest.mark.parametrize("line", TYPED)
def test_typed_command_is_one_that_steam_takes(line):
    """Every option and argument of the guide exists."""
    assert parsed(line)


def test_settings_of_the_guide_are_taken(tmp_path):
    """The section of steam.yaml, with everything that stands behind a # too."""
    section = re.search(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)[1]
    (tmp_path / "steam.yaml").write_text(
        re.sub(r"^  # ", "  ", section, flags=re.MULTILINE), encoding="utf-8"
    )

    side = load_settings(tmp_path / "steam.yaml").devices

    assert (side.mqtt_host, side.mqtt_port, side.tls) == ("192.168.10.5", 1883, True)


def test_change_of_the_guide_is_one_that_the_firmware_takes():
    """The example of patch_config is within the schema."""
    change = msgspec.json.decode(re.search(r"patch_config --args '(.*)'", BLOCKS)[1])
    values = config.filled({"site": "s", "device": "d"})
    values["mqtt"]["host"] = "b"
    values["sampling"].update(change["sampling"])

    assert schema.validate(values) == []


@pytest.mark.parametrize("name", sorted(path.stem for path in MAPS.glob("*.json")))
def test_copied_map_reaches_the_board_in_its_configuration(name, tmp_path):
    """As wiring.md says: the whole map as `map` is within the schema, and the driver takes it."""
    content = msgspec.json.decode((MAPS / f"{name}.json").read_bytes())
    values = config.filled({"site": "s", "device": "d"})
    values["mqtt"]["host"] = "b"
    values["buses"] = {"rs485": {"kind": "uart", "id": 1, "tx": 17, "rx": 16}}
    values["sensors"] = [{"kind": "modbus", "bus": "rs485", "map": content}]

    assert config.checked(values)
    drivers, faults = sensors.make_all(values, fake.Board(str(tmp_path)))
    assert faults == []
    assert len(drivers[0].metrics()) == len(content["points"])


def test_web_server_of_the_guide_serves_a_folder_of_updates_alone():
    """Never the folder with the key and the configurations: everybody can read what is served."""
    (served,) = re.findall(r"^python -m http\.server (.*)$", BLOCKS, re.MULTILINE)
    made = [parsed(line) for line in TYPED if line.startswith("device firmware make")]
    (offered,) = [parsed(line) for line in TYPED if line.startswith("device update")]

    assert served == "8000 --directory updates"
    assert [str(Path(each["out_file"]).parent) for each in made] == ["updates"]
    assert offered["file"] == made[0]["out_file"]
    assert Path(offered["key"]).parent != Path(offered["file"]).parent
