"""`steam device add` and `config`: the configuration of a board."""

import json
import os
import re
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridge.device_commands import DeviceFault
from bridge.plant import Device, load_plant
from device.steamlink import config as firmware_config
from steam.commands.device import app
from steam.firmware import new_key
from steam.provisioning import BOARDS, Wifi, ca_certificate, check_sensors, config_of, read_config
from steam.registry import mqtt_accounts_of
from steam.settings import load_settings

PLANT = "sites: [{name: mill}]\nboilers: [{name: b1, site: mill}]\ndevices: []\n"
ROOT = Path(__file__).resolve().parents[3]
NOW = datetime(2026, 11, 28, 9, tzinfo=UTC)


@pytest.fixture
def settings_of(tmp_path):
    def settings_of(text):
        (tmp_path / "plant.yaml").write_text(PLANT)
        (tmp_path / "steam.yaml").write_text(text)
        return load_settings(tmp_path / "steam.yaml")

    return settings_of


def made(settings, board="esp32", **kwargs):
    device = Device(name="cal-1", site="mill", boiler="b1", board=board)
    return config_of(settings, device, board=board, password="secret", now=NOW, **kwargs)


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("simulated", [False, True])
def test_configuration_of_every_board_is_one_that_the_firmware_takes(
    settings_of, tmp_path, board, simulated
):
    """What is written is loaded by the firmware's own code, without a fault."""
    settings = settings_of("devices: {mqtt_host: broker.lan}\n")
    values = made(settings, board, simulated=simulated)
    folder = tmp_path / "board"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(values))

    config = firmware_config.Config(str(folder))
    loaded = config.load()

    assert (config.faults, config.source) == ([], "file")
    assert loaded["mqtt"]["host"] == "broker.lan"
    assert loaded["mqtt"]["password"] == "secret"
    assert loaded["sensors"]
    assert not simulated or loaded["sensors"] == [{"kind": "simulated"}]


def test_configuration_counts_boots_from_the_minutes_since_2020(settings_of):
    """A board set up anew later counts on from above: it cannot boot once a minute for years."""
    settings = settings_of("devices: {mqtt_host: b}\n")

    assert made(settings)["boot_from"] == int(
        (NOW - datetime(2020, 1, 1, tzinfo=UTC)).days * 1440 + 540
    )


@pytest.mark.parametrize(
    ("text", "board", "expected"),
    [
        ("mqtt: {host: 10.0.0.5, port: 1884}", "esp32", ("10.0.0.5", 1884, "cal-1", False)),
        ("devices: {mqtt_host: b, mqtt_port: 1}", "pi", ("b", 1, "cal-1", False)),
        ("mqtt: {port: 1999}", "unix", ("127.0.0.1", 1999, "cal-1", False)),
        ("mqtt: {host: 0.0.0.0}", "unix", ("127.0.0.1", 1883, "cal-1", False)),
        (
            "devices: {mqtt_host: b, tls: true, ca_file: ca.pem}",
            "esp32",
            ("b", 8883, "cal-1", True),
        ),
        (
            "{deployment: server, management: {virtual_host: v}, devices: {mqtt_host: b}}",
            "esp32",
            ("b", 1883, "v:cal-1", False),
        ),
    ],
)
def test_configuration_names_the_broker_as_devices_see_it(settings_of, text, board, expected):
    """From `devices`, else from `mqtt`; with the virtual host where RabbitMQ needs it."""
    mqtt = made(settings_of(f"{text}\n"), board)["mqtt"]

    assert (mqtt["host"], mqtt["port"], mqtt["user"], mqtt["tls"]) == expected


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::1", "127.0.0.2"])
def test_broker_that_only_this_machine_reaches_is_refused_for_a_board(settings_of, host):
    """A board would connect to itself."""
    settings = settings_of(f'mqtt: {{host: "{host}"}}\n')

    with pytest.raises(DeviceFault, match=r"devices: \{mqtt_host: \.\.\.\}, or give --mqtt-host"):
        made(settings)
    assert made(settings, mqtt_host="b")["mqtt"]["host"] == "b"


