"""How every connection of the processor to RabbitMQ is made (pika)."""

import pika
from pika.exceptions import AMQPError, ProbableAccessDeniedError, ProbableAuthenticationError

from bridge.broker import BrokerRefused, BrokerUnavailable

HEARTBEAT_S = 20
"""A connection whose other end is gone without a word is noticed within twice this time."""

_BLOCKED_S = 10
_PROBE_S = 5.0


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


def probe(url: str) -> str:
    """Connect once and leave; raises BrokerUnavailable or BrokerRefused."""
    parameters = connection_parameters(url, "steam doctor")
    where = f"RabbitMQ at {parameters.host}:{parameters.port}"
    parameters.connection_attempts = 1
    parameters.socket_timeout = parameters.stack_timeout = _PROBE_S
    try:
        pika.BlockingConnection(parameters).close()
    except (ProbableAuthenticationError, ProbableAccessDeniedError) as error:
        text = f"{where} refuses the account {parameters.credentials.username!r}: {error}"
        raise BrokerRefused(f"{text}; check user, password and virtual host") from None
    except (AMQPError, OSError) as error:
        reason = str(error) or type(error).__name__
        raise BrokerUnavailable(f"{where}: {reason}; is it up, is the address right?") from None
    return f"{where} takes the account {parameters.credentials.username!r}"
