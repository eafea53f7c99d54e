"""Asks an MQTT broker whether it takes our account."""

import threading
from typing import Any

import paho.mqtt.client as mqtt

from bridge.broker import BrokerRefused, BrokerUnavailable
from steam.links import MqttAddress

_WITHIN_S = 5.0


def probe(broker: MqttAddress) -> str:
    """Connect once and leave; raises BrokerUnavailable or BrokerRefused."""
    answered = threading.Event()
    reasons: list[Any] = []

    def on_connect(
        _client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        reasons.append(reason)
        answered.set()

    client = broker.client()
    client.on_connect = on_connect
    try:
        client.connect(broker.host, broker.port, keepalive=10)
        client.loop_start()
        if not answered.wait(_WITHIN_S):
            raise BrokerUnavailable(f"{broker} does not answer; is it an MQTT broker?")
    except OSError as error:
        raise BrokerUnavailable(f"{broker}: {error}; is it up, is the address right?") from None
    finally:
        client.disconnect()
        client.loop_stop()
    if reasons[0].is_failure:
        raise BrokerRefused(f"{broker} refuses the account: {reasons[0]}; check user and password")
    return f"{broker} takes the account"
