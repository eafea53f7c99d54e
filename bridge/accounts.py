"""Who may do what at the broker: device and service accounts as data, and the port to them.

A device's account is named like the device, which is also its MQTT client id. Its
permissions are literal: RabbitMQ does not expand variables in resource permissions, and before
4.2.4 it puts them into topic permissions unescaped, so that a client id `.*` opens all topics.
"""

import re
import secrets
from enum import StrEnum
from typing import Protocol

import msgspec

from bridge.live import COMMANDS_TOPIC, live_topic
from bridge.topics import (
    NAME_PATTERN,
    PREFIX,
    Kind,
    Topic,
    command_topic,
    is_name,
    telemetry_filter,
)
from bridge.topology import COMMANDS_EXCHANGE, LIVE_EXCHANGE, MQTT_EXCHANGE, QueueName

DEVICE_KINDS = tuple(kind for kind in Kind if kind is not Kind.CMD)
"""The kinds of message that a device sends; it receives only `cmd`."""

_NOTHING = "^$"
_SENDS = "(" + "|".join(kind.value for kind in DEVICE_KINDS) + ")"
_DEVICE_WRITE = re.compile(rf"\^steam\\\.v1\\\.({NAME_PATTERN})\\\.({NAME_PATTERN})\\\.\(birth\|.*")


class Service(StrEnum):
    """The accounts of Steam's own programs."""

    PROCESSOR = "steam-processor"
    NOTIFIER = "steam-notifier"
    PANEL = "steam-panel"
    GATEWAY = "steam-gateway"
    TOPOLOGY = "steam-topology"
    ACCOUNTS = "steam-accounts"
    DESK = "steam-desk"


OWN_NAMES = "steam-"
"""How the accounts and client ids of Steam's own programs begin, and those of no device."""

EMBEDDED = "steam-embedded"
"""The one account of Steam's programs at a broker that knows MQTT only: they are one process."""


class Permission(msgspec.Struct, frozen=True, kw_only=True):
    """Regular expressions over the names of queues and exchanges, for each kind of access."""

    configure: str = _NOTHING
    write: str = _NOTHING
    read: str = _NOTHING


class TopicPermission(msgspec.Struct, frozen=True, kw_only=True):
    """Regular expressions over routing keys on one topic exchange.

    Without any, RabbitMQ allows every key on an exchange that may be written or read.
    """

    exchange: str = MQTT_EXCHANGE
    write: str = _NOTHING
    read: str = _NOTHING


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account of RabbitMQ; `tags` open its management API."""

    name: str
    permission: Permission
    topic_permissions: tuple[TopicPermission, ...] = ()
    tags: tuple[str, ...] = ()


class MqttAccess(msgspec.Struct, frozen=True, kw_only=True):
    """An account of a broker that knows MQTT only, and its topic filters."""

    name: str
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()


class DeviceAccount(msgspec.Struct, frozen=True, order=True):
    """That a device has an account at the broker, and for which site."""

    site: str
    device: str


class AccountFault(Exception):
    """An account cannot be made, changed or removed; the text says what to do."""


class DeviceAccounts(Protocol):
    """The accounts of devices at one broker; each method may raise BrokerError or AccountFault."""

    @property
    def next_step(self) -> str:
        """What somebody must still do for a change to take effect, or ""."""

    def settle(self) -> str:
        """Make the broker know of the accounts as they are; what somebody must still do, or ""."""

    def add(self, site: str, device: str) -> str:
        """Make an account and return its password, which is told only now."""

    def rotate(self, site: str, device: str, password: str | None = None) -> str:
        """Give an account a new password, `password` where one is given, and return it."""

    def remove(self, device: str) -> None:
        """Remove an account, if there is one, and close the device's connections."""

    def listed(self) -> list[DeviceAccount]:
        """The accounts that there are, sorted."""


def new_password() -> str:
    """A random password of 192 bits."""
    return secrets.token_urlsafe(24)


def check_device_name(site: str, device: str) -> None:
    """Refuse names outside the topic grammar and those of services; raises AccountFault."""
    for what, name in (("site", site), ("device", device)):
        if not is_name(name):
            raise AccountFault(
                f"{name!r} is no name of a {what}: a-z, 0-9, _ and -, beginning with a letter or "
                "digit, at most 32 characters"
            )
    if device.startswith(OWN_NAMES):
        text = f"{device!r}: names that begin with {OWN_NAMES!r} are Steam's own; give another"
        raise AccountFault(text)


def device_account(site: str, device: str) -> Account:
    """What a device may do: send its own messages, take its own commands; raises AccountFault.

    MQTT subscribing makes the queue `mqtt-subscription-<client id>qos<0|1>`, binds it (write on
    the queue, read on the exchange) and consumes from it.
    """
    check_device_name(site, device)
    queue = rf"mqtt-subscription-{device}qos[01]"
    own = rf"^steam\.v1\.{site}\.{device}\."
    return Account(
        name=device,
        permission=_mqtt_permission(queue),
        topic_permissions=(TopicPermission(write=f"{own}{_SENDS}$", read=f"{own}cmd$"),),
    )


def device_access(site: str, device: str) -> MqttAccess:
    """What a device may do at a broker that knows MQTT only; raises AccountFault."""
    check_device_name(site, device)
    return MqttAccess(
        name=device,
        publish=tuple(Topic(site, device, kind).mqtt for kind in DEVICE_KINDS),
        subscribe=(command_topic(site, device),),
    )


