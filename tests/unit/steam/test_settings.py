"""steam.yaml and the commands that read it: clear faults, exit code 2, nothing started."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bridge.settings_file import SettingsError
from steam.broker import amqp_url, desk_url
from steam.commands import check
from steam.held_folder import FolderInUse, held
from steam.recording import RecordingError, load_mapping, read_rows, to_messages
from steam.settings import MissingSecret, Secret, load_settings

ROOT = Path(__file__).resolve().parents[3]


def faults(tmp_path, text):
    path = tmp_path / "steam.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "deploymnt: server\n",
            "steam.yaml:1: unknown key 'deploymnt'; did you mean 'deployment'?",
        ),
        ("mqtt:\n  prot: 1\n", "steam.yaml:2: unknown key 'prot'; did you mean 'port'?"),
        ("mqtt:\n  port: high\n", "steam.yaml:2: mqtt.port: expected `int`, got `str`"),
        ("deployment: servr\n", "'servr' is none of embedded, server; did you mean 'server'?"),
        ("time_zone: Mars/Olympus\n", "no time zone 'Mars/Olympus'"),
        ("time_zone: America\n", "steam.yaml:1: no time zone 'America'"),
        ("42\n", "steam.yaml:1: the file must be a mapping with keys"),
        ("true\n", "steam.yaml:1: the file must be a mapping with keys"),
        ("management: {url: 'broker:15672'}\n", "steam.yaml:1: 'broker:15672' is no address"),
        ("influxdb:\n  url: influx\n", "steam.yaml:2: 'influx' is no address"),
        ("influxdb: {url: 'http://[::1'}\n", "'http://[::1' is no address"),
        ("flush:\n  rows: [1]\n", "steam.yaml:2: flush.rows: expected `int`, got `array`"),
    ],
)
def test_settings_fault_is_told_with_its_line(tmp_path, text, told):
    """Each fault names file, line, and the nearest valid name where there is one."""
    assert told in faults(tmp_path, text)


def test_settings_defaults_stand_for_an_empty_file(tmp_path):
    """An empty steam.yaml is the embedded deployment."""
    path = tmp_path / "steam.yaml"
    path.write_text("")

    settings = load_settings(path)

    assert settings.deployment == "embedded"
    assert settings.plant_path == tmp_path / "plant.yaml"


def test_check_with_faults_ends_with_exit_code_2(tmp_path):
    """`steam check` prints every fault and ends with 2."""
    (tmp_path / "steam.yaml").write_text("planet: x\nflus: {}\n")

    done = subprocess.run(
        [sys.executable, "-m", "steam", "check", "--config", str(tmp_path / "steam.yaml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "did you mean 'plant'?" in done.stderr
    assert "did you mean 'flush'?" in done.stderr


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read: No such file or directory"), ("?", "is no ")]
)
def test_check_of_files_for_devices_that_are_no_good_tells_each_with_its_line(
    tmp_path, content, said
):
    """The CA and the key of updates are read as `steam device add` will read them."""
    settings = tmp_path / "steam.yaml"
    settings.write_text("devices:\n  ca_file: ca.pem\n  ota_key_file: no.pub\n")
    (tmp_path / "plant.yaml").write_text("sites: []\n")
    for name in ("ca.pem", "no.pub"):
        if content is not None:
            (tmp_path / name).write_text(content)

    done = CliRunner().invoke(check.app, ["--config", str(settings)])

    assert done.exit_code == 2
    told = " ".join(done.output.split())
    assert f"steam.yaml:2: devices.ca_file: {tmp_path / 'ca.pem'} {said}" in told
    assert f"steam.yaml:3: devices.ota_key_file: {tmp_path / 'no.pub'} {said}" in told


@pytest.mark.parametrize(("command", "deployment"), [("run", "embedded"), ("notifier", "server")])
def test_notification_route_to_no_boiler_starts_nothing(tmp_path, command, deployment):
    """What `steam check` refuses, the services refuse too: exit code 2, with the line."""
    (tmp_path / "plant.yaml").write_text(
        "sites: [{name: mill}]\nboilers: [{name: b1, site: mill}]\n"
    )
    (tmp_path / "steam.yaml").write_text(
        f"deployment: {deployment}\nnotifications:\n"
        "  routes:\n    - {name: team, boilers: [b7], targets: [{url_env: TEAM}]}\n"
    )

    done = subprocess.run(
        [sys.executable, "-m", "steam", command, "--config", str(tmp_path / "steam.yaml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2, done.stderr
    assert "steam.yaml:4: " in done.stderr
    assert "no boiler 'b7'" in done.stderr


def test_amqp_address_that_is_none_is_told_without_the_password(tmp_path, monkeypatch):
    """A password with a slash in it breaks the address; what is said quotes none of it."""
    monkeypatch.setenv("STEAM_AMQP_URL", "amqp://steam:pa/ss:word@broker:5672/")
    path = tmp_path / "steam.yaml"
    path.write_text("deployment: server\n")

    with pytest.raises(MissingSecret, match="%2F") as caught:
        amqp_url(load_settings(path))

    assert "pa/ss" not in str(caught.value)
    assert "word" not in str(caught.value).replace("password", "")


def test_desk_without_an_address_of_its_own_uses_the_one_there_is(tmp_path, monkeypatch):
    """A trial needs one account; a plant gives each program its own."""
    path = tmp_path / "steam.yaml"
    path.write_text("deployment: server\n")
    monkeypatch.delenv("STEAM_DESK_AMQP_URL", raising=False)
    monkeypatch.setenv("STEAM_AMQP_URL", "amqp://one:x@broker/")
    assert desk_url(load_settings(path)) == "amqp://one:x@broker/"

    monkeypatch.setenv("STEAM_DESK_AMQP_URL", "amqp://desk:x@broker/")

    assert desk_url(load_settings(path)) == "amqp://desk:x@broker/"


def test_secret_comes_from_environment_or_file(tmp_path, monkeypatch):
    """A secret is in the variable, or in the file that NAME_FILE names; else it is asked for."""
    monkeypatch.setenv("A_SECRET", "one")
    (tmp_path / "secret").write_text("two\n")
    monkeypatch.setenv("B_SECRET_FILE", str(tmp_path / "secret"))

    assert Secret(env="A_SECRET").read("a") == "one"
    assert Secret(env="B_SECRET").read("b") == "two"
    with pytest.raises(MissingSecret, match=r"amqp\.url: set C_SECRET"):
        Secret(env="C_SECRET").read("amqp.url")


CSV = "time;p\n2020-01-01 00:00:00;1.5\n2020-01-01 00:00:01;\n2020-01-01 00:00:02;nan\n"
MAPPING = "site: s\ndevice: d\nseparator: ';'\ntime: {column: time}\nmetrics: {steam_pressure: p}\n"


def recording(tmp_path, csv=CSV, mapping=MAPPING):
    (tmp_path / "r.csv").write_text(csv)
    (tmp_path / "m.yaml").write_text(mapping)
    mapped = load_mapping(tmp_path / "m.yaml")
    return list(read_rows(tmp_path / "r.csv", mapped)), mapped


def test_recording_is_read_with_its_own_times(tmp_path):
    """Rows keep their times; empty and NaN cells are no value."""
    rows, mapped = recording(tmp_path)

    assert [row.values for row in rows] == [[1.5], [None], [None]]
    assert rows[1].at_ms - rows[0].at_ms == 1000
    assert [m.seq for m in to_messages(iter(rows), mapped, rows_per_message=2)] == [1, 2]


@pytest.mark.parametrize(
    ("csv", "told"),
    [
        (CSV.replace("1.5", "high"), "r.csv:2: could not convert"),
        (CSV.replace("00:00:02", "00:00:01"), "r.csv:4: its time is not after"),
        (CSV.replace(";p", ";q"), "no column p"),
        (CSV.replace("2020-01-01 00:00:01", "yesterday"), "r.csv:3: time data 'yesterday'"),
    ],
)
def test_recording_fault_is_told_with_its_line(tmp_path, csv, told):
    """A recording that cannot be read names file, line and what is wrong."""
    with pytest.raises(RecordingError, match=told):
        recording(tmp_path, csv)


def test_importing_the_processor_imports_no_numbers_library():
    """The processor starts without pandas, numpy or panel."""
    code = (
        "import sys, processor.record, processor.evaluate, processor.adapters.amqp_source, steam.server;"
        "bad = {'pandas', 'numpy', 'panel', 'bokeh'} & set(sys.modules); sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_embedded_commands_need_no_server_library():
    """With the embedded extra alone there is no pika; the demo starts."""
    code = (
        "import sys\n"
        "sys.modules['pika'] = None\n"
        "import steam.demo, steam.registry\n"
        "sys.argv = ['steam', 'demo', '--help']\n"
        "from steam.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("days", [0, -1, 1_000_000])
def test_retention_that_would_delete_everything_is_refused(tmp_path, days):
    """A slip of the pen in steam.yaml costs no data."""
    path = tmp_path / "steam.yaml"
    path.write_text(f"retention: {{raw_days: {days}}}\n")

    with pytest.raises(SettingsError, match="retention"):
        load_settings(path)


def test_secret_file_is_found_from_the_folder_of_steam_yaml(tmp_path, monkeypatch):
    """A relative file of a secret lies beside steam.yaml, wherever the command is called."""
    (tmp_path / "token").write_text("secret\n")
    (tmp_path / "steam.yaml").write_text("influxdb: {token: {file: token}}\n")
    monkeypatch.chdir("/")

    assert load_settings(tmp_path / "steam.yaml").influxdb.token.read("influxdb.token") == "secret"


MAPPING = """\
site: mill
device: d1
time: {column: t, format: "%Y-%m-%dT%H:%M:%S%z"}
metrics: {steam_pressure: p}
"""


def rows(tmp_path, content, mapping=MAPPING):
    """What is read of a recording of that content."""
    (tmp_path / "map.yaml").write_text(mapping)
    (tmp_path / "r.csv").write_bytes(content)
    return list(read_rows(tmp_path / "r.csv", load_mapping(tmp_path / "map.yaml")))


def test_recording_with_offsets_keeps_them(tmp_path):
    """A time with its own offset is that moment, whatever the mapping's zone."""
    (row,) = rows(tmp_path, b"t,p\n2026-01-01T00:00:00-0300,9.5\n")

    assert row.at_ms == 1_767_236_400_000


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"t,p\n2026-01-01T00:00:00Z,9.5\n2026-01-01T00", "r.csv:3: not as many cells"),
        (b"t,p\n2026-01-01T00:00:00Z,9.5,7\n", "r.csv:2: not as many cells"),
        (b"t,p\n2026-01-01T00:00:00Z,9.5 \xb0C\n", "r.csv: not UTF-8"),
        (b"t,press\xe3o\n", "r.csv: not UTF-8"),
        (b"t,p\n2026-01-01T00:00:00Z," + b"9" * 200_000, "field larger than field limit"),
    ],
)
def test_recording_that_is_no_table_is_told_with_its_place(tmp_path, content, told):
    """A short or long line, another encoding, a huge field: RecordingError, no traceback."""
    with pytest.raises(RecordingError, match=told):
        rows(tmp_path, content)


def test_recording_of_daily_rows_makes_messages_of_at_most_a_week(tmp_path):
    """A message's rows lie within seven days, however many it might hold."""
    days = b"".join(b"2026-01-%02dT00:00:00Z,1\n" % day for day in range(1, 21))
    read = rows(tmp_path, b"t,p\n" + days)

    messages = list(
        to_messages(iter(read), load_mapping(tmp_path / "map.yaml"), rows_per_message=500)
    )

    assert [len(json.loads(each.payload)["r"]) for each in messages] == [8, 8, 4]


def test_mapping_without_a_metric_is_a_fault(tmp_path):
    """A recording of nothing is refused."""
    with pytest.raises(SettingsError, match="at least one metric"):
        rows(tmp_path, b"", MAPPING.replace("{steam_pressure: p}", "{}"))


def test_second_run_on_a_data_folder_is_refused(tmp_path):
    """The first keeps its folder until it ends."""
    with held(tmp_path), pytest.raises(FolderInUse, match="another Steam runs on"), held(tmp_path):
        pass
    with held(tmp_path):
        pass
