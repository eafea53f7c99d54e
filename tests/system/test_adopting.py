"""A device that sends before it is registered: kept whole, taken in when it is adopted."""

import os
import secrets
import subprocess
import sys
import time
from contextlib import ExitStack
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec
import pytest

from bridge.accounts import Service, service_account
from bridge.rabbitmq.accounts import RabbitAccounts
from bridge.rabbitmq.management import Management
from device.steamlink import codec
from steam.registry import mqtt_accounts_of
from steam.settings import load_settings
from store.sqlite import SqliteStore
from tests.contract.mqtt_client import MqttClient
from tests.servers.ports import free_port
from tests.system.rig import ROOT, Rig, wait_until

pytestmark = pytest.mark.system

PLANT = "sites: [{name: mill}]\nboilers: [{name: b1, site: mill}]\ndevices: []\n"
SPAN = (0, 4_000_000_000_000_000)


def messages(count):
    now_ms = int(time.time() * 1000)
    return [
        codec.encode_data(
            boot=1,
            seq=seq,
            up_ms=seq,
            utc_ms=now_ms + seq,
            clock=2,
            metrics=("steam_pressure",),
            rows=[[0, 8.5]],
        )
        for seq in range(1, count + 1)
    ]


class EmbeddedBench:
    """`steam run` with passwords: its broker listens on an address that is not the usual loopback."""

    def __init__(self, folder, stack):
        self.folder = folder
        self.port = free_port()
        (folder / "plant.yaml").write_text(PLANT)
        (folder / "steam.yaml").write_text(
            f"mqtt: {{host: 127.0.0.2, port: {self.port}}}\npanel: {{port: {free_port()}}}\n"
        )
        settings = load_settings(folder / "steam.yaml")
        self.password = mqtt_accounts_of(settings).add("mill", "dev1")
        self._database = settings.data_path / "steam.sqlite"
        process = self._start("run")
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)

    def _start(self, *arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "steam", *arguments, "--config", self.folder / "steam.yaml"],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def run(self, *arguments):
        """Run a command to its end; returns what it printed."""
        return subprocess.run(
            [sys.executable, "-m", "steam", *arguments, "--config", self.folder / "steam.yaml"],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout

    def client(self):
        """The device, once the broker is there."""

        def connected():
            try:
                return MqttClient(
                    "127.0.0.2",
                    self.port,
                    username="dev1",
                    password=self.password,
                    client_id="dev1",
                )
            except OSError:
                return None

        return wait_until(connected, "a broker inside")

    def rows(self):
        """What is stored of the boiler."""
        with SqliteStore(self._database) as store:
            return store.rows("mill", "b1", *SPAN)


class ServerBench:
    """A processor on real servers; every program has the account that Steam ships for it."""

    def __init__(self, folder, broker, influxdb, stack):
        self._broker, self._stack = broker, stack
        self._admin = Management(
            broker.management_url,
            username=broker.username,
            password=broker.password,
            vhost=broker.vhost,
        )
        self._accounts = RabbitAccounts(self._admin)
        processor, topology, desk, accounts = (
            self._account(service)
            for service in (Service.PROCESSOR, Service.TOPOLOGY, Service.DESK, Service.ACCOUNTS)
        )
        own = {
            "STEAM_AMQP_URL": self._url(*processor),
            "STEAM_TOPOLOGY_AMQP_URL": self._url(*topology),
            "STEAM_DESK_AMQP_URL": self._url(*desk),
            "STEAM_MANAGEMENT_PASSWORD": topology[1],
            "STEAM_ACCOUNTS_PASSWORD": accounts[1],
        }

        class OwnAccounts(Rig):
            environment = property(lambda rig: Rig.environment.fget(rig) | own)

        self._rig = OwnAccounts(folder, broker, influxdb, PLANT)
        stack.callback(self._rig.close)
        settings = folder / "steam.yaml"
        text = settings.read_text().replace(
            f"  username: {broker.username}\n  virtual_host",
            f"  username: {topology[0]}\n  accounts_username: {accounts[0]}\n  virtual_host",
        )
        settings.write_text(text)
        self.run("store", "init")
        self.run("topology", "declare")
        self._password = self._accounts.add("mill", "dev1")
        stack.callback(self._admin.delete, "users", "dev1")
        self._rig.spawn("processor")

    def _account(self, service):
        name = f"test-{secrets.token_hex(4)}"
        password = self._accounts.put(msgspec.structs.replace(service_account(service), name=name))
        self._stack.callback(self._admin.delete, "users", name)
        return name, password

    def _url(self, name, password):
        parts = urlsplit(self._broker.amqp_url)
        netloc = f"{name}:{quote(password, safe='')}@{parts.hostname}:{parts.port}"
        return urlunsplit(parts._replace(netloc=netloc))

    def run(self, *arguments):
        """Run a command to its end; returns what it printed."""
        return self._rig.run(*arguments)

    def client(self):
        """The device."""
        return MqttClient(
            self._broker.mqtt_host,
            self._broker.mqtt_port,
            username=self._broker.mqtt_user("dev1"),
            password=self._password,
            client_id="dev1",
        )

    def rows(self):
        """What is stored of the boiler."""
        with self._rig.store() as store:
            return store.rows("mill", "b1", *SPAN)


@pytest.fixture(
    params=["embedded", pytest.param("server", marks=[pytest.mark.broker, pytest.mark.influx])]
)
def bench(request, tmp_path):
    with ExitStack() as stack:
        if request.param == "embedded":
            yield EmbeddedBench(tmp_path, stack)
        else:
            broker = request.getfixturevalue("rabbitmq_vhost")
            influxdb = request.getfixturevalue("influxdb_empty")
            yield ServerBench(tmp_path, broker, influxdb, stack)


def quarantined(bench):
    return msgspec.json.decode(bench.run("quarantine", "list", "--json"))


def test_adopted_device_has_what_it_sent_before_taken_in(bench):
    """Three messages of an unknown device wait in quarantine, then are stored, none lost."""
    with bench.client() as device:
        assert device.publish_all("steam/v1/mill/dev1/data", messages(3)) == 3
        waiting = wait_until(
            lambda: len(found := quarantined(bench)) == 3 and found, "three in quarantine"
        )
    assert {message["reason"] for message in waiting} == {"unknown_device"}
    assert "steam device adopt mill dev1" in waiting[0]["detail"]

    told = bench.run("device", "adopt", "mill", "dev1", "--boiler", "b1")

    assert "3 sent again" in told
    rows = wait_until(lambda: len(found := bench.rows()) == 3 and found, "three rows")
    assert [row.seq for row in rows] == [1, 2, 3]
    assert quarantined(bench) == []