def embedded_access() -> MqttAccess:
    """What Steam itself may do at a broker that knows MQTT only.

    It consumes what devices send, shows live values, sends and hears commands, and sends
    a quarantined, simulated or recorded message as its device would.
    """
    commands = command_topic("+", "+")
    return MqttAccess(
        name=EMBEDDED,
        publish=(
            commands,
            live_topic("+"),
            COMMANDS_TOPIC,
            *(Topic("+", "+", kind).mqtt for kind in DEVICE_KINDS),
        ),
        subscribe=(telemetry_filter(), COMMANDS_TOPIC, live_topic("+")),
    )


def device_of_topics(access: MqttAccess) -> DeviceAccount | None:
    """The device whose access this is, or None where it is no device's."""
    for topic in access.publish:
        site, _, rest = topic.removeprefix(f"{PREFIX}/").partition("/")
        device = rest.partition("/")[0]
        ours = topic.startswith(f"{PREFIX}/") and is_name(site) and is_name(device)
        if ours and device == access.name:
            return DeviceAccount(site, device)
    return None


def device_of(write: str) -> DeviceAccount | None:
    """The device whose topic permission `write` is, or None where it is no device's."""
    match = _DEVICE_WRITE.fullmatch(write)
    if match is None:
        return None
    site, device = match.groups()
    written = device_account(site, device).topic_permissions[0].write
    return DeviceAccount(site, device) if write == written else None


def service_account(service: Service) -> Account:
    """What one of Steam's own programs may do, and nothing more."""
    return _SERVICES[service]


def _mqtt_permission(queue: str) -> Permission:
    exchange = re.escape(MQTT_EXCHANGE)
    return Permission(
        configure=f"^{queue}$",
        write=f"^({exchange}|{queue})$",
        read=f"^({exchange}|{queue})$",
    )


def _one_of(*names: str) -> str:
    return f"^({_any(*names)})$"


def _any(*names: str) -> str:
    return "|".join(re.escape(name) for name in names)


_ANY_DEVICE = rf"^steam\.v1\.{NAME_PATTERN}\.{NAME_PATTERN}\."
# The names that RabbitMQ gives to a client's own exclusive queue.
_OWN_QUEUE = r"amq\.gen-.*"
_DESK_QUEUES = (QueueName.QUARANTINE, QueueName.UNROUTED, QueueName.DEAD)

_PROCESSOR = Account(
    name=Service.PROCESSOR.value,
    permission=Permission(
        # Through the default exchange it reaches its own queues by name.
        write=_one_of("amq.default", MQTT_EXCHANGE, LIVE_EXCHANGE),
        read=_one_of(
            QueueName.RECORD,
            QueueName.EVALUATE,
            QueueName.UNROUTED,
            QueueName.RESULTS,
            QueueName.QUARANTINE,
            QueueName.DEAD,
        ),
    ),
    topic_permissions=(TopicPermission(write=f"{_ANY_DEVICE}cmd$"),),
)
_NOTIFIER = Account(
    name=Service.NOTIFIER.value, permission=Permission(read=_one_of(QueueName.ALARMS))
)
_PANEL = Account(
    name=Service.PANEL.value,
    permission=Permission(
        configure=f"^{_OWN_QUEUE}$",
        write=rf"^({_OWN_QUEUE}|{re.escape(COMMANDS_EXCHANGE)})$",
        read=rf"^({_OWN_QUEUE}|{re.escape(LIVE_EXCHANGE)})$",
    ),
)
_GATEWAY = Account(
    # It speaks for any device, under the device's own client id: only where a gateway is needed.
    name=Service.GATEWAY.value,
    permission=_mqtt_permission(rf"mqtt-subscription-{NAME_PATTERN}qos[01]"),
    topic_permissions=(
        TopicPermission(write=f"{_ANY_DEVICE}{_SENDS}$", read=f"{_ANY_DEVICE}cmd$"),
    ),
)
_TOPOLOGY = Account(
    name=Service.TOPOLOGY.value,
    # To bind, it writes to the queue and reads from the exchange.
    permission=Permission(
        configure=r"^steam\.", write=r"^steam\.", read=rf"^(steam\..*|{re.escape(MQTT_EXCHANGE)})$"
    ),
    tags=("policymaker",),
)
_ACCOUNTS = Account(
    # RabbitMQ lets only administrators make users. It publishes and reads nothing.
    name=Service.ACCOUNTS.value,
    permission=Permission(),
    tags=("administrator",),
)
_DESK = Account(
    # A message is sent again as its device sent it, a dead letter of steam.results through the
    # default exchange, as the evaluator sent it. A person's commands to devices leave here too,
    # and not by the dashboard: the answers come to a queue of its own.
    name=Service.DESK.value,
    permission=Permission(
        configure=f"^{_OWN_QUEUE}$",
        write=rf"^({_OWN_QUEUE}|{_any('amq.default', MQTT_EXCHANGE)})$",
        read=rf"^({_OWN_QUEUE}|{_any(MQTT_EXCHANGE, *_DESK_QUEUES)})$",
    ),
    topic_permissions=(
        TopicPermission(write=f"{_ANY_DEVICE}({_SENDS}|cmd)$", read=f"{_ANY_DEVICE}ack$"),
    ),
)
_SERVICES = {
    Service.PROCESSOR: _PROCESSOR,
    Service.NOTIFIER: _NOTIFIER,
    Service.PANEL: _PANEL,
    Service.GATEWAY: _GATEWAY,
    Service.TOPOLOGY: _TOPOLOGY,
    Service.ACCOUNTS: _ACCOUNTS,
    Service.DESK: _DESK,
}
