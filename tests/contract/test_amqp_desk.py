"""The desk on a real RabbitMQ: quarantine, unrouted and dead, looked at and put back."""

import pika
import pytest

from bridge.broker import BrokerRefused
from bridge.messages import Reason
from bridge.rabbitmq.management import Management
from bridge.rabbitmq.topology import RabbitTopology
from bridge.topology import topology
from processor.adapters.amqp_desk import AmqpDesk
from processor.adapters.amqp_publisher import AmqpPublisher
from processor.adapters.amqp_quarantine import AmqpQuarantine
from processor.quarantine import BadMessage, Place
from tests.messages import DATA_KEY, PLANT

pytestmark = pytest.mark.broker

PERSISTENT = pika.BasicProperties(delivery_mode=2)


class Bench:
    """A broker with the plant's topology, and a desk on it."""

    def __init__(self, broker):
        self.broker = broker
        management = Management(
            broker.management_url,
            username=broker.username,
            password=broker.password,
            vhost=broker.vhost,
        )
        RabbitTopology(broker.amqp_url, management).declare(topology(PLANT))
        self.desk = AmqpDesk(broker.amqp_url)

    def publish(self, exchange, key, body):
        with self.broker.connect() as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            channel.basic_publish(exchange, key, body, properties=PERSISTENT, mandatory=True)

    def quarantine(self, *messages):
        kept = AmqpQuarantine(AmqpPublisher(self.broker.amqp_url, name="test"))
        assert kept.put(list(messages)) == set()

    def reject(self, queue):
        """Take one message and refuse it for good, so that it dies."""
        with self.broker.connect() as connection:
            channel = connection.channel()
            method, _, _ = next(channel.consume(queue))
            channel.basic_reject(method.delivery_tag, requeue=False)

    def await_message(self, place):
        for _ in range(100):
            found = self.desk.messages(place=place)
            if found:
                return found
        raise AssertionError(f"nothing came to {place}")

    def bodies(self, queue):
        with self.broker.connect() as connection:
            channel = connection.channel()
            count = channel.queue_declare(queue, passive=True).method.message_count
            return [channel.basic_get(queue, auto_ack=True)[2] for _ in range(count)]


@pytest.fixture
def bench(rabbitmq_vhost):
    return Bench(rabbitmq_vhost)


def bad(number=1, *, reason=Reason.MALFORMED, key=DATA_KEY):
    return BadMessage(
        routing_key=key, body=b"body %d" % number, reason=reason, detail="why", at_us=number
    )


def test_desk_looks_into_all_places_and_changes_nothing(bench):
    """A quarantined, an unrouted and a dead message are listed as often as anybody looks."""
    bench.quarantine(bad(1))
    bench.publish("amq.topic", "steam.v1.mill.stranger.data", b"unrouted")
    bench.publish("amq.topic", DATA_KEY, b"dead")
    bench.reject("steam.record")
    bench.await_message(Place.DEAD)

    for _ in range(3):
        found = {each.place: each for each in bench.desk.messages()}
        assert set(found) == set(Place)
    assert found[Place.QUARANTINE] == bad(1)
    assert (found[Place.UNROUTED].routing_key, found[Place.UNROUTED].body) == (
        "steam.v1.mill.stranger.data",
        b"unrouted",
    )
    dead = found[Place.DEAD]
    assert (dead.routing_key, dead.body, dead.reason) == (DATA_KEY, b"dead", Reason.DEAD_LETTER)
    assert dead.detail == "steam.record gave it up: rejected, 1 times"
    assert dead.at_us > 1_600_000_000_000_000


def test_desk_puts_a_dead_letter_back_where_it_was_sent(bench):
    """Retried, it is in the device's queues again under its own key, and no longer dead."""
    bench.publish("amq.topic", DATA_KEY, b"dead")
    bench.reject("steam.record")
    bench.await_message(Place.DEAD)

    assert bench.desk.retry(lambda message: message.place is Place.DEAD) == 1

    assert bench.bodies("steam.record") == [b"dead"]
    assert bench.desk.messages() == []


