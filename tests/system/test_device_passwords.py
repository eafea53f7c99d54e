"""A firmware process provisioned, commanded and given new passwords by `steam device`, on a real RabbitMQ."""

import json
import subprocess
import sys
import threading
from contextlib import ExitStack
from types import SimpleNamespace
from urllib.parse import quote

import pytest

from tests.contract.mqtt_client import MqttClient
from tests.firmware import micropython
from tests.system.rig import ROOT, Rig, wait_until

pytestmark = [pytest.mark.system, pytest.mark.broker]

PLANT = "sites: [{name: mill}]\nboilers: [{name: b1, site: mill}]\ndevices: []\n"
NO_STORE = SimpleNamespace(url="http://127.0.0.1:1", org="steam", token="none")
RESTART_CODE = 75


class Firmware:
    """The firmware in a process, started again whenever it asks for that."""

    def __init__(self, interpreter, folder):
        self._command = [*interpreter, "-m", "device.unix", str(folder)]
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
    with Firmware(interpreter, folder) as firmware:
        wait_until(lambda: identity(rig), "the device's first answer")
        yield firmware


def ask(rig, op, *options):
    """The answer to a command, None where there is none."""
    done = subprocess.run(
        [sys.executable, "-m", "steam", "device", "command", "pw-d1", op, "--wait", "2", *options],
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
