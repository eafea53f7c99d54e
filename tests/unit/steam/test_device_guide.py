"""docs/guides/device.md: what it has a technician type is what `steam device` takes."""

import re
import shlex
from pathlib import Path

import msgspec
import pytest
import typer

from device.steamlink import config, hal, schema, sensors
from device.steamlink.hal import fake
from steam.commands.device import app
from steam.settings import load_settings

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "device.md"
MAPS = GUIDE.parents[2] / "device" / "steamlink" / "maps"
TEXT = GUIDE.read_text(encoding="utf-8")
BLOCKS = "\n".join(re.findall(r"^```bash\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
TOLD = " ".join(TEXT.split())
TYPED = sorted(
    {
        *re.findall(r"^steam (device .*)$", BLOCKS, re.MULTILINE),
        *re.findall(r"`steam (device (?:add|adopt|command|config) [^`]*)`", TOLD),
    }
)


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
        re.sub(r"^(  |)# ", r"\1", section, flags=re.MULTILINE), encoding="utf-8"
    )

    settings = load_settings(tmp_path / "steam.yaml")

    side = settings.devices
    assert (side.mqtt_host, side.mqtt_port, side.tls) == ("192.168.10.5", 1883, True)
    assert settings.panel.origins == [f"{side.mqtt_host}:{settings.panel.port}"]


def test_settings_of_the_mosquitto_guide_send_devices_to_their_own_listener(tmp_path):
    """Steam's own port listens on its machine alone."""
    text = (GUIDE.parent / "mosquitto.md").read_text(encoding="utf-8")
    section = re.search(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[1]
    (tmp_path / "steam.yaml").write_text(section, encoding="utf-8")

    settings = load_settings(tmp_path / "steam.yaml")

    assert f"Devices use port {settings.devices.mqtt_port}," in text
    assert f"Steam uses {settings.mqtt.port}," in text


def test_table_of_keys_has_each_of_sampling_and_store_with_its_default():
    """None is missing, none is told that is not there."""
    told = dict(
        re.findall(r"^\| `((?:sampling|store)\.\w+|diag_s)` \| (\d+) \|", TEXT, re.MULTILINE)
    )
    values = config.defaults()

    known = {
        f"{part}.{key}": values[part][key] for part in ("sampling", "store") for key in values[part]
    }
    assert {key: int(default) for key, default in told.items()} == known | {
        "diag_s": values["diag_s"]
    }


def test_table_of_buses_has_each_kind_with_its_keys():
    """As hal says what a board's buses are."""
    kinds = dict(re.findall(r"^    (\w+) \{([\w, ]+)\}", hal.__doc__, re.MULTILINE))

    assert set(kinds) == set(hal.KINDS)
    for kind, keys in kinds.items():
        (row,) = re.findall(rf"^\| `{kind}` \| (.*) \|$", TEXT, re.MULTILINE)
        assert re.findall(r"`(\w+)`", row) == keys.split(", "), kind


def test_limit_of_the_guide_is_one_that_the_firmware_takes():
    """The example has every key of a limit."""
    limit = msgspec.json.decode(re.search(r"\*\*`limits`\*\*, `([^`]*)`", TOLD)[1])
    values = {"site": "s", "device": "d", "mqtt": {"host": "b"}, "limits": [limit]}

    assert schema.validate(values) == []
    (fault,) = schema.validate(values | {"limits": [limit | {"x": 1}]})
    assert all(key in fault for key in limit)
    assert len(limit) == fault.count(", ") + 1


def test_causes_of_a_start_are_in_the_guide():
    """Each that hal knows."""
    assert [cause for cause in hal.CAUSES if f"`{cause}`" not in TEXT] == []


@pytest.mark.parametrize("board", ["esp32", "pico_w", "pi"])
def test_table_of_outages_is_for_the_store_of_the_kit(board):
    """How long it keeps readings follows from `store.limit_kib` and `sampling.period_ms`."""
    kit = msgspec.json.decode((GUIDE.parents[2] / "device" / board / "kit.json").read_bytes())
    kib = kit["store"]["limit_kib"]
    name = {"esp32": "ESP32", "pico_w": "Pico W", "pi": "Raspberry Pi"}[board]

    assert f"{name}, {f'{kib // 1024} MiB' if kib >= 1024 else f'{kib} KiB'} |" in TEXT
    assert f"| {kit['sampling']['period_ms']}, the kit's |" in TEXT


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


def test_example_of_the_maps_leaves_a_point_out_and_renames_one(tmp_path):
    """The sensor of maps/README.md, as the kits write it."""
    text = (MAPS / "README.md").read_text(encoding="utf-8")
    sensor = msgspec.json.decode(re.search(r"^    (\{.*?\}\})$", text, re.MULTILINE | re.DOTALL)[1])
    values = {
        "buses": {"rs485": {"kind": "uart", "id": 1, "tx": 17, "rx": 16}},
        "sensors": [sensor],
    }

    drivers, faults = sensors.make_all(config.filled(values), fake.Board(str(tmp_path)))

    assert faults == []
    names = [metric[0] for metric in drivers[0].metrics()]
    assert "fuel_pressure" not in names
    assert sensor["metrics"]["oxygen"] in names
