"""Commands to devices and passwords without a gap, on what RabbitMQ, mosquitto and the broker inside do."""

import secrets
from contextlib import ExitStack

import msgspec
import pytest

from bridge.accounts import EMBEDDED, AccountFault, Service, embedded_access, service_account
from bridge.broker import BrokerRefused, BrokerUnavailable
from bridge.clock import utc_now
from bridge.device_commands import Commander, CommandRefused, DeviceFault, NoAnswer
from bridge.devices import Devices, NoRoutes
from bridge.inner_accounts import ACCESS_FILE, PASSWORDS_FILE, inner_accounts
from bridge.mosquitto.accounts import mosquitto_accounts
from bridge.rabbitmq.accounts import RabbitAccounts
from bridge.rabbitmq.device_line import RabbitLine
from bridge.rabbitmq.management import Management
from bridge.rabbitmq.topology import RabbitTopology
from bridge.topology import topology
from device.steamlink import codec
from steam.device_line import MqttLine
from steam.inner_broker import InnerBroker
from steam.links import MqttAddress
from steam.rotating import Rotation
from tests.conftest import go_without
from tests.contract.mqtt_client import MqttClient, wait_for
from tests.contract.scripted_device import ConfigOfDevice, LivingDevice, ScriptedDevice
from tests.servers.mosquitto import own_mosquitto
from tests.servers.ports import free_port
from tests.servers.process import ServerUnavailable
from tests.unit.bridge.plants import plant_of

PLANT = "sites: [{name: s}]\nboilers: [{name: b1, site: s}]\ndevices: [{name: %s, site: s, boiler: b1}]\n"
QUIET_S = 0.5


class Bench:
    """A broker with one registered device: its name, its password, its address, a line to it."""

    def __init__(self, folder):
        self.device = f"d-{secrets.token_hex(4)}"
        self.plant_file = folder / "plant.yaml"
        self.plant_file.write_text(PLANT % self.device)
        self.accounts = self.line = None
        self.address = ("127.0.0.1", 0)

    def user(self, name):
        """The name that a client gives."""
        return name

    def settle(self):
        """Make the broker know of the accounts as they are now."""

    def client(self, password, name=""):
        """The device, connected or refused."""
        name = name or self.device
        return MqttClient(
            *self.address, username=self.user(name), password=password, client_id=name
        )

    def opens(self, password):
        """Whether the broker lets the device in with a password."""
        with self.client(password) as client:
            return client.answer == "Success"

    def devices(self, accounts=None):
        """What `steam device` works with."""
        return Devices(self.plant_file, accounts or self.accounts, NoRoutes(), utc_now)

    def commander(self, wait_s=3):
        """What commands the device."""
        return Commander(self.device, self.line, utc_now, wait_s)


class RabbitBench(Bench):
    """A virtual host of a real RabbitMQ; the line has the permissions of steam-desk and no more."""

    def __init__(self, folder, broker, stack):
        super().__init__(folder)
        self.broker = broker
        self.address = (broker.mqtt_host, broker.mqtt_port)
        management = Management(
            broker.management_url,
            username=broker.username,
            password=broker.password,
            vhost=broker.vhost,
        )
        self.accounts = RabbitAccounts(management)
        RabbitTopology(broker.amqp_url, management).declare(topology(plant_of(self.device)))
        self.password = self.accounts.add("s", self.device)
        stack.callback(self.accounts.remove, self.device)
        desk = f"test-{secrets.token_hex(4)}"
        account = msgspec.structs.replace(service_account(Service.DESK), name=desk)
        url = broker.amqp_url.split("@")[1]
        self.desk_url = f"amqp://{desk}:{self.accounts.put(account)}@{url}"
        stack.callback(management.delete, "users", desk)
        self.line = RabbitLine(self.desk_url, "s", self.device)

    def user(self, name):
        return self.broker.mqtt_user(name)


