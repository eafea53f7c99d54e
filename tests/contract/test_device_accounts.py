"""The port of device accounts: what RabbitMQ, mosquitto and the broker in the process enforce."""

import asyncio
import logging
import secrets
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

import bridge.mosquitto
from bridge.accounts import EMBEDDED, AccountFault, DeviceAccount, embedded_access
from bridge.inner_accounts import inner_accounts, inner_plugins
from bridge.mosquitto.accounts import mosquitto_accounts
from bridge.rabbitmq.accounts import RabbitAccounts
from bridge.rabbitmq.management import Management
from bridge.rabbitmq.topology import RabbitTopology
from bridge.topics import telemetry_filter
from bridge.topology import topology
from tests.conftest import go_without
from tests.contract.mqtt_client import MqttClient, wait_for
from tests.servers.mosquitto import own_mosquitto
from tests.servers.ports import free_port
from tests.servers.process import ServerUnavailable
from tests.unit.bridge.plants import plant_of

SHIPPED = Path(bridge.mosquitto.__file__).with_name("mosquitto.conf")
ALL_KINDS = ("birth", "state", "data", "hist", "event", "diag", "ack")


class Bench:
    """A broker with accounts; `settle` makes it know of them, `arrived` is what a processor got."""

    closes_removed = True

    def __init__(self):
        token = secrets.token_hex(4)
        self.d1, self.d2 = f"d1-{token}", f"d2-{token}"
        self.address = ("127.0.0.1", 0)

    def settle(self):
        """Make the broker know of the accounts as they are now."""

    def user(self, name):
        """The name that a client gives."""
        return name

    def client(self, name, password, **kwargs):
        """A client with an account, whose client id is its name."""
        username = self.user(name)
        return MqttClient(
            *self.address,
            **{"username": username, "password": password, "client_id": name} | kwargs,
        )

    def answer(self, name, password):
        """What the broker says to an account."""
        with self.client(name, password) as client:
            return client.answer


class RabbitBench(Bench):
    """An empty virtual host of a real RabbitMQ with the topology of two devices."""

    def __init__(self, broker, stack):
        super().__init__()
        self.broker = broker
        self.address = (broker.mqtt_host, broker.mqtt_port)
        management = Management(
            broker.management_url,
            username=broker.username,
            password=broker.password,
            vhost=broker.vhost,
        )
        self.accounts = RabbitAccounts(management)
        self.not_a_device = broker.username
        self.got = []
        RabbitTopology(broker.amqp_url, management).declare(topology(plant_of(self.d1, self.d2)))
        # Accounts are the whole broker's: they would outlive the virtual host.
        stack.callback(self.remove_accounts)

    def remove_accounts(self):
        """Leave no account behind."""
        for account in self.accounts.listed():
            self.accounts.remove(account.device)

    def user(self, name):
        """The name with the virtual host."""
        return self.broker.mqtt_user(name)

    def arrived(self):
        """Everything that was kept, for known devices and for unknown ones."""
        with self.broker.connect() as connection:
            channel = connection.channel()
            for queue in ("steam.record", "steam.unrouted"):
                while (method := channel.basic_get(queue, auto_ack=True)[0]) is not None:
                    self.got.append(method.routing_key.replace(".", "/"))
        return self.got


class MqttOnlyBench(Bench):
    """A broker that knows MQTT only: a processor's account listens to everything."""

    def __init__(self, accounts, stack):
        super().__init__()
        self.stack = stack
        self.accounts = accounts
        self.not_a_device = EMBEDDED
        self.password = accounts.put(embedded_access())
        self.processor = None

    def listen(self):
        """Subscribe as the processor does."""
        self.processor = self.client(EMBEDDED, self.password)
        assert self.processor.subscribe(telemetry_filter())
        self.stack.callback(self.processor.close)

    def arrived(self):
        """The topics that reached the processor."""
        return self.processor.topics