def test_configuration_has_the_wifi_of_boards_with_a_radio_only(settings_of):
    """A Raspberry Pi has its network from its system."""
    settings = settings_of("devices: {mqtt_host: b, wifi_country: PT}\n")
    wifi = Wifi(ssid="Casa das Caldeiras", password="senha do wifi")

    assert made(settings, wifi=wifi)["wifi"] == {
        "ssid": "Casa das Caldeiras",
        "password": "senha do wifi",
        "country": "PT",
    }
    assert "wifi" not in made(settings, "pi")
    with pytest.raises(DeviceFault, match="no --wifi-ssid"):
        made(settings, "pi", wifi=wifi)


def test_configuration_that_the_firmware_would_refuse_is_not_made(settings_of):
    """The firmware's own words say what is wrong, and where."""
    settings = settings_of("devices: {mqtt_host: b}\n")

    with pytest.raises(DeviceFault, match=r"wifi\.password: "):
        made(settings, wifi=Wifi(ssid="x", password="short"))


@pytest.mark.parametrize("form", ["pem", "modulus"])
def test_configuration_has_the_key_of_updates(settings_of, tmp_path, form):
    """The modulus alone, from the key pair or from a file with the modulus."""
    settings = settings_of("devices: {mqtt_host: b, ota_key_file: key}\n")
    modulus = new_key(tmp_path / "key")
    if form == "modulus":
        (tmp_path / "key").unlink()
        (tmp_path / "key").write_text(f"{modulus}\n")

    assert made(settings)["ota"] == {"key": modulus}


@pytest.mark.parametrize("content", [None, "", "abc", "-----BEGIN NONSENSE-----"])
def test_key_of_updates_that_is_none_is_told(settings_of, tmp_path, content):
    """A device with a wrong key would refuse every update, and nobody would know why."""
    settings = settings_of("devices: {mqtt_host: b, ota_key_file: key}\n")
    if content is not None:
        (tmp_path / "key").write_text(content)

    with pytest.raises(DeviceFault, match=r"devices\.ota_key_file"):
        made(settings)


def test_ca_of_the_plant_becomes_der(settings_of, tmp_path):
    """PEM or DER goes in; what is no certificate is told."""
    settings = settings_of("devices: {mqtt_host: b, tls: true, ca_file: ca.pem}\n")
    pem = tmp_path / "ca.pem"
    _new_ca(pem)

    der = ca_certificate(settings)
    pem.write_bytes(der)

    assert der[0] == 0x30
    assert ca_certificate(settings) == der
    pem.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    with pytest.raises(DeviceFault, match="no single certificate"):
        ca_certificate(settings)


@pytest.mark.parametrize("board", ["pi", "unix"])
def test_ca_lies_beside_the_configuration_of_a_board_that_is_not_flashed(run, tmp_path, board):
    """As its `mqtt.ca` names it: without it such a board would never connect."""
    _new_ca(tmp_path / "ca.pem")
    (tmp_path / "steam.yaml").write_text(
        "devices: {mqtt_host: b, tls: true, ca_file: ca.pem}\n", encoding="utf-8"
    )

    told = run("add", "mill", "cal-1", "--boiler", "b1", "--board", board)

    settings = load_settings(tmp_path / "steam.yaml")
    named = read_config(tmp_path / "cal-1.config.json")["mqtt"]["ca"]
    assert (tmp_path / named).read_bytes() == ca_certificate(settings)
    assert "wrote ca.der" in told
    (tmp_path / named).unlink()
    run("config", "cal-1", "--force")
    assert (tmp_path / named).exists()


def _new_ca(pem):
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=x"
    )
    subprocess.run(
        [*command.split(), "-keyout", os.devnull, "-out", pem], check=True, capture_output=True
    )


@pytest.fixture
def run(tmp_path, monkeypatch, settings_of):
    settings_of("devices: {mqtt_host: broker.lan}\n")
    monkeypatch.chdir(tmp_path)

    def run(*arguments, expect=0, stdin=None):
        done = CliRunner().invoke(app, [*map(str, arguments)], input=stdin)
        assert done.exit_code == expect, done.output
        return " ".join(done.output.split())

    return run


ADD = ("add", "mill", "cal-1", "--boiler", "b1", "--board", "esp32")


