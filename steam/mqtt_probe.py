"""Asks an MQTT broker whether it takes our account."""

import threading
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from bridge.broker import BrokerRefused, BrokerUnavailable
from steam.settings import Mqtt

_WITHIN_S = 5.0


def probe(settings: Mqtt) -> str:
    """Connect once and leave; raises BrokerUnavailable or BrokerRefused."""
    where = f"MQTT broker at {settings.host}:{settings.port}"
    answered = threading.Event()
    reasons: list[Any] = []

    def on_connect(
        _client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        reasons.append(reason)
        answered.set()

    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
    client.on_connect = on_connect
    if settings.username:
        password = settings.password.read("mqtt.password") if settings.password else None
        client.username_pw_set(settings.username, password)
    try:
        client.connect(settings.host, settings.port, keepalive=10)
        client.loop_start()
        if not answered.wait(_WITHIN_S):
            raise BrokerUnavailable(f"{where} does not answer; is it an MQTT broker?")
    except OSError as error:
        raise BrokerUnavailable(f"{where}: {error}; is it up, is the address right?") from None
    finally:
        client.disconnect()
        client.loop_stop()
    if reasons[0].is_failure:
        raise BrokerRefused(f"{where} refuses the account: {reasons[0]}; check user and password")
    return f"{where} takes the account"
