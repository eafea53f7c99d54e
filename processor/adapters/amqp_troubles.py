"""Troubles of Steam itself on their way to the evaluator through RabbitMQ."""

import msgspec
from pika.spec import BasicProperties

from processor.adapters.amqp_publisher import TRANSIENT, AmqpPublisher
from processor.adapters.amqp_results import EVALUATE_QUEUE
from processor.troubles import Trouble

TROUBLES_TYPE = "troubles"


class AmqpTroubles:
    """Publishes troubles to the evaluators' queue; implements TroublesOut.

    Connects for each: there is seldom anything to tell.
    """

    def __init__(self, publisher: AmqpPublisher) -> None:
        self._publisher = publisher

    def tell(self, troubles: list[Trouble]) -> None:
        """One message with all of them, confirmed; raises PublishFailed."""
        properties = BasicProperties(delivery_mode=TRANSIENT, type=TROUBLES_TYPE)
        try:
            self._publisher.publish("", EVALUATE_QUEUE, msgspec.json.encode(troubles), properties)
        finally:
            self._publisher.close()
