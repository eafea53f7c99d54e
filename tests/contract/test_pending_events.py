"""Events on their way to the store, as RabbitMQ shows them to an evaluator that takes over."""

import msgspec
import pika
import pytest

from processor.adapters.amqp_pending import pending_events
from processor.results import PublishFailed
from tests.contract.test_store import alarm

pytestmark = pytest.mark.broker


@pytest.fixture
def results(rabbitmq_vhost):
    """A function that puts messages into steam.results, and the broker."""
    with rabbitmq_vhost.connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        arguments = {"x-queue-type": "quorum"}
        channel.queue_declare("steam.results", durable=True, arguments=arguments)

        def put(*bodies):
            for body in bodies:
                properties = pika.BasicProperties(delivery_mode=2)
                channel.basic_publish("", "steam.results", body, properties=properties)

        yield rabbitmq_vhost, put


def test_pending_events_are_seen_as_often_as_anybody_looks(results):
    """Every event of every message, in order; a message that is none is left to the recorder."""
    broker, put = results
    assert pending_events(broker.amqp_url) == []
    put(msgspec.json.encode([alarm(1), alarm(2)]), b"\xff", msgspec.json.encode([alarm(3)]))

    for _ in range(3):
        assert pending_events(broker.amqp_url) == [alarm(1), alarm(2), alarm(3)]


def test_pending_events_without_the_broker_are_an_error():
    """Nobody takes an unknown for an empty queue."""
    with pytest.raises(PublishFailed, match=r"steam\.results cannot be looked at"):
        pending_events("amqp://127.0.0.1:9")
