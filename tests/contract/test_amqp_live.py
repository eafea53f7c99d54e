"""Live values and heartbeats on a real RabbitMQ: they leave when they are sent."""

import pytest

from bridge.live import LiveSite
from bridge.rabbitmq.management import Management
from bridge.rabbitmq.topology import RabbitTopology
from bridge.topology import topology
from processor.adapters.amqp_publisher import AmqpPublisher
from processor.adapters.amqp_results import AmqpLiveOut, AmqpResults
from processor.results import PublishFailed
from tests.messages import PLANT

pytestmark = pytest.mark.broker


@pytest.fixture
def broker(rabbitmq_vhost):
    management = Management(
        rabbitmq_vhost.management_url,
        username=rabbitmq_vhost.username,
        password=rabbitmq_vhost.password,
        vhost=rabbitmq_vhost.vhost,
    )
    RabbitTopology(rabbitmq_vhost.amqp_url, management).declare(topology(PLANT))
    return rabbitmq_vhost


def next_body(channel, queue, within_s=5):
    """The next message of a queue, or None where none comes in time."""
    for method, _, body in channel.consume(queue, inactivity_timeout=within_s):
        channel.cancel()
        return None if method is None else body
    return None


def test_live_values_leave_when_they_are_shown(broker):
    """No other message and no heartbeat of the connection is needed to send them off."""
    publisher = AmqpPublisher(broker.amqp_url, name="test")
    live_out = AmqpLiveOut(publisher)
    with broker.connect() as connection:
        channel = connection.channel()
        channel.queue_declare("shown", exclusive=True)
        channel.queue_bind("shown", "steam.live", "#")
        for number in range(3):
            live_out.show(LiveSite(site="mill", at_us=number, boilers=[]))
            assert next_body(channel, "shown") is not None
    publisher.close()


def test_heartbeat_leaves_without_waiting_for_its_confirm(broker):
    """The notifier's queue has it, and nothing of it is awaited."""
    publisher = AmqpPublisher(broker.amqp_url, name="test")
    AmqpResults(publisher, broker.amqp_url).heartbeat(1_234)
    with broker.connect() as connection:
        assert next_body(connection.channel(), "steam.alarms") == b"1234"
    publisher.close()


class Refusing:
    """A publisher whose broker is away; counts the attempts."""

    def __init__(self):
        self.attempts = 0

    def send(self, *_):
        self.attempts += 1
        raise PublishFailed("away")


def test_live_values_after_a_failure_are_left_out_for_a_while():
    """Connecting in vain for each site four times a second would stop the evaluation."""
    publisher, now = Refusing(), [100.0]
    live_out = AmqpLiveOut(publisher, monotonic=lambda: now[0])
    for _ in range(5):
        live_out.show(LiveSite(site="mill", at_us=1, boilers=[]))
    assert publisher.attempts == 1

    now[0] += 31
    live_out.show(LiveSite(site="mill", at_us=1, boilers=[]))

    assert publisher.attempts == 2
