"""The tests' own way to servers in containers, on images made here."""

from pathlib import Path

import bridge.rabbitmq
from store.influx import InfluxStore
from store.port import Retention
from tests.contract.test_store import METRICS, NOW_US, read_rows, rows_of, write_rows
from tests.servers.containers import influxdb_container, rabbitmq_container
from tests.system.test_servers import publish

FILES = Path(bridge.rabbitmq.__file__).parent


def test_rabbitmq_in_a_container_takes_mqtt_and_gives_amqp(servers, monkeypatch, tmp_path):
    """With the shipped configuration and plugins, as the suite would use it."""
    monkeypatch.setenv("STEAM_TEST_RABBITMQ_IMAGE", servers[0])

    with (
        rabbitmq_container(
            tmp_path / "rabbitmq",
            conf=FILES / "rabbitmq.conf",
            plugins=FILES / "enabled_plugins",
        ) as broker,
        broker.connect() as connection,
    ):
        channel = connection.channel()
        channel.queue_declare("taken", durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_bind("taken", "amq.topic", "steam.v1.#")
        account = (broker.mqtt_username, broker.password)
        publish(broker.mqtt_host, broker.mqtt_port, account, "steam/v1/mill/b1/data", b"hello")
        method, _, body = channel.basic_get("taken", auto_ack=True)

    assert (method and method.routing_key, body) == ("steam.v1.mill.b1.data", b"hello")


def test_influxdb_in_a_container_takes_rows_and_gives_them_back(servers, monkeypatch):
    """An InfluxDB 2.7, set up by the suite."""
    monkeypatch.setenv("STEAM_TEST_INFLUXDB_IMAGE", servers[1])

    with influxdb_container() as server:
        store = InfluxStore(server.url, token=server.token, org=server.org)
        store.open()
        store.init(Retention(raw_days=None))
        write_rows(store, rows_of([[9.5, 50.0, 3.0]], [NOW_US]))
        (found,) = read_rows(store)
        store.close()

    assert dict(zip(found.metrics, found.values[0], strict=True)) == dict(
        zip(METRICS, [9.5, 50.0, 3.0], strict=True)
    )
