"""The source port: what every broker's adapter does alike."""

import random
import time
from contextlib import ExitStack

import paho.mqtt.client as mqtt
import pika
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from processor.adapters.amqp_source import AmqpSource
from processor.adapters.mqtt_source import MqttSource
from processor.backoff import Backoff

KEY = "steam.v1.mill.dev1.data"
PATIENCE_S = 20.0


def fetch(source, count, patience_s=PATIENCE_S):
    """Fetch until `count` deliveries have come; fails after the patience."""
    deliveries = []
    deadline = time.monotonic() + patience_s
    while len(deliveries) < count:
        assert time.monotonic() < deadline, f"{len(deliveries)} of {count} came"
        deliveries += source.fetch(0.2)
    return deliveries


class AmqpBench:
    """A queue of a real RabbitMQ, and sources on it."""

    lasting = True

    def __init__(self, broker, stack):
        self._url = broker.amqp_url
        connection = stack.enter_context(broker.connect())
        self._channel = connection.channel()
        self._channel.queue_declare(
            "steam.test", durable=True, arguments={"x-queue-type": "quorum"}
        )
        self._channel.queue_bind("steam.test", "amq.topic", "steam.v1.#")
        self._channel.confirm_delivery()

    def source(self):
        return AmqpSource(
            self._url,
            ["steam.test"],
            prefetch_count=1000,
            backoff=Backoff(0.05, 0.2, random.Random(1)),
            name="test",
        )

    def publish(self, bodies):
        for body in bodies:
            self._channel.basic_publish(
                "amq.topic", KEY, body, properties=pika.BasicProperties(delivery_mode=2)
            )


class MqttBench:
    """A real mosquitto, and sources with a lasting session on it."""

    lasting = True

    def __init__(self, broker, stack):
        self._broker = broker
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311
        )
        self._client.connect(broker.host, broker.port)
        self._client.loop_start()
        stack.callback(self._client.loop_stop)
        stack.callback(self._client.disconnect)
        self._client_id = f"test-{random.randrange(10**9)}"

    def source(self):
        return MqttSource(
            self._broker.host, self._broker.port, ["steam/v1/+/+/+"], client_id=self._client_id
        )

    def publish(self, bodies):
        for body in bodies:
            self._client.publish(KEY.replace(".", "/"), body, qos=1).wait_for_publish(PATIENCE_S)


@pytest.fixture(params=[pytest.param("amqp", marks=pytest.mark.broker), "mqtt"])
def bench(request):
    with ExitStack() as stack:
        if request.param == "amqp":
            yield AmqpBench(request.getfixturevalue("rabbitmq_vhost"), stack)
        else:
            conf = "allow_anonymous true\nmax_inflight_messages 1000\nmax_queued_messages 0\n"
            yield MqttBench(request.getfixturevalue("new_mosquitto")(conf), stack)


@pytest.fixture
def opened(bench):
    """A function that opens a source and waits until deliveries can arrive."""
    with ExitStack() as stack:

        def open_source():
            source = bench.source()
            source.open()
            stack.callback(source.close)
            deadline = time.monotonic() + PATIENCE_S
            while not source.connected or source.fetch(0.05):
                assert time.monotonic() < deadline
            for _ in range(5):
                source.fetch(0.05)
            return source

        yield open_source


def await_reading(bench, source):
    """Wait until the broker has read what `source` sent, as a new session of its name would end it."""
    bench.publish([b"last"])
    fetch(source, 1)


def bodies(count):
    return [b"message %d" % number for number in range(count)]


def test_source_hands_over_in_order_with_numbers_without_gaps(bench, opened):
    """Deliveries come in the broker's order, numbered from 1."""
    source = opened()
    bench.publish(bodies(50))

    deliveries = fetch(source, 50)

    assert [delivery.body for delivery in deliveries] == bodies(50)
    assert [delivery.number for delivery in deliveries] == list(range(1, 51))
    assert {delivery.routing_key for delivery in deliveries} == {KEY}


def test_source_unacknowledged_deliveries_come_again_to_a_successor(bench, opened):
    """What was not acknowledged is handed over again, marked; what was is not."""
    first = opened()
    bench.publish(bodies(30))
    fetch(first, 30)
    first.acknowledge(20)
    await_reading(bench, first)
    first.close()

    second = bench.source()
    second.open()
    try:
        again = fetch(second, 11)
        extra = second.fetch(0.5)
    finally:
        second.close()

    assert [delivery.body for delivery in again[:10]] == bodies(30)[20:]
    assert all(delivery.redelivered for delivery in again)
    assert extra == []


def test_source_wake_ends_a_waiting_fetch(opened):
    """`wake` from another thread ends a long wait."""
    import threading

    source = opened()
    timer = threading.Timer(0.2, source.wake)
    timer.start()
    begun = time.monotonic()

    assert source.fetch(30) == []

    timer.join()
    assert time.monotonic() - begun < 20


def test_source_numbers_of_a_lost_connection_are_not_acknowledged(bench, opened):
    """An acknowledgement that comes too late is ignored; the broker hands over again."""
    source = opened()
    bench.publish(bodies(5))
    fetch(source, 5)
    source.close()

    source.acknowledge(5)
    source.open()
    again = fetch(source, 5)

    assert [delivery.body for delivery in again] == bodies(5)


def test_source_acknowledges_single_deliveries_out_of_order(bench, opened):
    """Those acknowledged alone do not come again; those between them do."""
    first = opened()
    bench.publish(bodies(6))
    fetch(first, 6)
    for number in (2, 5, 6):
        first.acknowledge_one(number)
    await_reading(bench, first)
    first.close()

    second = bench.source()
    second.open()
    try:
        again = fetch(second, 4)
        extra = second.fetch(0.5)
    finally:
        second.close()

    assert [delivery.body for delivery in again[:3]] == [bodies(6)[place] for place in (0, 2, 3)]
    assert extra == []


def test_source_attending_keeps_what_arrives_for_the_next_fetch(bench, opened):
    """`attend` hands nothing over and loses nothing."""
    source = opened()
    bench.publish(bodies(3))

    source.attend(0.5)
    deliveries = fetch(source, 3)

    assert [delivery.body for delivery in deliveries] == bodies(3)
    assert [delivery.number for delivery in deliveries] == [1, 2, 3]
