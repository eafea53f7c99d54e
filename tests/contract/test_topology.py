"""The topology on a real RabbitMQ: nothing published is lost, and what is broken is put right."""

import secrets
from collections import Counter

import pika
import pytest
from pika.exceptions import NackError

from bridge.audit import Difference
from bridge.broker import BrokerRefused, BrokerUnavailable, TopologyConflict
from bridge.rabbitmq.management import Management
from bridge.rabbitmq.topology import RabbitTopology
from bridge.topology import MAX_BYTES, MQTT_EXCHANGE, QueueName, device_bindings, topology
from tests.contract.mqtt_client import MqttClient, wait_for
from tests.servers.ports import free_port
from tests.unit.bridge.plants import plant_of

pytestmark = pytest.mark.broker

WANTED = topology(plant_of("d1", "d2"))
PERSISTENT = pika.BasicProperties(delivery_mode=2)


class Bench:
    """An empty virtual host, and an administrator's way around it."""

    def __init__(self, broker):
        self.broker = broker
        self.management = Management(
            broker.management_url,
            username=broker.username,
            password=broker.password,
            vhost=broker.vhost,
        )
        self.rabbit = RabbitTopology(broker.amqp_url, self.management)

    def mqtt(self):
        """A client that may do everything."""
        return MqttClient(
            self.broker.mqtt_host,
            self.broker.mqtt_port,
            username=self.broker.mqtt_username,
            password=self.broker.password,
            client_id=f"test-{secrets.token_hex(4)}",
        )

    def fill(self, queue, body, most):
        """Publish to a queue until it refuses; returns how many messages it took."""
        with self.broker.connect() as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for taken in range(most):
                try:
                    channel.basic_publish("", queue, body, PERSISTENT)
                except NackError:
                    return taken
        return most

    def depth(self, queue):
        """How many messages are ready in a queue."""
        with self.broker.connect() as connection:
            return connection.channel().queue_declare(queue, passive=True).method.message_count

    def holds(self, queue, count):
        """Whether a queue comes to hold that many messages."""
        return wait_for(lambda: self.depth(queue) == count)


@pytest.fixture
def bench(rabbitmq_vhost):
    return Bench(rabbitmq_vhost)


@pytest.fixture
def declared(bench):
    bench.rabbit.declare(WANTED)
    return bench


def test_declare_twice_leaves_nothing_to_find(bench):
    """Declaring again is harmless, and afterwards the audit has nothing to say."""
    bench.rabbit.declare(WANTED)
    bench.rabbit.declare(WANTED)

    assert bench.rabbit.audit(WANTED) == []


def test_message_of_registered_device_reaches_both_queues(declared):
    """What a registered device publishes lands in steam.record and in steam.evaluate."""
    with declared.mqtt() as client:
        assert client.publish("steam/v1/s/d1/data")

    assert declared.holds("steam.record", 1)
    assert declared.holds("steam.evaluate", 1)
    assert declared.depth("steam.unrouted") == 0


@pytest.mark.parametrize("topic", ["steam/v1/s/d9/data", "steam/v1/s/d1", "somewhere/else"])
def test_acknowledged_message_that_no_binding_takes_is_kept(declared, topic):
    """RabbitMQ acknowledges what no binding takes; all of it waits in steam.unrouted."""
    with declared.mqtt() as client:
        acknowledged = client.publish_all(topic, [b"%d" % n for n in range(100)])

    assert acknowledged == 100
    assert declared.holds("steam.unrouted", 100)


def test_command_to_absent_device_is_not_taken_for_an_unknown_device(declared):
    """A command to a registered device that is not there is no stray message."""
    with declared.broker.connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish(MQTT_EXCHANGE, "steam.v1.s.d1.cmd", b"{}", PERSISTENT, mandatory=True)

    assert declared.depth("steam.unrouted") == 0