class MosquittoBench(MqttOnlyBench):
    """A mosquitto with the configuration that we ship."""

    def __init__(self, folder, stack):
        pid_file = folder / "pid"
        passwords, acl = folder / "passwords", folder / "acl"
        super().__init__(mosquitto_accounts(passwords, acl, pid_file), stack)
        conf = SHIPPED.read_text(encoding="utf-8")
        conf = conf.replace("/etc/mosquitto/steam.passwords", str(passwords))
        conf = conf.replace("/etc/mosquitto/steam.acl", str(acl))
        server = stack.enter_context(own_mosquitto(folder, conf=conf))
        pid_file.write_text(str(server.process.pid), encoding="ascii")
        self.address = (server.host, server.port)
        self.listen()


class InnerBench(MqttOnlyBench):
    """amqtt in a thread; it reads its accounts when it starts."""

    closes_removed = False

    def __init__(self, folder, stack):
        self.files = (folder / "passwords", folder / "acl")
        super().__init__(inner_accounts(*self.files), stack)
        self.address = ("127.0.0.1", free_port())
        self.stop = self.loop = self.ended = None
        stack.callback(lambda: self.stop and self.stop())

    def settle(self):
        """Start it again."""
        if self.stop is not None:
            self.stop()
        started = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self.serve(started)), daemon=True)
        thread.start()
        assert started.wait(10)
        loop, ended = self.loop, self.ended

        def stop():
            self.stop = None
            self.processor.close()
            loop.call_soon_threadsafe(ended.set)
            thread.join(10)

        self.stop = stop
        self.listen()

    async def serve(self, started):
        """Run until told to end."""
        from amqtt.broker import Broker

        logging.getLogger("amqtt").setLevel(logging.CRITICAL)
        host, port = self.address
        broker = Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": f"{host}:{port}"}},
                "plugins": inner_plugins(*self.files),
                "timeout_disconnect_delay": 1,
            }
        )
        await broker.start()
        self.loop, self.ended = asyncio.get_running_loop(), asyncio.Event()
        started.set()
        await self.ended.wait()
        await broker.shutdown()


@pytest.fixture(params=[pytest.param("rabbitmq", marks=pytest.mark.broker), "mosquitto", "inner"])
def bench(request, tmp_path):
    with ExitStack() as stack:
        if request.param == "rabbitmq":
            yield RabbitBench(request.getfixturevalue("rabbitmq_vhost"), stack)
        elif request.param == "mosquitto":
            try:
                yield MosquittoBench(tmp_path, stack)
            except ServerUnavailable as unavailable:
                go_without(str(unavailable))
        else:
            yield InnerBench(tmp_path, stack)


@pytest.fixture
def two(bench):
    """The passwords of two devices of which the broker knows."""
    passwords = [bench.accounts.add("s", device) for device in (bench.d1, bench.d2)]
    bench.settle()
    return passwords


def test_account_opens_with_its_password_alone(bench, two):
    """The password that `add` returned lets the device in; another's and none do not."""
    assert bench.answer(bench.d1, two[0]) == "Success"
    assert bench.answer(bench.d1, two[1]) != "Success"
    assert bench.answer(bench.d1, "") != "Success"
    assert bench.answer("nobody", two[0]) != "Success"


def test_accounts_are_listed_with_their_sites(bench, two):
    """What was added is listed; the accounts of programs are not."""
    assert bench.accounts.listed() == [
        DeviceAccount("s", bench.d1),
        DeviceAccount("s", bench.d2),
    ]


def test_account_that_exists_is_not_made_again(bench, two):
    """A second `add` is refused and leaves the password as it is."""
    with pytest.raises(AccountFault, match="steam device rotate"):
        bench.accounts.add("s", bench.d1)
    bench.settle()

    assert bench.answer(bench.d1, two[0]) == "Success"


