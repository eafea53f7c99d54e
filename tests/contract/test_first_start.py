"""A new RabbitMQ that starts from our definitions while a device already knocks."""

import socket
import threading
import time
from pathlib import Path

import pika
import pytest

import bridge.rabbitmq
from bridge.accounts import Account, Permission, device_account
from bridge.rabbitmq.definitions import definition_files
from bridge.topology import topology
from tests.conftest import go_without
from tests.contract.mqtt_client import wait_for
from tests.servers.rabbitmq import PROGRAM, RabbitMQServer
from tests.unit.bridge.plants import plant_of

pytestmark = [pytest.mark.broker, pytest.mark.slow]

FILES = Path(bridge.rabbitmq.__file__).parent
DEVICES = 300
"""As many as make the import of the bindings take about a second."""

PASSWORD = "device-password"  # pragma: allowlist secret
KNOCKER = f"d{DEVICES - 1}"
TOPIC = f"steam/v1/s/{KNOCKER}/data"


class Knocker:
    """A device that connects and publishes without pause, over plain sockets."""

    def __init__(self, port):
        self.port = port
        self.acknowledged = 0
        self.refused = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Publish no more."""
        self._stop.set()
        self._thread.join(10)

    def _run(self):
        while not self._stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as link:
                    self._publish(link)
            except OSError:
                pass
            time.sleep(0.002)

    def _publish(self, link):
        name, secret = _text(KNOCKER), _text(PASSWORD)
        body = b"\x00\x04MQTT\x04\xc2\x00\x0a" + name + name + secret
        link.sendall(bytes([0x10, len(body)]) + body)
        if link.recv(4) != b"\x20\x02\x00\x00":
            self.refused += 1
            return
        packet = _text(TOPIC) + b"\x00\x01{}"
        while not self._stop.is_set():
            link.sendall(bytes([0x32, len(packet)]) + packet)
            if link.recv(4) != b"\x40\x02\x00\x01":
                return
            self.acknowledged += 1
            time.sleep(0.002)


def _text(text):
    return len(text).to_bytes(2, "big") + text.encode()


@pytest.fixture
def server(tmp_path):
    """A server that never ran, with a definitions folder in which a device has an account."""
    if not PROGRAM.exists():
        go_without("a first start needs a RabbitMQ that is a program of this machine")
    folder = tmp_path / "definitions"
    folder.mkdir()
    server = RabbitMQServer(
        tmp_path / "rabbitmq",
        conf=FILES / "rabbitmq.conf",
        plugins=FILES / "enabled_plugins",
        conf_extra=[f"load_definitions = {folder}"],
    )
    everything = Permission(configure=".*", write=".*", read=".*")
    admin = Account(name=server.username, permission=everything, tags=("administrator",))
    wanted = topology(plant_of(*(f"d{n}" for n in range(DEVICES))))
    accounts = [(admin, server.password), (device_account("s", KNOCKER), PASSWORD)]
    # Written in the opposite order, so that the folder's own order is not the alphabet's.
    for name, content in reversed(definition_files(wanted, accounts).items()):
        (folder / name).write_bytes(content)
    return server


def test_first_start_loses_nothing_that_was_acknowledged(server):
    """A device that knocks while definitions load is let in when its messages have a place.

    With the same definitions in one file, 220 of 1,068 acknowledged messages were in no queue.
    """
    with Knocker(server.mqtt_port) as knocker, server:
        assert wait_for(lambda: knocker.acknowledged >= 50)
        knocker.stop()
        with pika.BlockingConnection(pika.URLParameters(server.address.amqp_url)) as connection:
            channel = connection.channel()

            def depth(queue):
                return channel.queue_declare(queue, passive=True).method.message_count

            assert knocker.refused > 0
            for queue in ("steam.record", "steam.evaluate"):
                assert wait_for(lambda queue=queue: depth(queue) >= knocker.acknowledged, 10)
            assert depth("steam.unrouted") == 0
