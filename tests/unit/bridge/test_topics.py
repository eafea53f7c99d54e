"""The topic grammar and its routing key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.topics import NAME_PATTERN, BadTopic, Kind, Topic, parse_routing_key, routing_key_of

NAMES = st.from_regex(NAME_PATTERN, fullmatch=True).filter(str.isascii)


@given(NAMES, NAMES, st.sampled_from(list(Kind)))
def test_topic_to_routing_key_and_back_is_the_same(site, device, kind):
    """MQTT topic and AMQP routing key are two spellings of one thing."""
    topic = Topic(site, device, kind)

    assert parse_routing_key(routing_key_of(topic.mqtt)) == topic
    assert parse_routing_key(topic.routing_key) == topic


@pytest.mark.parametrize(
    "topic",
    [
        "steam/v1/site/dev.ice/data",
        "steam/v1/site/device",
        "steam/v1/site/device/data/more",
        "steam/v2/site/device/data",
        "steam/v1/Site/device/data",
        "steam/v1/site/device/unknown",
        "steam/v1/site/device/data\n",
        "steam/v1/" + "s" * 33 + "/device/data",
        "steam.v1.site.device/data",
        "",
    ],
)
def test_topic_outside_the_grammar_is_refused(topic):
    """A topic with other levels, letters or a hidden dot is no topic of Steam."""
    with pytest.raises(BadTopic):
        parse_routing_key(routing_key_of(topic))