def test_desk_puts_dead_alarm_events_back_into_their_queue(bench):
    """What the evaluator sent straight to a queue goes there again."""
    bench.publish("", "steam.results", b"[]")
    bench.reject("steam.results")
    bench.await_message(Place.DEAD)

    assert bench.desk.retry(lambda _message: True) == 1

    assert bench.bodies("steam.results") == [b"[]"]


def test_desk_retries_many_and_tells_how_far_it_is(bench):
    """Thousands go in a moment, in order; those not wanted stay."""
    bench.quarantine(*(bad(number) for number in range(1200)))
    bench.quarantine(bad(5000, reason=Reason.STORE_REFUSED))
    told = []

    sent = bench.desk.retry(lambda message: message.reason is Reason.MALFORMED, told.append)

    assert (sent, told) == (1200, [500, 1000, 1200])
    assert bench.bodies("steam.record") == [b"body %d" % number for number in range(1200)]
    # An acknowledgement under way when a channel closes may be lost: such a message goes once more.
    while len(left := bench.desk.messages()) > 1:
        assert bench.desk.retry(lambda message: message.reason is Reason.MALFORMED) < 100
    assert [message.at_us for message in left] == [5000]


def test_desk_refused_by_a_full_queue_keeps_the_message(bench):
    """A queue without room refuses; the message stays where it is, and the desk says so."""
    body = {
        "pattern": "^steam.record$",
        "definition": {"max-length": 0, "overflow": "reject-publish"},
    }
    bench.broker.api(
        "PUT",
        f"/policies/{bench.broker.vhost}/full",
        body | {"priority": 999, "apply-to": "queues"},
    )
    bench.quarantine(bad(1))

    def retry_until_full():
        while True:
            bench.desk.retry(lambda _message: True)
            bench.quarantine(bad(1))

    with pytest.raises(BrokerRefused, match="0 were sent again"):
        retry_until_full()

    assert bench.desk.messages(place=Place.QUARANTINE)[0].body == b"body 1"


def test_desk_drops_one_message_of_any_place(bench):
    """Dropped for good, by its id; an unknown id drops nothing."""
    bench.publish("amq.topic", "steam.v1.mill.stranger.data", b"unrouted")
    (message,) = bench.desk.messages()

    assert bench.desk.drop("00000000") is None
    assert bench.desk.drop(message.id) == message
    assert bench.desk.messages() == []


def test_quarantined_event_goes_back_to_the_results(bench):
    """What the evaluator made came through the default exchange, and does so again."""
    kept = BadMessage(
        routing_key="steam.results", body=b"[]", reason=Reason.STORE_REFUSED, detail="x", at_us=5
    )
    bench.quarantine(kept)

    assert bench.desk.retry(lambda _: True) == 1

    assert bench.bodies("steam.results") == [b"[]"]
    assert bench.desk.messages() == []


def test_quarantined_message_of_another_version_is_shown(bench):
    """A reason that this version does not know is told in the detail."""
    headers = {"steam-reason": "of_a_newer_version", "steam-at-us": "soon"}
    with bench.broker.connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish(
            "",
            "steam.quarantine",
            b"x",
            properties=pika.BasicProperties(delivery_mode=2, headers=headers),
        )

    (found,) = bench.desk.messages(place=Place.QUARANTINE)

    assert found.reason is Reason.UNEXPECTED
    assert found.detail.startswith("of_a_newer_version")


def test_desk_looks_at_everything_beyond_what_one_consumer_may_hold(bench, monkeypatch):
    """Listed, found by the last one's name, and put back: all of it, over several channels."""
    monkeypatch.setattr("processor.adapters.amqp_desk._MOST_PREFETCH", 700)
    bench.quarantine(*(bad(number) for number in range(2_500)))

    assert len(bench.desk.messages(10_000, Place.QUARANTINE)) == 2_500
    last = bench.desk.messages(10_000, Place.QUARANTINE)[-1]
    assert bench.desk.drop(last.id) == last
    assert bench.desk.retry(lambda _: True) == 2_499

    # An acknowledgement under way when a channel closes may be lost: such a message goes once more.
    for _ in range(3):
        if bench.desk.messages(10_000):
            assert bench.desk.retry(lambda _: True) < 100
    assert bench.desk.messages(10_000) == []
