"""The watch over RabbitMQ: it repairs what is missing and tells what people should know."""

import msgspec
import pytest

from bridge.rabbitmq.management import Management
from bridge.rabbitmq.topology import QueueDepth, RabbitTopology
from processor.troubles import TroubleBook
from steam.broker_watch import BrokerWatch
from tests.messages import PLANT
from tests.servers.ports import free_port

pytestmark = pytest.mark.broker

RECORD_BINDING = {
    "queue": "steam.record",
    "exchange": "amq.topic",
    "routing_key": "steam.v1.mill.dev1.*",
}


class Bench:
    """A watch over an empty corner of a real RabbitMQ."""

    def __init__(self, broker, management_url=""):
        management = Management(
            management_url or broker.management_url,
            username=broker.username,
            password=broker.password,
            vhost=broker.vhost,
        )
        self.broker = broker
        self.rabbit = RabbitTopology(broker.amqp_url, management)
        self.troubles = TroubleBook()
        self.watch = BrokerWatch(self.rabbit, lambda: PLANT, self.troubles, every_s=60)

    def channel(self, stack):
        return stack.enter_context(self.broker.connect()).channel()


@pytest.fixture
def bench(rabbitmq_vhost):
    return Bench(rabbitmq_vhost)


def test_watch_on_an_empty_broker_declares_everything_without_a_trouble(bench):
    """A new broker lacks everything, which is no news."""
    bench.watch.turn()

    assert bench.troubles.standing() == {}
    assert "steam.record" in bench.rabbit.found().queues


def test_watch_makes_a_removed_binding_again_and_tells(bench):
    """A binding that somebody removed is back within a minute, and people hear of it."""
    bench.watch.turn()
    with bench.broker.connect() as connection:
        connection.channel().queue_unbind(**RECORD_BINDING)

    bench.watch.turn()

    note = bench.troubles.standing()["topology_repaired"]
    assert note.startswith("steam.record got nothing of steam.v1.mill.dev1.*")
    bench.watch.turn()
    keys = {each.binding_key for each in bench.rabbit.found().bindings}
    assert RECORD_BINDING["routing_key"] in keys


def test_watch_tells_of_what_it_cannot_repair_until_somebody_does(bench):
    """A stranger that listens to telemetry is told as long as it does."""
    bench.watch.turn()
    with bench.broker.connect() as connection:
        channel = connection.channel()
        channel.queue_declare("snoop", exclusive=True)
        channel.queue_bind("snoop", "amq.topic", "steam.v1.#")
        bench.watch.turn()
        assert "snoop listens to telemetry" in bench.troubles.standing()["topology_differs"]

    bench.watch.turn()
    assert bench.troubles.standing() == {}


def test_watch_that_cannot_reach_the_broker_three_times_tells(rabbitmq_vhost):
    """A management API that is away for a moment alarms nobody."""
    bench = Bench(rabbitmq_vhost, f"http://127.0.0.1:{free_port()}")
    bench.watch.turn()
    bench.watch.turn()
    assert bench.troubles.standing() == {}

    bench.watch.turn()

    assert "cannot reach" in bench.troubles.standing()["broker_unaudited"]


def test_watch_tells_of_full_queues_and_dead_letters(bench):
    """A queue at four fifths of its bound and any dead letter are told, until they are gone."""
    empty = bench.rabbit.depths()
    bench.watch.turn()
    full = [
        QueueDepth(queue="steam.alarms", messages=9, bytes=60 * 1024 * 1024),
        QueueDepth(queue="steam.dead", messages=2, bytes=20),
        QueueDepth(queue="somebody.elses", messages=10**9, bytes=10**12),
    ]

    bench.watch._tell_depths(full)
    assert bench.troubles.standing() == {
        "queue_filling_steam-alarms": "9 messages, 94% of its bound",
        "dead_letters": "2 messages in steam.dead",
    }
    bench.watch._tell_depths([msgspec.structs.replace(each, messages=0, bytes=0) for each in full])
    assert bench.troubles.standing() == {}
    assert empty == []


class Strange:
    """A management API that answers, with something else than it should."""

    def audit(self, _topology):
        raise KeyError("name")

    def depths(self):
        return []


def test_watch_on_a_strange_answer_goes_on_and_tells():
    """Whatever the management API answers, the processor records; people are told after the third."""
    troubles = TroubleBook()
    watch = BrokerWatch(Strange(), lambda: PLANT, troubles, every_s=60)

    for _ in range(3):
        watch.turn()

    assert "KeyError" in troubles.standing()["broker_unaudited"]