class MosquittoBench(Bench):
    """A mosquitto as bridge/mosquitto makes its accounts."""

    def __init__(self, folder, stack):
        super().__init__(folder)
        passwords, acl, pid_file = folder / "passwords", folder / "acl", folder / "pid"
        self.accounts = mosquitto_accounts(passwords, acl, pid_file)
        own = self.accounts.put(embedded_access())
        self.password = self.accounts.add("s", self.device)
        conf = f"allow_anonymous false\npassword_file {passwords}\nacl_file {acl}\n"
        server = stack.enter_context(own_mosquitto(folder, conf=conf))
        pid_file.write_text(str(server.process.pid), encoding="ascii")
        self.address = (server.host, server.port)
        address = MqttAddress(host=server.host, port=server.port, username=EMBEDDED, password=own)
        self.line = MqttLine(address, "s", self.device)


class InnerBench(Bench):
    """The broker inside; it reads its accounts when it starts."""

    def __init__(self, folder, stack):
        super().__init__(folder)
        self.folder = folder
        self.accounts = inner_accounts(folder / PASSWORDS_FILE, folder / ACCESS_FILE)
        own = self.accounts.put(embedded_access())
        self.password = self.accounts.add("s", self.device)
        self.address = ("127.0.0.1", free_port())
        self.inner = self.start()
        stack.callback(lambda: self.inner.close())  # noqa: PLW0108 - whichever it is then
        address = MqttAddress(
            host="127.0.0.1", port=self.address[1], username=EMBEDDED, password=own
        )
        self.line = MqttLine(address, "s", self.device)

    def start(self):
        inner = InnerBroker(*self.address, self.folder)
        inner.open()
        return inner

    def settle(self):
        self.inner.close()
        self.inner = self.start()


@pytest.fixture(params=[pytest.param("rabbitmq", marks=pytest.mark.broker), "mosquitto", "inner"])
def bench(request, tmp_path):
    with ExitStack() as stack:
        if request.param == "rabbitmq":
            yield RabbitBench(tmp_path, request.getfixturevalue("rabbitmq_vhost"), stack)
        elif request.param == "mosquitto":
            try:
                yield MosquittoBench(tmp_path, stack)
            except ServerUnavailable as unavailable:
                go_without(str(unavailable))
        else:
            yield InnerBench(tmp_path, stack)


@pytest.fixture
def rabbit(tmp_path, rabbitmq_vhost):
    with ExitStack() as stack:
        yield RabbitBench(tmp_path, rabbitmq_vhost, stack)


@pytest.fixture
def connected(bench):
    """A function that connects the device, answering as given."""
    with ExitStack() as stack:

        def connect(answer):
            client = stack.enter_context(bench.client(bench.password))
            assert client.answer == "Success"
            return stack.enter_context(ScriptedDevice(client, "s", bench.device, answer))

        yield connect


def test_command_is_answered_by_its_device(bench, connected):
    """What the device did comes back, and the command carried its arguments and an end of life."""
    device = connected(lambda command: (None, {"told": command.args["x"]}))

    assert bench.commander().do("replay", {"x": 5}) == {"told": 5}
    (heard,) = device.heard
    left_ms = heard.expires_ms - utc_now().timestamp() * 1000
    assert 3_000 < left_ms < 10_000


def test_command_that_device_refuses_is_told_with_its_words(bench, connected):
    """The error of an ack is what a person reads."""
    connected(lambda _command: ("no such sensor", None))

    with pytest.raises(CommandRefused, match="refused identify: no such sensor"):
        bench.commander().do("identify")


def test_answers_to_others_and_nonsense_are_passed_over(bench, connected):
    """Only the ack with the command's own id ends the waiting."""

    def answer(command):
        device.say(b"\xff no ack")
        device.say(codec.encode_ack(id="another", ok=True, res={"no": 1}))
        return None, {"yes": 1}

    device = connected(answer)

    assert bench.commander().do("identify") == {"yes": 1}


