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

    def __init__(self, broker, stack, *, single_active=False):
        self._url = broker.amqp_url
        self._arguments = {"x-queue-type": "quorum", "x-single-active-consumer": single_active}
        connection = stack.enter_context(broker.connect())
        self._channel = connection.channel()
        self._channel.confirm_delivery()
        self.declare()

    def declare(self):
        self._channel.queue_declare("steam.test", durable=True, arguments=self._arguments)
        self._channel.queue_bind("steam.test", "amq.topic", "steam.v1.#")

    def delete(self):
        self._channel.queue_delete("steam.test")

    def source(self, *, prefetch_count=1000, single_active=False):
        return AmqpSource(
            self._url,
            ["steam.test"],
            prefetch_count=prefetch_count,
            backoff=Backoff(0.05, 0.2, random.Random(1)),
            name="test",
            single_active=single_active,
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


def test_source_handed_back_in_full_flow_begins_anew_without_gaps(bench, opened):
    """What was on its way when everything was handed back comes once, in order, with new numbers."""
    source = opened()
    bench.publish(bodies(400))
    first = fetch(source, 1)

    source.hand_back()
    source.open()
    again = fetch(source, 400)

    assert [delivery.body for delivery in again] == bodies(400)
    begun = again[0].number
    assert [delivery.number for delivery in again] == list(range(begun, begun + 400))
    assert begun > first[-1].number
    source.acknowledge(again[-1].number)


# -- RabbitMQ's own faults


@pytest.mark.broker
def test_amqp_source_whose_queue_is_deleted_goes_on_once_it_is_declared_again(rabbitmq_vhost):
    """A subscription that the broker ended is noticed, and made anew."""
    with ExitStack() as stack:
        bench = AmqpBench(rabbitmq_vhost, stack)
        source = bench.source()
        source.open()
        stack.callback(source.close)
        bench.publish([b"before"])
        fetch(source, 1)

        bench.delete()
        deadline = time.monotonic() + PATIENCE_S
        while source.connected:
            assert time.monotonic() < deadline
            source.fetch(0.05)
        assert "ended the subscription to steam.test" in source.fault
        bench.declare()
        while not source.connected:
            assert time.monotonic() < deadline
            source.fetch(0.05)
        bench.publish([b"after"])

        assert [delivery.body for delivery in fetch(source, 1)] == [b"after"]
        assert source.fault == ""


@pytest.mark.broker
def test_amqp_source_given_nothing_of_a_queue_with_messages_subscribes_again(
    rabbitmq_vhost, monkeypatch
):
    """A queue that has messages ready and delivers none from look to look is doubted."""
    monkeypatch.setattr("processor.adapters.amqp_source._LOOK_EVERY_S", 0.1)
    with ExitStack() as stack:
        bench = AmqpBench(rabbitmq_vhost, stack, single_active=True)
        first = bench.source(prefetch_count=1)
        first.open()
        stack.callback(first.close)
        bench.publish([b"one", b"two"])
        fetch(first, 1)
        # The second is rightly given nothing, as if its subscription had been lost.
        second = bench.source()
        second.open()
        stack.callback(second.close)
        deadline = time.monotonic() + PATIENCE_S
        while not second.stalls:
            assert time.monotonic() < deadline
            second.fetch(0.05)
        assert second.fetch(0) == []

        assert first.stalls == 0
        while not second.connected:
            assert time.monotonic() < deadline
            second.fetch(0.05)
        first.close()
        assert {delivery.body for delivery in fetch(second, 2)} == {b"one", b"two"}


@pytest.mark.broker
def test_amqp_source_that_waits_for_its_turn_is_patient(rabbitmq_vhost, monkeypatch):
    """Behind a single active consumer it is no fault to be given nothing for a while."""
    monkeypatch.setattr("processor.adapters.amqp_source._LOOK_EVERY_S", 0.05)
    with ExitStack() as stack:
        bench = AmqpBench(rabbitmq_vhost, stack, single_active=True)
        first = bench.source(prefetch_count=1)
        first.open()
        stack.callback(first.close)
        bench.publish([b"one", b"two"])
        fetch(first, 1)
        second = bench.source(single_active=True)
        second.open()
        stack.callback(second.close)
        looks = 0
        while not second.stalls:
            second.fetch(0.05)
            looks = max(looks, *(look.times for look in second._looks.values()), 0)

        assert looks == 7  # the first, and six a minute without a change


@pytest.mark.broker
def test_amqp_source_with_all_its_prefetch_unacknowledged_is_not_doubted(
    rabbitmq_vhost, monkeypatch
):
    """Whoever holds as many as it may is rightly given no more."""
    monkeypatch.setattr("processor.adapters.amqp_source._LOOK_EVERY_S", 0.05)
    with ExitStack() as stack:
        bench = AmqpBench(rabbitmq_vhost, stack)
        source = bench.source(prefetch_count=3)
        source.open()
        stack.callback(source.close)
        bench.publish(bodies(6))
        fetch(source, 3)
        for _ in range(20):
            source.fetch(0.05)
        assert (source.stalls, source.connections) == (0, 1)

        for number in (1, 2, 3):
            source.acknowledge_one(number)
        fetch(source, 3)
        assert source.connections == 1
