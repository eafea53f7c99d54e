"""What every source of transitions does: the fake, SQLite, and RabbitMQ's queue."""

import random
import time
from contextlib import ExitStack

import msgspec
import pika
import pytest

from processor.adapters.amqp_source import AmqpSource
from processor.adapters.amqp_transitions import ALARMS_QUEUE, AmqpTransitions
from processor.backoff import Backoff
from processor.notifier.sqlite_outbox import SqliteOutbox
from tests.unit.processor.notifier.fakes import MemorySource, event

PATIENCE_S = 20.0


class FakeBench:
    """The fake."""

    def __init__(self):
        self.source = MemorySource()
        self.put = self.source.put
        self.lose = self.source.lose


class SqliteBench:
    """A file, and the process that reads it."""

    def __init__(self, path, stack):
        self.source = SqliteOutbox(path)
        self.source.open()
        self.put = self.source.put
        stack.callback(self.source.close)

    def lose(self):
        """The process is gone and comes back."""
        self.source.close()
        self.source.open()


class AmqpBench:
    """The queue of the alarms on a real RabbitMQ."""

    def __init__(self, broker, stack):
        connection = stack.enter_context(broker.connect())
        self._channel = connection.channel()
        arguments = {"x-queue-type": "quorum", "x-single-active-consumer": True}
        self._channel.queue_declare(ALARMS_QUEUE, durable=True, arguments=arguments)
        self._channel.confirm_delivery()
        self._deliveries = AmqpSource(
            broker.amqp_url,
            [ALARMS_QUEUE],
            prefetch_count=1000,
            backoff=Backoff(0.05, 0.2, random.Random(1)),
            name="test",
        )
        self.beats = []
        self.source = AmqpTransitions(self._deliveries, self.beats.append)
        self.source.open()
        stack.callback(self.source.close)

    def put(self, events):
        """Publish as the evaluator does."""
        for one in events:
            self.put_body(msgspec.json.encode(one))

    def put_body(self, body):
        """Publish anything."""
        properties = pika.BasicProperties(delivery_mode=2)
        self._channel.basic_publish("", ALARMS_QUEUE, body, properties)

    def lose(self):
        """The connection is gone; the next fetch makes a new one."""
        self._deliveries.hand_back()

    @property
    def left(self):
        """How many messages the queue holds once nobody consumes them."""
        self.source.close()
        passive = self._channel.queue_declare(ALARMS_QUEUE, passive=True)
        return passive.method.message_count


@pytest.fixture
def stack():
    with ExitStack() as stack:
        yield stack


@pytest.fixture(params=["fake", "sqlite", pytest.param("rabbitmq", marks=pytest.mark.broker)])
def bench(request, tmp_path):
    with ExitStack() as stack:
        if request.param == "fake":
            yield FakeBench()
        elif request.param == "sqlite":
            yield SqliteBench(tmp_path / "alarms.db", stack)
        else:
            yield AmqpBench(request.getfixturevalue("rabbitmq_vhost"), stack)


@pytest.fixture
def amqp(rabbitmq_vhost, stack):
    return AmqpBench(rabbitmq_vhost, stack)


def fetch(bench, count):
    """Fetch until `count` have come, then once more to see that no more do."""
    taken = []
    deadline = time.monotonic() + PATIENCE_S
    while len(taken) < count:
        assert time.monotonic() < deadline, f"{len(taken)} of {count} came"
        taken += bench.source.fetch(0.2)
    return taken + bench.source.fetch(0.05)


def names(taken):
    return [one.event.id for one in taken]


def test_source_hands_over_once_in_order(bench):
    """What was put comes whole, in its order, and not again while it is not lost."""
    events = [event(n, note="Nível\n\u202e", value=n / 3) for n in range(5)]
    bench.put(events)

    assert [one.event for one in fetch(bench, 5)] == events


def test_source_empty_returns_nothing(bench):
    """A fetch without news returns nothing."""
    assert bench.source.fetch(0.01) == []


def test_source_lost_hands_over_again_what_is_not_done(bench):
    """After a crash or a lost connection only what is done stays away."""
    bench.put([event(n) for n in range(4)])
    taken = fetch(bench, 4)
    bench.source.done(taken[2].token)
    bench.source.done(taken[0].token)
    bench.source.fetch(0.01)

    bench.lose()

    assert names(fetch(bench, 2)) == ["e1", "e3"]


def test_source_token_from_before_the_loss_harms_nothing(bench):
    """A worker may finish after the connection went; the source goes on."""
    bench.put([event(1)])
    old = fetch(bench, 1)[0].token
    bench.lose()
    bench.source.done(old)
    bench.source.fetch(0.2)

    bench.put([event(2)])

    deadline = time.monotonic() + PATIENCE_S
    seen = set()
    while "e2" not in seen:
        assert time.monotonic() < deadline
        for one in bench.source.fetch(0.2):
            seen.add(one.event.id)
            bench.source.done(one.token)


@pytest.mark.parametrize("kind", ["fake", "sqlite"])
def test_source_that_is_an_outbox_knows_an_id_put_before(kind, tmp_path, stack):
    """An id that is known already changes nothing (a queue cannot know: the notifier does)."""
    bench = FakeBench() if kind == "fake" else SqliteBench(tmp_path / "alarms.db", stack)
    bench.put([event(1)])
    bench.put([event(1), event(2)])

    assert names(fetch(bench, 2)) == ["e1", "e2"]


@pytest.mark.broker
def test_amqp_heartbeat_is_passed_on_and_settled(amqp):
    """An integer in the queue of the alarms is the evaluator's sign of life."""
    amqp.put_body(b"1795453407000000")
    amqp.put([event(1)])

    taken = fetch(amqp, 1)

    assert names(taken) == ["e1"]
    assert amqp.beats == [1_795_453_407_000_000]
    assert any(amqp.left == 1 for _ in range(3000)), "the transition alone goes back to the queue"


@pytest.mark.broker
def test_amqp_message_that_is_no_transition_harms_no_other(amqp):
    """What cannot be read is logged and taken out; the next transition comes."""
    for body in (b"{", b'"text"', b"{}", b"\xff\xfe", b"[" * 2000):
        amqp.put_body(body)
    amqp.put([event(1)])

    taken = fetch(amqp, 1)
    amqp.source.done(taken[0].token)
    amqp.source.fetch(0.1)

    assert names(taken) == ["e1"]
    assert amqp.left == 0
