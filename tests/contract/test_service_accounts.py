"""The accounts of Steam's own programs on a real RabbitMQ: each can do its work and no more."""

import secrets
from contextlib import ExitStack
from urllib.parse import urlsplit, urlunsplit

import msgspec
import pika
import pytest
from pika.exceptions import ChannelClosedByBroker

from bridge.accounts import AccountFault, Service, service_account
from bridge.broker import BrokerRefused
from bridge.rabbitmq.accounts import RabbitAccounts
from bridge.rabbitmq.management import Management
from bridge.rabbitmq.topology import RabbitTopology
from bridge.topology import QueueName, topology
from tests.contract.mqtt_client import MqttClient
from tests.unit.bridge.plants import plant_of

pytestmark = pytest.mark.broker

WANTED = topology(plant_of("d1"))


class Bench:
    """A declared topology, and accounts with the rights of services under names of their own."""

    def __init__(self, broker, stack):
        self.broker = broker
        self.stack = stack
        self.admin = self.management(broker.username, broker.password)
        self.accounts = RabbitAccounts(self.admin)
        RabbitTopology(broker.amqp_url, self.admin).declare(WANTED)

    def management(self, username, password):
        """The management API as an account."""
        return Management(
            self.broker.management_url,
            username=username,
            password=password,
            vhost=self.broker.vhost,
        )

    def account(self, service):
        """An account with the rights of a service; accounts are the whole broker's."""
        name = f"test-{secrets.token_hex(4)}"
        password = self.accounts.put(msgspec.structs.replace(service_account(service), name=name))
        self.stack.callback(self.admin.delete, "users", name)
        return name, password

    def amqp_url(self, service):
        """The broker's address with a service's account in it."""
        name, password = self.account(service)
        parts = urlsplit(self.broker.amqp_url)
        host = f"{name}:{password}@{parts.hostname}:{parts.port}"
        return urlunsplit(parts._replace(netloc=host))

    def connect(self, service):
        """A connection as a service."""
        connection = pika.BlockingConnection(pika.URLParameters(self.amqp_url(service)))
        self.stack.callback(lambda: connection.is_open and connection.close())
        return connection


@pytest.fixture
def bench(rabbitmq_vhost):
    with ExitStack() as stack:
        yield Bench(rabbitmq_vhost, stack)


def allowed(connection, act):
    """Whether the broker lets `act` happen on a channel of its own."""
    channel = connection.channel()
    channel.confirm_delivery()
    try:
        act(channel)
        channel.close()
    except ChannelClosedByBroker as error:
        if error.reply_code != 403:
            raise
        return False
    return True


def readable(connection):
    """The queues from which an account may consume."""
    return {
        queue.value
        for queue in QueueName
        if allowed(connection, lambda channel, queue=queue: consume(channel, queue.value))
    }


def consume(channel, queue):
    """Consume for a moment."""
    channel.basic_cancel(channel.basic_consume(queue, lambda *_: None))


def test_processor_reads_its_queues_and_sends_commands_and_results(bench):
    """The processor consumes, publishes by queue name and to devices' commands, nothing else."""
    connection = bench.connect(Service.PROCESSOR)

    def publish(exchange, key):
        return allowed(connection, lambda channel: channel.basic_publish(exchange, key, b"{}"))

    assert readable(connection) == set(QueueName) - {"steam.alarms"}
    assert publish("", "steam.quarantine")
    assert publish("steam.live", "s")
    assert publish("amq.topic", "steam.v1.s.d1.cmd")
    assert not publish("amq.topic", "steam.v1.s.d1.data")
    assert not allowed(connection, lambda channel: channel.queue_delete("steam.record"))
    assert not allowed(connection, lambda channel: channel.queue_declare("mine"))


def test_notifier_reads_alarms_alone(bench):
    """The notifier consumes steam.alarms and publishes nowhere."""
    connection = bench.connect(Service.NOTIFIER)

    assert readable(connection) == {"steam.alarms"}
    assert not allowed(connection, lambda channel: channel.basic_publish("", "steam.record", b""))


def test_panel_listens_to_live_values_and_sends_commands(bench):
    """A dashboard has a queue of its own on steam.live, and may ask the evaluator for something."""
    connection = bench.connect(Service.PANEL)

    def listen(channel, exchange):
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, exchange, "#")
        channel.basic_get(queue)

    assert readable(connection) == set()
    assert allowed(connection, lambda channel: listen(channel, "steam.live"))
    assert not allowed(connection, lambda channel: listen(channel, "amq.topic"))
    assert allowed(connection, lambda channel: channel.basic_publish("steam.commands", "x", b"{}"))
    assert not allowed(connection, lambda channel: channel.basic_publish("", "steam.record", b""))


def test_gateway_speaks_for_devices(bench):
    """A gateway publishes as a device, under its client id, and hears its commands."""
    name, password = bench.account(Service.GATEWAY)
    address = (bench.broker.mqtt_host, bench.broker.mqtt_port)
    login = {"username": bench.broker.mqtt_user(name), "password": password, "client_id": "d1"}

    with MqttClient(*address, **login, will_topic="steam/v1/s/d1/state") as client:
        assert client.publish("steam/v1/s/d1/data")
        assert client.subscribe("steam/v1/s/d1/cmd")
        assert not client.publish("steam/v1/s/d1/cmd")
    with MqttClient(*address, **login) as client:
        assert not client.subscribe("steam/v1/s/d1/data")


def test_topology_account_declares_and_audits_but_publishes_nothing(bench):
    """The account for the broker's set-up makes and repairs all of it, and makes no users."""
    name, password = bench.account(Service.TOPOLOGY)
    management = bench.management(name, password)
    parts = urlsplit(bench.broker.amqp_url)
    netloc = f"{name}:{password}@{parts.hostname}:{parts.port}"
    url = urlunsplit(parts._replace(netloc=netloc))
    rabbit = RabbitTopology(url, management)
    bench.admin.delete("policies", bench.broker.vhost, "steam.alternate-exchange")
    bench.admin.delete("queues", bench.broker.vhost, "steam.record")

    findings = rabbit.audit(WANTED)

    assert len(findings) == 3
    assert all(finding.repaired for finding in findings)
    rabbit.declare(WANTED)
    with pytest.raises(BrokerRefused, match="401"):
        RabbitAccounts(management).add("s", "d7")
    connection = pika.BlockingConnection(pika.URLParameters(url))
    key = "steam.v1.s.d1.data"
    assert not allowed(connection, lambda channel: channel.basic_publish("amq.topic", key, b"{}"))
    connection.close()


def test_accounts_account_makes_devices_and_touches_no_message(bench):
    """The account that makes devices' accounts is an administrator that can neither read nor write."""
    name, password = bench.account(Service.ACCOUNTS)
    accounts = RabbitAccounts(bench.management(name, password))
    device = f"d-{secrets.token_hex(4)}"

    accounts.add("s", device)

    assert device in {account.device for account in accounts.listed()}
    accounts.remove(device)
    with pytest.raises(AccountFault, match="left alone"):
        accounts.remove(name)
    assert readable(bench.connect(Service.ACCOUNTS)) == set()