def test_rejected_message_goes_to_the_dead_with_its_routing_key(declared):
    """What a consumer rejects is kept in steam.dead, and still says who sent it."""
    with declared.mqtt() as client:
        client.publish("steam/v1/s/d1/data", b"poison")
    assert declared.holds("steam.record", 1)

    with declared.broker.connect() as connection:
        channel = connection.channel()
        method, _, _ = channel.basic_get("steam.record")
        channel.basic_reject(method.delivery_tag, requeue=False)

    assert declared.holds("steam.dead", 1)
    with declared.broker.connect() as connection:
        method, properties, body = connection.channel().basic_get("steam.dead")
    assert (method.routing_key, body) == ("steam.v1.s.d1.data", b"poison")
    assert properties.headers["x-first-death-queue"] == "steam.record"


def test_full_queue_refuses_and_drops_nothing(bench):
    """A queue that reached its bound refuses the publisher; what it took, it keeps."""
    bench.rabbit.declare(topology(plant_of(), MAX_BYTES | dict.fromkeys(QueueName, 10_000)))

    taken = {queue: bench.fill(queue.value, b"x" * 1_000, most=100) for queue in QueueName}

    for queue, count in taken.items():
        assert 10 <= count < 100
        assert bench.holds(queue.value, count)


def test_audit_of_empty_broker_makes_everything(bench):
    """The audit of a broker that has nothing tells and repairs all, so it also declares."""
    findings = bench.rabbit.audit(WANTED)

    counted = Counter(finding.what for finding in findings)
    assert counted == {
        "exchange": len(WANTED.exchanges),
        "queue": len(WANTED.queues),
        "policy": len(WANTED.policies),
        "binding": len(WANTED.bindings),
    }
    assert all(finding.repaired for finding in findings)
    assert bench.rabbit.audit(WANTED) == []


def test_audit_repairs_and_tells_what_was_removed(declared):
    """A removed binding, a removed policy and a removed queue are told and are back."""
    key = "steam.v1.s.d1.*"
    with declared.broker.connect() as connection:
        channel = connection.channel()
        channel.queue_unbind("steam.record", MQTT_EXCHANGE, key)
        channel.queue_delete("steam.results")
    declared.management.delete("policies", declared.broker.vhost, "steam.alternate-exchange")

    findings = declared.rabbit.audit(WANTED)

    assert [str(finding) for finding in findings] == [
        "The queue steam.results did not exist. Repaired.",
        "The policy steam.alternate-exchange did not exist. Repaired.",
        f"steam.record got nothing of {key} from amq.topic: the binding was missing. Repaired.",
    ]
    assert declared.rabbit.audit(WANTED) == []
    with declared.mqtt() as client:
        client.publish("steam/v1/s/d1/data")
        client.publish("steam/v1/s/d9/data")
    assert declared.holds("steam.record", 1)
    assert declared.holds("steam.unrouted", 1)


def test_audit_repairs_a_changed_policy(declared):
    """A bound that somebody lifted by hand is put back."""
    policy = WANTED.policies[0]
    body = {"pattern": policy.pattern, "definition": {"max-length": 1}, "apply-to": "queues"}
    declared.management.put("policies", declared.broker.vhost, policy.name, body=body)

    (finding,) = declared.rabbit.audit(WANTED)

    assert (finding.difference, finding.repaired) == (Difference.DIFFERENT, True)
    assert declared.rabbit.found().policies[policy.name] == policy


def test_audit_without_repair_changes_nothing(declared):
    """Looking alone leaves the broker as it is."""
    declared.rabbit.unbind_device("s", "d1")

    findings = declared.rabbit.audit(WANTED, repair=False)

    assert [finding.repaired for finding in findings] == [False, False]
    assert len(declared.rabbit.audit(WANTED, repair=False)) == 2


def test_audit_leaves_an_unregistered_binding_until_told_to_prune(declared):
    """A binding that plant.yaml does not ask for is told, and removed only on request."""
    declared.rabbit.bind_device("s", "d9")

    told = declared.rabbit.audit(WANTED)
    pruned = declared.rabbit.audit(WANTED, prune=True)

    assert [(f.difference, f.repaired) for f in told] == [(Difference.EXTRA, False)] * 2
    assert [(f.difference, f.repaired) for f in pruned] == [(Difference.EXTRA, True)] * 2
    assert declared.rabbit.audit(WANTED) == []