def test_command_to_absent_device_ends_with_no_answer(bench):
    """Nobody there: the wait ends, and the text says what that may mean."""
    with pytest.raises(NoAnswer, match=r"did not answer within 0.5 s"):
        bench.commander(QUIET_S).do("identify")


def test_unknown_command_is_refused_before_it_is_sent(bench, connected):
    """A slip of the pen names the commands that there are."""
    device = connected(lambda _command: (None, None))

    with pytest.raises(CommandRefused, match="a device knows rebirth, time"):
        bench.commander().do("reboot")
    assert device.heard == []


@pytest.mark.broker
def test_command_at_broker_without_topology_is_refused(rabbitmq_vhost):
    """Where no queue takes it, it is not sent into nothing."""
    line = RabbitLine(rabbitmq_vhost.amqp_url, "s", "d1")

    with pytest.raises(BrokerRefused, match="steam topology declare"):
        Commander("d1", line, utc_now, QUIET_S).do("identify")


@pytest.mark.broker
def test_answer_reaches_the_recorders_too(rabbit):
    """The answer is copied for who asked, and taken from nobody."""
    with (
        rabbit.client(rabbit.password) as client,
        ScriptedDevice(client, "s", rabbit.device, lambda _command: (None, None)),
    ):
        rabbit.commander().do("identify")
    with rabbit.broker.connect() as connection:
        channel = connection.channel()
        keys = [channel.basic_get("steam.record", auto_ack=True)[0].routing_key for _ in range(2)]

    assert [key.rpartition(".")[2] for key in keys] == ["cmd", "ack"]


@pytest.mark.broker
def test_desk_account_hears_answers_and_no_readings(rabbit):
    """steam-desk may bind a queue of its own to acks only."""
    line = RabbitLine(rabbit.desk_url, "s", rabbit.device)
    line._key = lambda kind: f"steam.v1.s.{rabbit.device}.data"

    with pytest.raises(BrokerRefused, match=r"ACCESS_REFUSED|access to"):
        Commander(rabbit.device, line, utc_now, QUIET_S).do("identify")


def rotation(bench, **kwargs):
    told = []
    return Rotation(bench.devices(**kwargs), bench.commander(), told.append, sleep=lambda _s: None)


def test_rotation_gives_device_and_account_the_same_new_password(bench, connected):
    """Afterwards the account has it, the device holds it beside the old one, and nobody is shown it."""
    config = ConfigOfDevice(bench.password)
    connected(config.answer)

    change = rotation(bench).rotate()

    assert change.password is None
    assert config.next not in ("", bench.password)
    bench.settle()
    assert wait_for(lambda: bench.opens(config.next))
    assert not bench.opens(bench.password)


def restarts(bench):
    try:
        bench.commander().do("restart")
    except NoAnswer:
        return False
    return True


def test_device_goes_on_with_the_new_password(rabbit_or_mosquitto):
    """At its next connection the device keeps the new password alone; another rotation follows."""
    bench, config = rabbit_or_mosquitto, ConfigOfDevice(rabbit_or_mosquitto.password)
    seen = {bench.password}
    with LivingDevice(bench, config):
        for _ in range(3):
            rotation(bench).rotate()
            seen.add(config.next or config.password)
        assert wait_for(lambda: restarts(bench))  # mosquitto has just cut it off
        assert wait_for(lambda: config.next == "")

    assert len(seen) == 4
    assert bench.opens(config.password)


def test_rotation_of_absent_device_leaves_the_account(bench):
    """Nobody answers: nothing is changed, and `--show` is offered."""
    rotation = Rotation(bench.devices(), bench.commander(QUIET_S), print)

    with pytest.raises(DeviceFault, match=r"did not answer.*--show"):
        rotation.rotate()
    bench.settle()
    assert bench.opens(bench.password)


class Broken:
    """Accounts whose broker goes away before, or after, it has changed the password."""

    def __init__(self, accounts, *, after):
        self._accounts = accounts
        self._after = after
        self.next_step = ""

    def listed(self):
        return self._accounts.listed()

    def settle(self):
        return self._accounts.settle()

    def rotate(self, site, device, password=None):
        if self._after:
            self._accounts.rotate(site, device, password)
        raise BrokerUnavailable("away")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("again", [False, True])
