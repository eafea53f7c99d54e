"""A firmware process provisioned, commanded, updated and given new passwords by `steam device`, on a real RabbitMQ."""

import functools
import http.server
import json
import subprocess
import sys
import threading
from contextlib import ExitStack
from types import SimpleNamespace
from urllib.parse import quote

import pytest

from device.steamlink import slots
from tests.contract.mqtt_client import MqttClient
from tests.firmware import micropython
from tests.system.rig import ROOT, Rig, wait_until

pytestmark = [pytest.mark.system, pytest.mark.broker]

PLANT = "sites: [{name: mill}]\nboilers: [{name: b1, site: mill}]\ndevices: []\n"
NO_STORE = SimpleNamespace(url="http://127.0.0.1:1", org="steam", token="none")
RESTART_CODE = 75


class Firmware:
    """The firmware in a process, started again whenever it asks for that."""

    def __init__(self, *command):
        self._command = command
        self._ending = threading.Event()
        self._process = None
        self._thread = threading.Thread(target=self._live, daemon=True)
        self.codes = []

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._process.terminate()
        self._thread.join(20)

    def _live(self):
        environment = micropython.environment() | {"PYTHONPATH": str(ROOT)}
        while not self._ending.is_set():
            self._process = subprocess.Popen(self._command, env=environment, cwd=ROOT)
            self.codes.append(self._process.wait())
            if self.codes[-1] != RESTART_CODE:
                return


@pytest.fixture
def rig(tmp_path, rabbitmq_vhost):
    with ExitStack() as stack:
        rig = Rig(tmp_path, rabbitmq_vhost, NO_STORE, PLANT)
        stack.callback(rig.close)
        rig.run("topology", "declare")
        file = tmp_path / "d1.config.json"
        rig.run(
            "device", "add", "mill", "pw-d1", "--boiler", "b1", "--board", "unix", "--out", file
        )
        stack.callback(rig.run, "device", "revoke", "pw-d1")
        yield rig


@pytest.fixture(params=["cpython", "micropython"])
def firmware(request, rig, tmp_path):
    interpreter = [sys.executable] if request.param == "cpython" else [micropython.program()]
    folder = tmp_path / "board"
    folder.mkdir()
    (folder / "config.json").write_text((tmp_path / "d1.config.json").read_text())
    with Firmware(*interpreter, "-m", "device.unix", str(folder)) as firmware:
        wait_until(lambda: identity(rig), "the device's first answer")
        yield firmware


def ask(rig, op, device="pw-d1"):
    """The answer to a command, None where there is none."""
    done = subprocess.run(
        [sys.executable, "-m", "steam", "device", "command", device, op, "--wait", "2"],
        env=rig.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return json.loads(done.stdout) if done.returncode == 0 else None


def identity(rig):
    return ask(rig, "identify")


def cut_off(rig):
    """Close the device's connection at the broker, as an outage does."""
    broker = rig.rabbitmq
    vhost = quote(broker.vhost, safe="")

    def closed():
        names = [
            each["name"]
            for each in broker.api("GET", f"/vhosts/{vhost}/connections")
            if each["user"] == "pw-d1"
        ]
        for name in names:
            broker.api("DELETE", f"/connections/{quote(name, safe='')}")
        return names

    wait_until(closed, "a connection of the device to close")


def opens(rig, password):
    broker = rig.rabbitmq
    with MqttClient(
        broker.mqtt_host,
        broker.mqtt_port,
        username=broker.mqtt_user("pw-d1"),
        password=password,
        client_id="other",
    ) as client:
        return client.answer == "Success"


def waits(rig):
    answer = ask(rig, "get_config")
    return answer and answer["config"]["mqtt"]["password_next"] == "***"


def test_firmware_goes_over_to_its_new_password_by_itself(rig, firmware, tmp_path):
    """Rotated, cut off, back without a hand: twice, without a restart, and the first no longer opens."""
    first = json.loads((tmp_path / "d1.config.json").read_text())["mqtt"]["password"]
    assert opens(rig, first)

    for _ in range(2):
        told = rig.run("device", "rotate", "pw-d1")
        assert "has its new password" in told
        assert waits(rig)
        cut_off(rig)
        wait_until(lambda: waits(rig) is False, "the device on its new password")

    assert not opens(rig, first)
    assert firmware.codes == []


def test_firmware_rotated_twice_in_one_connection_restarts_between(rig, firmware):
    """An unused password is not written over: a restart settles first which of the two is right."""
    rig.run("device", "rotate", "pw-d1")
    before = identity(rig)["boot"]

    told = rig.run("device", "rotate", "pw-d1")

    assert "it restarts first" in told
    assert identity(rig)["boot"] > before
    cut_off(rig)
    wait_until(lambda: waits(rig) is False, "the device on its new password")


def test_rotate_of_absent_firmware_changes_nothing_unless_shown(rig, tmp_path):
    """Nobody answers: refused. With --show the account changes, and the password is shown."""
    first = json.loads((tmp_path / "d1.config.json").read_text())["mqtt"]["password"]

    told = rig.run("device", "rotate", "pw-d1", expect=1)
    assert "--show" in told
    assert opens(rig, first)

    shown = rig.run("device", "rotate", "pw-d1", "--show").split("shown only now:")[1].split()[0]
    assert opens(rig, shown)
    assert not opens(rig, first)


@pytest.fixture
def served(tmp_path):
    """The address at which a folder's files are served."""
    (tmp_path / "served").mkdir()
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "served")
    )
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_update_that_is_signed_is_started_and_kept(rig, served, tmp_path):
    """Key, configuration, update, and the device answers from the new slot; another key is refused."""
    settings = tmp_path / "steam.yaml"
    rig.run("device", "firmware", "key", tmp_path / "key.pem")
    rig.run("device", "firmware", "key", tmp_path / "other.pem")
    settings.write_text(settings.read_text() + "devices: {ota_key_file: key.pem}\n")
    folder = tmp_path / "pi"
    folder.mkdir()
    options = ("--board", "pi", "--mqtt-host", "127.0.0.1", "--simulated")
    config = folder / "config.json"
    rig.run("device", "add", "mill", "up-d1", "--boiler", "b1", *options, "--out", config)
    file = tmp_path / "served" / "pi.tar"
    rig.run("device", "firmware", "make", "pi", "--version", "9.9", "--out", file)
    update = ("device", "update", "up-d1", "--file", file, "--url", f"{served}/pi.tar", "--key")
    try:
        with Firmware(sys.executable, "-m", "device.pi", "--folder", str(folder)) as firmware:
            wait_until(lambda: ask(rig, "identify", "up-d1"), "the device's first answer")

            rig.run("device", "command", "up-d1", "time")  # no processor here answers births
            told = rig.run(*update, tmp_path / "other.pem", expect=1)
            assert "refused ota" in told
            told = rig.run(*update, tmp_path / "key.pem")

            assert "up-d1 runs 9.9" in told
            assert firmware.codes == [RESTART_CODE]
            wait_until(lambda: slots.status(str(folder))["trial"] is None, "the trial's end")
            assert slots.status(str(folder))["run"] == "a"
    finally:
        rig.run("device", "revoke", "up-d1")