def test_add_writes_the_configuration_for_its_owner_alone(run, tmp_path):
    """The file holds the password that was shown, and its mode is 0600."""
    told = run(*ADD)

    path = tmp_path / "cal-1.config.json"
    values = read_config(path)
    assert f"password, shown only now: {values['mqtt']['password']}" in told
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (values["site"], values["device"], values["board"]) == ("mill", "cal-1", "esp32")
    assert "entered at the board's own portal" in told


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (("--out", "nowhere/x.json"), "is no folder"),
        (("--wifi-ssid", "x"), "give --wifi-password-file"),
        (("--wifi-password-file", "x"), "is for a --wifi-ssid"),
        (("--mqtt-host", "not a host!"), "mqtt.host"),
    ],
)
def test_add_that_cannot_write_makes_no_account(run, tmp_path, extra, said):
    """Whatever is wrong is told before anything is done."""
    assert said in run(*ADD, *extra, expect=1)

    assert mqtt_accounts_of(load_settings(tmp_path / "steam.yaml")).listed() == []
    assert (tmp_path / "plant.yaml").read_text() == PLANT


def test_add_leaves_a_configuration_that_is_there(run, tmp_path):
    """Only --force writes over it, and then its mode is 0600 too."""
    path = tmp_path / "cal-1.config.json"
    path.write_text("mine")
    path.chmod(0o644)

    assert "--force" in run(*ADD, expect=1)
    assert path.read_text() == "mine"
    run(*ADD, "--force")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_add_reads_the_password_of_the_wifi_from_a_file(run, tmp_path):
    """It stands in no command line."""
    (tmp_path / "wifi").write_text("senha do wifi\n")

    run(*ADD, "--wifi-ssid", "Casa", "--wifi-password-file", "wifi")

    assert read_config(tmp_path / "cal-1.config.json")["wifi"]["password"] == "senha do wifi"


def test_add_of_a_board_without_firmware_writes_none(run, tmp_path):
    """Foreign devices are registered as before."""
    assert "no configuration written" in run("add", "mill", "plc", "--boiler", "b1")

    assert not (tmp_path / "plc.config.json").exists()


def test_metrics_that_the_plant_does_not_know_are_told(run, settings_of, tmp_path):
    """Their readings would be stored by nobody; the catalogue and plant.yaml are what is known."""
    settings = settings_of("devices: {mqtt_host: b}\n")
    sensor = {"kind": "digital", "bus": "x", "metric": "own_thing"}
    values = made(settings, simulated=True)
    values["buses"] = {"x": {"kind": "pin", "pin": 3}}
    values["sensors"] = [*values["sensors"], sensor]
    plant = load_plant(settings.plant_path)

    assert check_sensors(values, plant) == ["own_thing"]
    values["sensors"] = [sensor | {"bus": "y"}]
    with pytest.raises(DeviceFault, match="bus 'y'"):
        check_sensors(values, plant)


def test_config_without_rotate_keeps_the_password_of_the_file(run, tmp_path):
    """The account keeps its own; where no file has it nobody can read it, and that is said."""
    run(*ADD)
    path = tmp_path / "cal-1.config.json"
    password = read_config(path)["mqtt"]["password"]
    folder = load_settings(tmp_path / "steam.yaml").data_path
    before = (folder / "mqtt-passwords").read_text()

    assert "with the password that it had" in run("config", "cal-1", "--force")
    assert read_config(path)["mqtt"]["password"] == password
    path.unlink()
    assert "without its password" in run("config", "cal-1")

    assert read_config(path)["mqtt"]["password"] == ""
    assert (folder / "mqtt-passwords").read_text() == before


def test_config_over_a_file_of_another_account_does_not_take_its_password(run, tmp_path):
    """It would not open this one."""
    run(*ADD)
    path = tmp_path / "cal-1.config.json"
    values = read_config(path)
    path.write_text(json.dumps(values | {"mqtt": values["mqtt"] | {"user": "cal-9"}}))

    run("config", "cal-1", "--force")

    assert read_config(path)["mqtt"]["password"] == ""


def test_config_with_rotate_has_a_new_password(run, tmp_path):
    """And the account has it too."""
    run(*ADD)
    first = read_config(tmp_path / "cal-1.config.json")["mqtt"]["password"]

    told = run("config", "cal-1", "--rotate", "--force", "--simulated")

    values = read_config(tmp_path / "cal-1.config.json")
    assert values["mqtt"]["password"] not in ("", first)
    assert values["mqtt"]["password"] not in told
    assert values["sensors"] == [{"kind": "simulated"}]


