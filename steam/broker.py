"""RabbitMQ as the settings name it."""

from pika import URLParameters

from bridge.rabbitmq.management import Management
from bridge.rabbitmq.topology import RabbitTopology
from steam.settings import MissingSecret, Secret, Settings


def amqp_url(settings: Settings) -> str:
    """The address for the program that runs; raises MissingSecret where there is no good one."""
    return _address("amqp.url", settings.amqp.url)


def desk_url(settings: Settings) -> str:
    """The address for the quarantine's desk; raises MissingSecret."""
    own = settings.amqp.desk_url
    return _address("amqp.desk_url", own) if own.given else amqp_url(settings)


def management_of(settings: Settings) -> Management:
    """The management API for the topology; raises MissingSecret."""
    where = settings.management
    return _management(settings, where.username, where.password.read("management.password"))


def accounts_management_of(settings: Settings) -> Management:
    """The management API for devices' accounts; raises MissingSecret."""
    where = settings.management
    if not where.accounts_password.given:
        return management_of(settings)
    password = where.accounts_password.read("management.accounts_password")
    return _management(settings, where.accounts_username, password)


def topology_of(settings: Settings) -> RabbitTopology:
    """What declares and audits the topology; raises MissingSecret."""
    own = settings.amqp.topology_url
    url = _address("amqp.topology_url", own) if own.given else amqp_url(settings)
    return RabbitTopology(url, management_of(settings))


def _management(settings: Settings, username: str, password: str) -> Management:
    where = settings.management
    return Management(where.url, username=username, password=password, vhost=where.virtual_host)


def _address(what: str, secret: Secret) -> str:
    url = secret.read(what)
    if not _is_address(url):
        # Not the cause: its words would quote a part of the password.
        text = (
            f"{what}: not of the form amqp://user:password@host:5672/virtualhost; a / : @ or % in "
            "the password is written %2F %3A %40 %25"
        )
        raise MissingSecret(text)
    return url


def _is_address(url: str) -> bool:
    try:
        URLParameters(url)
    except (ValueError, TypeError, AttributeError):
        return False
    return url.startswith(("amqp://", "amqps://"))
