"""The evaluator's results and live values on their way through RabbitMQ."""

import time
from collections.abc import Callable

import msgspec
import structlog
from pika.spec import BasicProperties

from bridge.live import LiveSite, encode_live
from bridge.messages import Cmd
from bridge.records import AlarmEvent
from bridge.topics import Kind, Topic
from processor.adapters.amqp_pending import pending_events
from processor.adapters.amqp_publisher import (
    PERSISTENT,
    TRANSIENT,
    AmqpPublisher,
    Outgoing,
    PublishRefused,
)
from processor.results import PROBE, PublishFailed

log = structlog.get_logger(__name__)

RESULTS_QUEUE = "steam.results"
ALARMS_QUEUE = "steam.alarms"
EVALUATE_QUEUE = "steam.evaluate"
LIVE_EXCHANGE = "steam.live"
DEVICE_EXCHANGE = "amq.topic"
HEARTBEAT_TYPE = "heartbeat"
PROBE_TYPE = "probe"
_HEARTBEAT_LIFE_MS = "30000"
_SILENT_S = 30.0


class AmqpResults:
    """Publishes alarm events to the notifier first, then to the recorders."""

    def __init__(self, publisher: AmqpPublisher, url: str) -> None:
        self._publisher = publisher
        self._url = url

    def open(self) -> None:
        """Nothing to do: the publisher connects when first used."""

    def publish(self, events: list[AlarmEvent]) -> None:
        """One message an event to steam.alarms, then one with all of them to steam.results."""
        told = [
            Outgoing(
                "",
                ALARMS_QUEUE,
                msgspec.json.encode(event),
                BasicProperties(delivery_mode=PERSISTENT, message_id=event.id),
            )
            for event in events
        ]
        if self._publisher.publish_all(told):
            raise PublishRefused(f"queue {ALARMS_QUEUE} is full; does the notifier run?")
        properties = BasicProperties(delivery_mode=PERSISTENT)
        self._publisher.publish("", RESULTS_QUEUE, msgspec.json.encode(events), properties)

    def pending(self) -> list[AlarmEvent]:
        """Consume what is in steam.results on a connection of its own, and acknowledge nothing."""
        return pending_events(self._url)

    def heartbeat(self, at_us: int) -> None:
        """A short-lived message in the queue of the alarms: the path itself is what is proven.

        Its confirm is not waited for: a broker that takes nothing for a while shall not stop
        the evaluation, and the notifier tells of heartbeats that do not come.
        """
        properties = BasicProperties(
            delivery_mode=TRANSIENT, type=HEARTBEAT_TYPE, expiration=_HEARTBEAT_LIFE_MS
        )
        self._publisher.send("", ALARMS_QUEUE, msgspec.json.encode(at_us), properties)

    def probe(self) -> bool:
        """A message through the default exchange, which only our own accounts may use.

        It has no expiry: that would dead-letter it.
        """
        properties = BasicProperties(delivery_mode=TRANSIENT, type=PROBE_TYPE)
        self._publisher.publish("", EVALUATE_QUEUE, PROBE, properties)
        return True

    def close(self) -> None:
        """Close the connection."""
        self._publisher.close()


class AmqpLiveOut:
    """Shows live values on exchange steam.live and sends commands to devices.

    After a failure it is silent for 30 s: to connect to a broker that does not answer takes
    long, and the evaluation waits for it.
    """

    def __init__(
        self, publisher: AmqpPublisher, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._publisher = publisher
        self._monotonic = monotonic
        self._silent_until = 0.0

    def open(self) -> None:
        """Nothing to do: the publisher connects when first used."""

    def show(self, live: LiveSite) -> None:
        """Publish the latest values of a site, unconfirmed."""
        self._send(LIVE_EXCHANGE, live.site, encode_live(live))

    def command(self, site: str, device: str, cmd: Cmd) -> None:
        """Publish a command where the device's MQTT subscription is bound."""
        key = Topic(site, device, Kind.CMD).routing_key
        self._send(DEVICE_EXCHANGE, key, msgspec.json.encode(cmd))

    def close(self) -> None:
        """Close the connection."""
        self._publisher.close()

    def _send(self, exchange: str, key: str, body: bytes) -> None:
        if self._monotonic() < self._silent_until:
            return
        try:
            self._publisher.send(exchange, key, body)
        except PublishFailed as error:
            self._silent_until = self._monotonic() + _SILENT_S
            log.debug("live values not shown", reason=str(error))