def test_config_keeps_what_was_entered_in_the_file(run, tmp_path):
    """Wi-Fi, buses, sensors, limits and all else are a technician's; names, broker, key are not."""
    run(*ADD)
    path = tmp_path / "cal-1.config.json"
    before = read_config(path)
    mine = before | {
        "wifi": {"ssid": "Casa", "password": "senha do wifi"},
        "buses": {"w1": {"kind": "onewire", "pin": 5}},
        "sensors": [{"kind": "simulated"}],
        "limits": [{"metric": "steam_pressure", "type": "HI", "setpoint": 9}],
        "sampling": {"period_ms": 500},
        "boot_from": 7,
        "mqtt": before["mqtt"] | {"keepalive_s": 15, "host": "old", "password_next": "x" * 9},
    }
    path.write_text(json.dumps(mine))

    run("config", "cal-1", "--rotate", "--force")

    after = read_config(path)
    for key in ("wifi", "buses", "sensors", "limits", "sampling"):
        assert after[key] == mine[key]
    assert after["boot_from"] > 7
    mqtt = after["mqtt"]
    assert (mqtt["keepalive_s"], mqtt["host"], mqtt["password_next"]) == (15, "broker.lan", "")
    assert mqtt["password"] not in ("", before["mqtt"]["password"])
    (tmp_path / "wifi").write_text("outra senha")
    run("config", "cal-1", "--force", "--wifi-ssid", "Nova", "--wifi-password-file", "wifi")
    assert read_config(path)["wifi"]["ssid"] == "Nova"


def test_board_with_a_radio_gets_a_password_for_its_own_network(run, tmp_path):
    """Random, told, kept by `config`; a board's number gives nothing away."""
    told = run(*ADD)
    path = tmp_path / "cal-1.config.json"
    first = read_config(path)["portal_password"]
    assert len(first) == 12
    assert f"where it lacks one: {first}" in told

    run("config", "cal-1", "--force")
    assert read_config(path)["portal_password"] == first
    run("add", "mill", "cal-2", "--boiler", "b1", "--board", "pico_w")
    assert read_config(tmp_path / "cal-2.config.json")["portal_password"] not in ("", first)
    run("add", "mill", "pi-1", "--boiler", "b1", "--board", "pi")
    assert "portal_password" not in read_config(tmp_path / "pi-1.config.json")


def test_flash_without_its_file_names_the_option_for_another(run, tmp_path):
    """--config is steam.yaml."""
    run(*ADD)
    (tmp_path / "cal-1.config.json").unlink()

    assert "--board-config names another" in run("flash", "cal-1", "--dry-run", expect=1)


def test_flash_of_a_raspberry_pi_names_the_program_that_installs(run):
    """It is there."""
    run(*ADD[:-1], "pi")

    told = run("flash", "cal-1", "--dry-run", expect=1)

    (named,) = re.findall(r"device/pi/\S+", told)
    assert (ROOT / named).is_file()


def test_config_from_a_file_that_is_none_is_refused(run, tmp_path):
    """It would be lost: whoever means it removes it."""
    run(*ADD)
    path = tmp_path / "cal-1.config.json"
    path.write_text("{")

    assert "cannot be read as JSON" in run("config", "cal-1", "--force", expect=1)
    assert path.read_text() == "{"


def test_rotate_that_shows_the_password_says_how_it_gets_to_the_device(run):
    """The portal, when it opens; else a new configuration over USB."""
    run(*ADD)

    told = run("rotate", "cal-1", "--show")

    assert "password, shown only now" in told
    assert "portal when that opens" in told
    assert "steam device config cal-1 --rotate --force" in told


def test_config_of_unknown_device_is_refused(run):
    """A slip of the pen names the nearest."""
    run(*ADD)

    assert "no device 'cal-2'; did you mean 'cal-1'" in run("config", "cal-2", expect=1)


@pytest.mark.parametrize("text", ["{", "[]", "\xff", '{"v": 1}', "[" * 100_000])
def test_configuration_that_is_none_is_not_read(tmp_path, text):
    """Garbage is told, whatever it is."""
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("latin-1"))

    with pytest.raises(DeviceFault):
        read_config(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("devices: {mqtt_hots: b}", "mqtt_hots"),
        ("devices: {mqtt_port: 0}", "mqtt_port"),
        ("devices: {tls: true}", "devices.ca_file"),
        ("devices: {wifi_country: brazil}", "wifi_country"),
    ],
)
def test_settings_of_devices_that_are_wrong_are_told(settings_of, text, said):
    """With the file and the line, as every setting."""
    from bridge.settings_file import SettingsError

    with pytest.raises(SettingsError, match=said):
        settings_of(f"{text}\n")
