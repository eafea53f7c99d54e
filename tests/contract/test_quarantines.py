"""The quarantine port: what SQLite's table and RabbitMQ's queue do alike."""

from contextlib import ExitStack
from functools import partial

import pytest

from bridge.messages import Reason
from processor.adapters.amqp_desk import AmqpDesk
from processor.adapters.amqp_publisher import AmqpPublisher
from processor.adapters.amqp_quarantine import QUARANTINE_QUEUE, AmqpQuarantine
from processor.adapters.sqlite_quarantine import SqliteQuarantine
from processor.quarantine import BadMessage, Place
from processor.results import PublishFailed
from tests.fakes import FakeQuarantine

_ROOM_BYTES = 100_000


class FakeBench:
    """The fake."""

    def __init__(self):
        self.quarantine = FakeQuarantine(room=50)

    def messages(self):
        return self.quarantine.kept


class SqliteBench:
    """A file of at most 100 kB."""

    def __init__(self, path, stack):
        self.quarantine = SqliteQuarantine(path, most_bytes=_ROOM_BYTES)
        self.quarantine.open()
        stack.callback(self.quarantine.close)
        self.messages = self.quarantine.messages


class AmqpBench:
    """A queue of at most 100 kB on a real RabbitMQ."""

    def __init__(self, broker, stack):
        self._broker = broker
        channel = stack.enter_context(broker.connect()).channel()
        channel.queue_declare(
            QUARANTINE_QUEUE,
            durable=True,
            arguments={
                "x-queue-type": "quorum",
                "x-max-length-bytes": _ROOM_BYTES,
                "x-overflow": "reject-publish",
            },
        )
        self.quarantine = AmqpQuarantine(AmqpPublisher(broker.amqp_url, name="test"))
        stack.callback(self.quarantine.close)
        self.messages = partial(AmqpDesk(broker.amqp_url).messages, place=Place.QUARANTINE)


@pytest.fixture(params=["fake", "sqlite", pytest.param("amqp", marks=pytest.mark.broker)])
def bench(request, tmp_path):
    with ExitStack() as stack:
        if request.param == "fake":
            yield FakeBench()
        elif request.param == "sqlite":
            yield SqliteBench(tmp_path / "quarantine.sqlite", stack)
        else:
            yield AmqpBench(request.getfixturevalue("rabbitmq_vhost"), stack)


def bad(number, body=b"{"):
    return BadMessage(
        routing_key="steam.v1.mill.dev1.data",
        body=body,
        reason=Reason.MALFORMED,
        detail=f"fault {number}: não é JSON",
        at_us=1_795_435_200_000_000 + number,
    )


def test_quarantine_keeps_messages_whole_and_in_order(bench):
    """Every byte, the reason, the words and the moment are kept."""
    messages = [bad(number, bytes(range(number, 256))) for number in range(3)]

    assert bench.quarantine.put(messages) == set()

    assert bench.messages() == messages


def test_quarantine_without_room_says_which_it_did_not_take(bench):
    """What was taken is there, what was not is named, and taking again is possible later."""
    taken = []
    for number in range(100):
        message = bad(number, bytes(5_000))
        refused = bench.quarantine.put([message])
        if refused == {0}:
            break
        assert refused == set()
        taken.append(message)

    assert 5 < len(taken) < 100
    assert bench.quarantine.put([bad(100, bytes(5_000)), bad(101, bytes(5_000))]) == {0, 1}
    assert bench.messages() == taken


def test_quarantine_that_is_away_says_so(tmp_path):
    """A quarantine that cannot be reached raises, and knows nothing of what was kept."""
    closed = SqliteQuarantine(tmp_path / "quarantine.sqlite")
    nobody = AmqpQuarantine(AmqpPublisher("amqp://127.0.0.1:9", name="test"))
    for quarantine in (closed, nobody):
        with pytest.raises(PublishFailed):
            quarantine.put([bad(1)])
