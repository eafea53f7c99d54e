"""Alarm events that wait in RabbitMQ for a recorder, as an evaluator looks at them on taking over."""

import time

import msgspec
import pika
from pika.exceptions import AMQPError

from bridge.records import AlarmEvent
from processor.adapters.amqp_connection import connection_parameters
from processor.results import PublishFailed

RESULTS_QUEUE = "steam.results"
_PAUSE_S = 0.3
_HANDED_BACK_S = _STORED_S = 0.4
_MOST = 20_000
_EVENTS = msgspec.json.Decoder(list[AlarmEvent])


def pending_events(url: str) -> list[AlarmEvent]:
    """What is in steam.results, at most 20,000 messages; closing gives all of it back.

    Recorders go on consuming beside this. What a recorder that has just died had in hand is
    given back within the first pause, and what living ones have in hand is stored within the
    second. What they hold for longer, because the store takes nothing, cannot be seen here: an
    evaluator goes on looking for it in the store (see Recall).
    """
    time.sleep(_HANDED_BACK_S)
    events = _looked_at(url)
    time.sleep(_STORED_S)
    return events


def _looked_at(url: str) -> list[AlarmEvent]:
    events: list[AlarmEvent] = []
    try:
        with pika.BlockingConnection(connection_parameters(url, "steam take-over")) as connection:
            channel = connection.channel()
            left = channel.queue_declare(RESULTS_QUEUE, passive=True).method.message_count
            left = min(left, _MOST)
            if not left:
                return events
            channel.basic_qos(prefetch_count=left)
            for method, _, body in channel.consume(RESULTS_QUEUE, inactivity_timeout=_PAUSE_S):
                if method is None:
                    break
                events += _decoded(body)
                left -= 1
                if not left:
                    break
    except (AMQPError, OSError) as error:
        words = str(error) or repr(error)
        raise PublishFailed(f"{RESULTS_QUEUE} cannot be looked at: {words}") from None
    return events


def _decoded(body: bytes) -> list[AlarmEvent]:
    try:
        return _EVENTS.decode(body)
    except Exception:  # noqa: BLE001 - whatever it is, it is no news of an alarm
        return []  # The recorder quarantines it, with the reason.
