"""The MQTT client on MicroPython against a real RabbitMQ that is killed, stopped and started again."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.contract.mqtt_client import wait_for
from tests.firmware import micropython

pytestmark = [
    pytest.mark.broker,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("device"),
]

PROGRAM = Path(__file__).parent / "programs" / "mqtt_publisher.py"
COUNT = 2000
WINDOW = 8  # the program's
KEEPALIVE_S = 4
TOPIC = "fw/data"
QUEUE = "fw-ledger"


class Publisher:
    """The program on MicroPython, publishing to `broker`; `printed` is what it said so far."""

    def __init__(self, broker, folder):
        self._broker = broker
        self._log = folder / "publisher.log"
        self._process = None

    @property
    def printed(self):
        return self._log.read_text(encoding="utf-8")

    def __enter__(self):
        broker = self._broker
        with self._log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [
                    *(micropython.program(), "-X", "heapsize=1m", str(PROGRAM)),
                    *(broker.mqtt_host, str(broker.mqtt_port)),
                    *(broker.mqtt_username, broker.password, str(COUNT), TOPIC),
                ],
                env=micropython.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()

    def stop(self):
        """Command it to stop and wait until it has; AssertionError if it did not."""
        with self._broker.connect() as connection:
            connection.channel().basic_publish(
                "amq.topic", f"{TOPIC}/cmd".replace("/", "."), b"stop"
            )
        assert self._process.wait(60) == 0, self.printed


class Ledger:
    """A durable queue that takes what is published, and the will; `arrived` is what was read of it."""

    def __init__(self, broker):
        self.arrived = []
        self._broker = broker
        key = TOPIC.replace("/", ".")
        with broker.connect() as connection:
            channel = connection.channel()
            channel.queue_declare(QUEUE, durable=True)
            channel.queue_bind(QUEUE, "amq.topic", key)
            channel.queue_bind(QUEUE, "amq.topic", f"{key}.will")

    def waiting(self):
        """How many messages wait in the queue."""
        with self._broker.connect() as connection:
            return connection.channel().queue_declare(QUEUE, passive=True).method.message_count

    def complete(self):
        """Read what waits; whether each number has arrived by now."""
        with self._broker.connect() as connection:
            channel = connection.channel()
            while (message := channel.basic_get(QUEUE, auto_ack=True))[0] is not None:
                self.arrived.append(message[2].decode())
        return set(self.arrived) >= {str(number) for number in range(COUNT)}


def test_publisher_on_rabbitmq_delivers_each_message_once(rabbitmq_vhost, tmp_path):
    """2,000 messages of QoS 1 arrive once each; a command arrives; there is no will after goodbye."""
    ledger = Ledger(rabbitmq_vhost)
    with Publisher(rabbitmq_vhost, tmp_path) as publisher:
        assert wait_for(lambda: ledger.waiting() == COUNT, 60), publisher.printed
        publisher.stop()

    assert ledger.complete()
    assert len(ledger.arrived) == COUNT
    assert "command stop\n" in publisher.printed
    assert re.search(r"connections 1 heap \d+ faults 0\n", publisher.printed)


def test_publisher_on_rabbitmq_killed_and_restarted_loses_nothing(rabbitmq_server, tmp_path):
    """SIGKILL of the broker in the middle: each number arrived, and at most the window twice."""
    ledger = Ledger(rabbitmq_server.address)
    with Publisher(rabbitmq_server.address, tmp_path) as publisher:
        assert wait_for(lambda: ledger.waiting() > COUNT // 10, 60), publisher.printed
        rabbitmq_server.kill()
        assert wait_for(lambda: "\nlost " in publisher.printed), publisher.printed
        rabbitmq_server.start()
        assert wait_for(ledger.complete, 60), publisher.printed
        assert wait_for(lambda: publisher.printed.count("subscribed\n") > 1)
        publisher.stop()

    assert ledger.complete()
    assert len([number for number in ledger.arrived if number != "gone"]) <= COUNT + WINDOW
    assert re.search(r"connections 2 heap \d+ faults 0\n", publisher.printed)


def test_publisher_on_rabbitmq_that_hangs_connects_again(rabbitmq_server, tmp_path):
    """SIGSTOP of the broker: TCP stands, nothing answers; found within 1.5 keepalive, nothing lost."""
    ledger = Ledger(rabbitmq_server.address)
    with Publisher(rabbitmq_server.address, tmp_path) as publisher:
        assert wait_for(lambda: ledger.waiting() > COUNT // 10, 60), publisher.printed
        os.kill(rabbitmq_server.broker.pid, signal.SIGSTOP)
        try:
            found = wait_for(lambda: "lost nothing heard" in publisher.printed, 1.5 * KEEPALIVE_S)
        finally:
            os.kill(rabbitmq_server.broker.pid, signal.SIGCONT)
        assert found, publisher.printed
        assert wait_for(ledger.complete, 60), publisher.printed
        assert wait_for(lambda: publisher.printed.count("subscribed\n") > 1)
        publisher.stop()

    assert ledger.complete()
