"""RabbitMQ as the settings name it."""

from bridge.rabbitmq.management import Management
from bridge.rabbitmq.topology import RabbitTopology
from steam.settings import Settings


def management_of(settings: Settings) -> Management:
    """The management API; raises MissingSecret."""
    where = settings.management
    password = where.password.read("management.password")
    return Management(
        where.url, username=where.username, password=password, vhost=where.virtual_host
    )


def topology_of(settings: Settings) -> RabbitTopology:
    """What declares and audits the topology; raises MissingSecret."""
    return RabbitTopology(settings.amqp.url.read("amqp.url"), management_of(settings))
