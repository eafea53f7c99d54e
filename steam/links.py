"""How Steam's own programs reach the MQTT broker."""

from pathlib import Path

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from bridge.accounts import EMBEDDED
from device.sim.link import LinkConfig
from steam.settings import Settings

_OWN_PASSWORD_FILE = "mqtt-own-password"  # noqa: S105 - a file's name
_ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


class MqttAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where the broker is, and the account for it; no username where it asks for none."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None

    def __str__(self) -> str:
        return f"MQTT broker at {self.host}:{self.port}"

    def client(self) -> mqtt.Client:
        """A client with the account, not yet connected."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
        if self.username:
            client.username_pw_set(self.username, self.password)
        return client


def mqtt_address(settings: Settings) -> MqttAddress:
    """The broker of the settings; raises MissingSecret.

    The broker inside gives Steam a new password at every start and leaves it in a file.
    """
    mqtt = settings.mqtt
    host = "127.0.0.1" if mqtt.host in _ANY_ADDRESS else mqtt.host
    username = mqtt.username or None
    password = mqtt.password.read("mqtt.password") if mqtt.password else None
    own = own_password_file(settings)
    if username is None and mqtt.broker == "inside" and own.exists():
        username, password = EMBEDDED, own.read_text(encoding="ascii")
    return MqttAddress(host=host, port=mqtt.port, username=username, password=password)


def own_password_file(settings: Settings) -> Path:
    """Where the password of the broker inside is, for other commands of the same user."""
    return settings.data_path / _OWN_PASSWORD_FILE


def link_config(settings: Settings) -> LinkConfig:
    """The broker's address and account for simulated and replayed devices; raises MissingSecret."""
    return LinkConfig(**msgspec.structs.asdict(mqtt_address(settings)))


def away(settings: Settings) -> str:
    """That no device could connect, and what to look at."""
    where = f"MQTT broker at {settings.mqtt.host}:{settings.mqtt.port}"
    return f"{where} took no device; check address, user and password, see `steam doctor`"
