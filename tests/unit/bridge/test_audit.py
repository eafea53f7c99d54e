from itertools import product

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audit import Difference, Found, compare, missing, overlap, surplus
from bridge.topology import Binding, Policy, topology
from tests.unit.bridge.plants import plant_of

WANTED = topology(plant_of("d1"))
COMPLETE = Found(
    exchanges={"amq.topic": "topic"} | {e.name: e.type for e in WANTED.exchanges},
    queues={queue.name: queue.arguments for queue in WANTED.queues},
    bindings=frozenset(WANTED.bindings),
    policies={policy.name: policy for policy in WANTED.policies},
)
EMPTY = Found(exchanges={}, queues={}, bindings=frozenset(), policies={})


def changed(**fields):
    return msgspec.structs.replace(COMPLETE, **fields)


def with_policy(name, **fields):
    policy = Policy(**{"name": name, "pattern": ".*", "apply_to": "all", "definition": {}} | fields)
    return changed(policies=COMPLETE.policies | {name: policy})


def test_compare_complete_broker_finds_nothing():
    """A broker that has exactly the topology has no findings."""
    assert compare(WANTED, COMPLETE) == []


def test_compare_empty_broker_misses_everything():
    """Of an empty broker everything is missing, and `missing` is the whole topology."""
    findings = compare(WANTED, EMPTY)

    assert {finding.difference for finding in findings} == {Difference.MISSING}
    assert missing(WANTED, EMPTY) == WANTED


def test_compare_queue_of_other_type_says_what_differs_and_what_to_do():
    """A classic queue in place of a quorum queue is told with both arguments and the way out."""
    found = changed(queues=COMPLETE.queues | {"steam.record": {"x-queue-type": "classic"}})

    (finding,) = compare(WANTED, found)

    assert finding.difference is Difference.DIFFERENT
    assert "x-queue-type classic, not x-queue-type quorum" in finding.text
    assert "delete it" in finding.text


def test_compare_changed_policy_is_different_and_set_again():
    """A policy with another definition is a finding, and belongs to what is set again."""
    policy = msgspec.structs.replace(COMPLETE.policies["steam.record"], definition={})
    found = changed(policies=COMPLETE.policies | {"steam.record": policy})

    (finding,) = compare(WANTED, found)

    assert (finding.what, finding.difference) == ("policy", Difference.DIFFERENT)
    assert [p.name for p in missing(WANTED, found).policies] == ["steam.record"]


def test_compare_stranger_policy_of_higher_priority_is_told():
    """Another policy that wins over ours is told for each name on which it wins."""
    findings = compare(WANTED, with_policy("ha-all", apply_to="queues", priority=101))

    assert len(findings) == len(WANTED.queues)
    assert "holds for steam.record instead of steam.record" in findings[0].text


@pytest.mark.parametrize(
    "fields",
    [{"priority": 99}, {"priority": 200, "pattern": "^other$"}],
    ids=["lower priority", "another pattern"],
)
def test_compare_stranger_policy_that_does_not_win_is_fine(fields):
    """A stranger's policy is no finding while ours holds."""
    assert compare(WANTED, with_policy("other", **fields)) == []


def test_compare_policy_with_unreadable_pattern_counts_as_winning():
    """A pattern that only Erlang can read is rather told than overlooked."""
    found = with_policy("odd", pattern="(?|x)", priority=101, apply_to="exchanges")

    (finding,) = compare(WANTED, found)

    assert finding.name == "odd"


def test_compare_binding_of_unregistered_device_is_extra():
    """A binding that plant.yaml does not ask for is told, and is the surplus."""
    binding = Binding(exchange="amq.topic", queue="steam.record", binding_key="steam.v1.s.gone.*")
    found = changed(bindings=COMPLETE.bindings | {binding})

    (finding,) = compare(WANTED, found)

    assert finding.difference is Difference.EXTRA
    assert surplus(WANTED, found) == (binding,)


@pytest.mark.parametrize("key", ["#", "steam.#", "steam.v1.s.d1.data", "*.*.*.*.*", "steam.v1.*.#"])
def test_compare_stranger_that_listens_to_telemetry_is_told(key):
    """A queue or exchange that takes telemetry would hide that a device is unknown."""
    binding = Binding(exchange="amq.topic", queue="dashboard", binding_key=key)

    by_queue = compare(WANTED, changed(bindings=COMPLETE.bindings | {binding}))
    by_exchange = compare(WANTED, changed(exchange_bindings=frozenset({binding})))

    assert "The queue dashboard listens" in by_queue[0].text
    assert "The exchange dashboard listens" in by_exchange[0].text


@pytest.mark.parametrize("key", ["steam.v1.s.d1.cmd", "steam.v1.*.*.cmd", "other.#", "steam.v1.s"])
def test_compare_stranger_that_takes_no_telemetry_is_fine(key):
    """A device's subscription to its own commands is no finding."""
    binding = Binding(exchange="amq.topic", queue="mqtt-subscription-d1qos1", binding_key=key)

    assert compare(WANTED, changed(bindings=COMPLETE.bindings | {binding})) == []


def matches(pattern, words):
    """The definition of a topic exchange, word for word."""
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(matches(pattern[1:], words[i:]) for i in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and matches(pattern[1:], words[1:])


PATTERNS = st.lists(st.sampled_from(["a", "b", "*", "#"]), min_size=1, max_size=3)


@given(PATTERNS, st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=5))
def test_overlap_with_a_routing_key_is_what_a_topic_exchange_matches(pattern, words):
    """Against a plain routing key, `overlap` is the topic exchange's own rule."""
    assert overlap(".".join(pattern), ".".join(words)) == matches(pattern, words)


@given(PATTERNS, PATTERNS)
def test_overlap_of_two_patterns_is_a_common_routing_key(one, other):
    """Two patterns overlap exactly where some routing key matches both."""
    keys = (words for length in range(7) for words in product("ab", repeat=length))
    common = any(matches(one, words) and matches(other, words) for words in keys)

    assert overlap(".".join(one), ".".join(other)) == common
