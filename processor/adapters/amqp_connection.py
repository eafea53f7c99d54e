"""How every connection of the processor to RabbitMQ is made (pika)."""

import pika

HEARTBEAT_S = 20
"""A connection whose other end is gone without a word is noticed within twice this time."""

_BLOCKED_S = 10


def connection_parameters(url: str, name: str) -> pika.URLParameters:
    """The parameters of a connection that RabbitMQ lists under `name`.

    The heartbeat is that of the URL where it names one (`?heartbeat=60`).
    """
    parameters = pika.URLParameters(url)
    parameters.client_properties = {"connection_name": name}
    if parameters.heartbeat is None:
        parameters.heartbeat = HEARTBEAT_S
    if parameters.blocked_connection_timeout is None:
        parameters.blocked_connection_timeout = _BLOCKED_S
    return parameters