def test_rotated_password_replaces_the_old_one(bench, two):
    """After `rotate` only the new password opens."""
    new = bench.accounts.rotate("s", bench.d1)
    bench.settle()

    assert wait_for(lambda: bench.answer(bench.d1, new) == "Success")
    assert bench.answer(bench.d1, two[0]) != "Success"


def test_rotate_of_absent_account_is_refused(bench, two):
    """There is nothing to change the password of."""
    with pytest.raises(AccountFault, match="no account of a device"):
        bench.accounts.rotate("s", "d9")


def test_removed_account_is_shut_out_at_once(bench, two):
    """After `remove` the device is cut off and not let in again; removing again is fine."""
    with bench.client(bench.d1, two[0]) as client:
        bench.accounts.remove(bench.d1)
        bench.accounts.remove(bench.d1)

        assert not bench.closes_removed or wait_for(lambda: client.closed)
    bench.settle()
    assert bench.answer(bench.d1, two[0]) != "Success"
    assert bench.accounts.listed() == [DeviceAccount("s", bench.d2)]


def test_account_that_is_no_device_is_not_removed(bench, two):
    """An administrator or a program is never removed as a device."""
    with pytest.raises(AccountFault, match="left alone"):
        bench.accounts.remove(bench.not_a_device)


def test_device_sends_each_of_its_kinds(bench, two):
    """Whatever a device has to say of itself reaches the processor."""
    topics = {f"steam/v1/s/{bench.d1}/{kind}" for kind in ALL_KINDS}
    with bench.client(bench.d1, two[0]) as client:
        for topic in topics:
            assert client.publish(topic)

    assert wait_for(lambda: topics == set(bench.arrived()))


def test_device_cannot_send_as_another(bench, two):
    """What a device publishes outside its own topics reaches nobody."""
    foreign = [f"steam/v1/s/{bench.d2}/data", f"steam/v1/t/{bench.d1}/data", "steam/commands"]
    foreign += [f"steam/v1/s/{bench.d1}/cmd", f"steam/v1/s/{bench.d1}/data/x"]
    for topic in foreign:
        with bench.client(bench.d1, two[0]) as client:
            client.publish(topic)
    own = f"steam/v1/s/{bench.d1}/data"
    with bench.client(bench.d1, two[0]) as client:
        client.publish(own)

    assert wait_for(lambda: own in bench.arrived())
    assert bench.arrived() == [own]


def test_device_hears_its_own_commands_and_nothing_else(bench, two):
    """A device gets what is sent to it, and no telemetry, not even its own."""
    own = f"steam/v1/s/{bench.d1}/cmd"
    with bench.client(bench.d1, two[0]) as listener:
        assert listener.subscribe(own)
    for topic_filter in ("#", "steam/#", "steam/v1/+/+/+", f"steam/v1/s/{bench.d2}/+"):
        with (
            bench.client(bench.d1, two[0]) as listener,
            bench.client(bench.d2, two[1]) as sender,
        ):
            listener.subscribe(topic_filter)
            sent = f"steam/v1/s/{bench.d2}/data"
            assert sender.publish(sent)

            assert wait_for(lambda sent=sent: sent in bench.arrived())
            assert listener.messages == []


def test_will_of_device_is_sent_when_it_breaks_off(bench, two):
    """The broker tells of a device that is gone without leaving."""
    topic = f"steam/v1/s/{bench.d1}/state"

    bench.client(bench.d1, two[0], will_topic=topic).break_off()

    assert wait_for(lambda: topic in bench.arrived())


def test_will_for_another_device_is_not_sent(bench, two):
    """A device cannot say that another is gone: the broker refuses it, or its will."""
    foreign, own = f"steam/v1/s/{bench.d2}/state", f"steam/v1/s/{bench.d1}/state"

    forger = bench.client(bench.d1, two[0], will_topic=foreign)
    if forger.answer == "Success":
        forger.break_off()
    bench.client(bench.d1, two[0], will_topic=own).break_off()

    assert wait_for(lambda: own in bench.arrived())
    assert foreign not in bench.arrived()