def test_audit_tells_of_a_stranger_that_listens_to_telemetry(declared):
    """A dashboard that subscribes to telemetry would let messages of unknown devices be lost."""
    with declared.mqtt() as client:
        assert client.subscribe("steam/v1/#")
        findings = declared.rabbit.audit(WANTED)

    assert [finding.difference for finding in findings] == [Difference.EXTRA]
    assert "listens to telemetry (steam.v1.#)" in findings[0].text
    assert not findings[0].repaired


def test_audit_leaves_a_subscription_to_commands_alone(declared):
    """A device that listens to its commands is no finding."""
    with declared.mqtt() as client:
        assert client.subscribe("steam/v1/s/d1/cmd")

        assert declared.rabbit.audit(WANTED) == []


@pytest.mark.parametrize("act", ["declare", "audit"])
def test_queue_that_exists_otherwise_is_told_with_what_to_do(bench, act):
    """A queue with other arguments is left alone; the words name it, the difference and the way out."""
    with bench.broker.connect() as connection:
        connection.channel().queue_declare(
            "steam.record", durable=True, arguments={"x-queue-type": "classic"}
        )

    if act == "declare":
        with pytest.raises(TopologyConflict) as raised:
            bench.rabbit.declare(WANTED)
        text = str(raised.value)
    else:
        text = next(str(f) for f in bench.rabbit.audit(WANTED) if not f.repaired)

    assert "steam.record" in text
    assert "classic" in text
    assert "quorum" in text
    assert "delete" in text


def test_bound_device_reaches_its_queues_until_unbound(declared):
    """Binding and unbinding a device decides whether its messages are those of a known one."""
    declared.rabbit.bind_device("s", "d9")
    with declared.mqtt() as client:
        client.publish("steam/v1/s/d9/data")
        assert declared.holds("steam.record", 1)

        declared.rabbit.unbind_device("s", "d9")
        client.publish("steam/v1/s/d9/data")

    assert declared.holds("steam.unrouted", 1)
    assert not set(device_bindings("s", "d9")) & declared.rabbit.found().bindings


def test_absent_broker_is_told_as_unavailable(bench):
    """Where nothing listens, the error names the address and asks what to check."""
    nowhere = f"127.0.0.1:{free_port()}"
    amqp_away = RabbitTopology(f"amqp://u:p@{nowhere}/%2F", bench.management)
    api_away = RabbitTopology(bench.broker.amqp_url, Management(f"http://u:p@{nowhere}"))

    for away in (amqp_away, api_away):
        with pytest.raises(BrokerUnavailable, match=nowhere) as raised:
            away.declare(WANTED)
        assert "Connection refused" in str(raised.value)
        assert "is the broker up" in str(raised.value)
        assert "u:p" not in str(raised.value)


def test_wrong_password_is_told_as_refused(bench):
    """A wrong account is a fault of the configuration, and the password is not shown."""
    url = bench.broker.amqp_url.replace(bench.broker.password, "not-it")
    wrong = Management(bench.broker.management_url, username="nobody", password="not-it")

    with pytest.raises(BrokerRefused, match="refused the account") as amqp:
        RabbitTopology(url, bench.management).declare(WANTED)
    with pytest.raises(BrokerRefused, match=r"'nobody' \(401\)") as api:
        RabbitTopology(bench.broker.amqp_url, wrong).found()

    assert "not-it" not in f"{amqp.value}{api.value}"


def test_virtual_host_that_does_not_exist_is_told(bench):
    """A wrong virtual host is named."""
    management = Management(
        bench.broker.management_url,
        username=bench.broker.username,
        password=bench.broker.password,
        vhost="nowhere",
    )

    with pytest.raises(BrokerRefused, match="no virtual host 'nowhere'"):
        RabbitTopology(bench.broker.amqp_url, management).found()
