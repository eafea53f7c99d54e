import re

import pytest

from bridge.audit import overlap
from bridge.topics import Kind, Topic
from bridge.topology import (
    COMMANDS_EXCHANGE,
    MAX_BYTES,
    MQTT_EXCHANGE,
    Binding,
    QueueName,
    device_bindings,
    topology,
)
from tests.unit.bridge.plants import plant_of

PLANT = plant_of("d1", "d2")


def test_topology_of_plant_binds_each_device_to_record_and_evaluate():
    """Each registered device has one binding to steam.record and one to steam.evaluate."""
    bindings = [b for b in topology(PLANT).bindings if b.exchange == MQTT_EXCHANGE]

    assert bindings == [
        Binding(exchange="amq.topic", queue=queue, binding_key=f"steam.v1.s.{device}.*")
        for device in ("d1", "d2")
        for queue in ("steam.record", "steam.evaluate")
    ]


@pytest.mark.parametrize("kind", list(Kind))
def test_device_bindings_match_every_kind_of_that_device_alone(kind):
    """A device's bindings take every kind of its messages and none of a device with a longer name."""
    key = device_bindings("s", "d1")[0].binding_key

    assert overlap(key, Topic("s", "d1", kind).routing_key)
    assert not overlap(key, Topic("s", "d11", kind).routing_key)


def test_operator_commands_reach_the_queue_of_the_one_evaluator():
    """What is published on steam.commands goes to the consumer that owns the alarms' state."""
    bindings = [b for b in topology(PLANT).bindings if b.exchange == COMMANDS_EXCHANGE]

    assert [(b.queue, b.binding_key) for b in bindings] == [("steam.evaluate", "#")]


def test_topology_without_devices_keeps_every_queue():
    """A plant without devices still has all queues, so that unknown devices are kept."""
    assert {queue.name for queue in topology(plant_of()).queues} == set(QueueName)


def test_queues_that_need_order_have_one_active_consumer():
    """steam.evaluate and steam.alarms have a single active consumer, no other."""
    single = {queue.name for queue in topology(PLANT).queues if queue.single_active_consumer}

    assert single == {"steam.evaluate", "steam.alarms"}
    assert all(queue.arguments["x-queue-type"] == "quorum" for queue in topology(PLANT).queues)


@pytest.mark.parametrize("queue", list(QueueName))
def test_every_queue_is_bounded_by_one_policy_that_refuses(queue):
    """Exactly one policy holds for a queue; it bounds the queue and refuses, drops nothing."""
    policies = [
        policy
        for policy in topology(PLANT).policies
        if policy.apply_to == "queues" and re.search(policy.pattern, queue)
    ]

    assert len(policies) == 1
    definition = policies[0].definition
    assert definition["overflow"] == "reject-publish"
    assert definition["max-length-bytes"] == MAX_BYTES[queue]
    if "dead-letter-exchange" in definition:
        assert definition["dead-letter-strategy"] == "at-least-once"


def test_queue_policy_does_not_match_names_with_any_character_for_a_dot():
    """A policy's pattern is the literal name of its queue."""
    policy = next(p for p in topology(PLANT).policies if p.name == "steam.record")

    assert not re.search(policy.pattern, "steamxrecord")
    assert not re.search(policy.pattern, "steam.record.s")


def test_size_of_queue_is_taken_from_the_caller():
    """Who sets up a small machine gives smaller bounds."""
    small = dict.fromkeys(QueueName, 1_000_000)

    policies = {p.name: p for p in topology(PLANT, small).policies}

    assert policies["steam.record"].definition["max-length-bytes"] == 1_000_000
