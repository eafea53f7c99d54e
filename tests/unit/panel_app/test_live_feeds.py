"""The live feeds on real brokers: values in, commands out, and back after a break."""

import time
from urllib.parse import quote

import paho.mqtt.client as mqtt
import pika
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from bridge.live import (
    COMMANDS_TOPIC,
    AcknowledgeAlarm,
    LiveSite,
    decode_command,
    encode_live,
    live_topic,
)
from bridge.topology import COMMANDS_EXCHANGE, LIVE_EXCHANGE
from panel_app.data.commands import CommandFailed
from panel_app.data.hub import LiveHub
from panel_app.data.live_amqp import ACKNOWLEDGE_KEY, FEED_NAME, AmqpLive
from panel_app.data.live_mqtt import MqttLive
from tests.servers.ports import free_port

PATIENCE_S = 20.0
COMMAND = AcknowledgeAlarm(
    id="a1", boiler="caldeira-1", definition="low-water", by="Ana", at_us=5, note="ok"
)


def live(site="norte", at_us=1):
    return encode_live(LiveSite(site=site, at_us=at_us, boilers=[]))


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.02)


@pytest.fixture
def mqtt_peer(mosquitto):
    """A client on the broker that keeps what comes under steam/commands."""
    taken = []
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: taken.append(message.payload)
    client.taken = taken
    client.connect("127.0.0.1", mosquitto.port)
    client.subscribe(COMMANDS_TOPIC, qos=1)
    client.loop_start()
    yield client
    client.disconnect()
    client.loop_stop()


@pytest.mark.slow
def test_mqtt_feed_brings_live_values_and_takes_commands(mosquitto, mqtt_peer):
    """What the evaluator shows is in the hub; what an operator does reaches the broker, QoS 1."""
    hub = LiveHub()
    with MqttLive(hub, "127.0.0.1", mosquitto.port) as feed:
        wait_for(lambda: hub.snapshot().link.connected)
        mqtt_peer.publish(live_topic("norte"), b"{not json")
        mqtt_peer.publish(live_topic("norte"), live())
        mqtt_peer.publish(live_topic(""), live(""))
        wait_for(lambda: set(hub.snapshot().sites) == {"norte", ""})

        feed.acknowledge(COMMAND)

        wait_for(lambda: mqtt_peer.taken)
        assert decode_command(mqtt_peer.taken[0]) == COMMAND
    wait_for(lambda: not hub.snapshot().link.connected)


@pytest.mark.slow
def test_mqtt_feed_without_a_broker_says_so():
    """A command fails at once with the broker's address; opening does not fail."""
    hub = LiveHub()
    port = free_port()
    with (
        MqttLive(hub, "127.0.0.1", port) as feed,
        pytest.raises(CommandFailed, match=f"127.0.0.1:{port}"),
    ):
        feed.acknowledge(COMMAND)

    assert not hub.snapshot().link.connected


@pytest.fixture
def channel(rabbitmq_vhost):
    """A channel on an empty virtual host with the two exchanges."""
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_vhost.amqp_url)) as connection:
        opened = connection.channel()
        opened.exchange_declare(LIVE_EXCHANGE, "topic", durable=True)
        opened.exchange_declare(COMMANDS_EXCHANGE, "topic", durable=True)
        yield opened


@pytest.mark.broker
def test_amqp_feed_brings_live_values_and_takes_commands(rabbitmq_vhost, channel):
    """Live values come by their site's routing key; a command is routed and confirmed."""
    hub = LiveHub()
    channel.queue_declare("taken")
    channel.queue_bind("taken", COMMANDS_EXCHANGE, ACKNOWLEDGE_KEY)
    with AmqpLive(hub, rabbitmq_vhost.amqp_url) as feed:
        wait_for(lambda: hub.snapshot().link.connected)
        channel.basic_publish(LIVE_EXCHANGE, "norte", b"\xff")
        channel.basic_publish(LIVE_EXCHANGE, "norte", live("norte"))
        channel.basic_publish(LIVE_EXCHANGE, "sul", live("sul"))
        channel.basic_publish(LIVE_EXCHANGE, "", live(""))
        wait_for(lambda: set(hub.snapshot().sites) == {"norte", "sul", ""})

        feed.acknowledge(COMMAND)

        _, _, body = channel.basic_get("taken", auto_ack=True)
        assert decode_command(body) == COMMAND
    assert not hub.snapshot().link.connected


@pytest.mark.broker
def test_amqp_command_without_a_queue_fails(rabbitmq_vhost, channel):
    """A command that nobody would take is not taken for sent."""
    with pytest.raises(CommandFailed, match="steam topology declare"):
        AmqpLive(LiveHub(), rabbitmq_vhost.amqp_url).acknowledge(COMMAND)


@pytest.mark.broker
def test_amqp_feed_comes_back_after_its_connection_is_closed(rabbitmq_vhost, channel):
    """The feed says that it is cut off, connects and subscribes anew."""
    hub = LiveHub()
    seen = []
    with AmqpLive(hub, rabbitmq_vhost.amqp_url):
        wait_for(lambda: hub.snapshot().link.connected)
        hub.subscribe(lambda: seen.append(hub.snapshot().link.connected))

        close_feed(rabbitmq_vhost)

        wait_for(lambda: False in seen)
        wait_for(lambda: hub.snapshot().link.connected)
        channel.basic_publish(LIVE_EXCHANGE, "norte", live("norte"))
        wait_for(lambda: "norte" in hub.snapshot().sites)


def close_feed(broker):
    """Close the dashboard's connection, as an operator of RabbitMQ would, once it is listed."""
    names = []

    def listed():
        vhost = quote(broker.vhost, safe="")
        connections = broker.api("GET", f"/vhosts/{vhost}/connections")
        feeds = [one for one in connections if one.get("user_provided_name") == FEED_NAME]
        names.extend(quote(one["name"], safe="") for one in feeds)
        return names

    wait_for(listed)
    broker.api("DELETE", f"/connections/{names[0]}")


@pytest.mark.slow
def test_amqp_command_without_a_broker_says_where():
    """The address is in the words that the operator reads; the password is not."""
    url = f"amqp://steam:secret@127.0.0.1:{free_port()}/"

    with pytest.raises(CommandFailed, match=r"127\.0\.0\.1") as failed:
        AmqpLive(LiveHub(), url).acknowledge(COMMAND)

    assert "secret" not in str(failed.value)
