"""How simulated and replayed devices reach the broker of the settings."""

from device.sim.link import LinkConfig
from steam.settings import Settings


def link_config(settings: Settings) -> LinkConfig:
    """The broker's address and account; raises MissingSecret."""
    mqtt = settings.mqtt
    password = mqtt.password.read("mqtt.password") if mqtt.password else None
    return LinkConfig(
        host=mqtt.host, port=mqtt.port, username=mqtt.username or None, password=password
    )