def test_rotation_whose_broker_goes_away_leaves_a_way_in(rabbit_or_mosquitto, after, again):
    """Whether the account was changed or not, the device connects, also after a second such try.

    The second finds a password that was not used yet: it restarts the device, which settles
    which of the two the account has, before it replaces the other.
    """
    bench = rabbit_or_mosquitto
    config = ConfigOfDevice(bench.password)
    with LivingDevice(bench, config):
        with pytest.raises(DeviceFault, match="connects with either"):
            rotation(bench, accounts=Broken(bench.accounts, after=after)).rotate()
        if again:
            with pytest.raises(DeviceFault, match="connects with either"):
                rotation(bench, accounts=Broken(bench.accounts, after=False)).rotate()

    assert bench.opens(config.password) or bench.opens(config.next)


def test_second_rotation_before_the_broker_has_read_the_first_is_refused(tmp_path):
    """The broker inside takes the old password until it starts again; the new one stays safe.

    Replacing it would leave nothing that opens, if the last step then failed.
    """
    with ExitStack() as stack:
        bench = InnerBench(tmp_path, stack)
        config = ConfigOfDevice(bench.password)
        with LivingDevice(bench, config):
            assert "steam run" in rotation(bench).rotate().next_step
            first = config.next
            with pytest.raises(AccountFault, match=r"nothing was changed\. First: start"):
                rotation(bench).rotate()
            assert config.next == first

        bench.settle()
        with LivingDevice(bench, config):
            assert wait_for(lambda: config.password == first)
            assert "steam run" in rotation(bench).rotate().next_step
        bench.settle()
        assert bench.opens(config.next)


def test_rotation_after_one_whose_account_stayed_goes_on_once_the_broker_has_read(tmp_path):
    """The device waits on a password that no account has; a broker up to date tells so."""
    with ExitStack() as stack:
        bench = InnerBench(tmp_path, stack)
        config = ConfigOfDevice(bench.password)
        with LivingDevice(bench, config):
            with pytest.raises(DeviceFault, match="connects with either"):
                rotation(bench, accounts=Broken(bench.accounts, after=False)).rotate()
            rotation(bench).rotate()

        bench.settle()
        assert bench.opens(config.next)


@pytest.fixture(params=[pytest.param("rabbitmq", marks=pytest.mark.broker), "mosquitto"])
def rabbit_or_mosquitto(request, tmp_path):
    with ExitStack() as stack:
        if request.param == "rabbitmq":
            yield RabbitBench(tmp_path, request.getfixturevalue("rabbitmq_vhost"), stack)
        else:
            try:
                yield MosquittoBench(tmp_path, stack)
            except ServerUnavailable as unavailable:
                go_without(str(unavailable))


@pytest.mark.parametrize("refusing", ["get_config", "patch_config"])
def test_rotation_that_device_refuses_leaves_the_account(bench, connected, refusing):
    """A device that does not take the password keeps the one that it has."""
    config = ConfigOfDevice(bench.password)
    config.refusing.add(refusing)
    connected(config.answer)

    with pytest.raises(DeviceFault, match=r"as the test wants it.*the account keeps its password"):
        rotation(bench).rotate()
    bench.settle()
    assert bench.opens(bench.password)


@pytest.mark.broker
def test_command_that_a_full_queue_refuses_is_told(rabbit):
    """A nack that stays is the broker's: some queue takes no more."""
    with rabbit.broker.connect() as connection:
        channel = connection.channel()
        full = {"x-max-length": 0, "x-overflow": "reject-publish"}
        channel.queue_declare("full", exclusive=True, arguments=full)
        channel.queue_bind("full", "amq.topic", "#")

        with pytest.raises(BrokerRefused, match="a queue is full"):
            rabbit.commander(QUIET_S).do("identify")
