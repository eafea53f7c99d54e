"""The mosquitto.conf that we ship, in a real mosquitto: nothing waits in vain, nobody takes over."""

import grp
import os
import pwd
import re
import socket
import tempfile
from pathlib import Path

import pytest

import bridge.mosquitto
from bridge.accounts import EMBEDDED, embedded_access
from bridge.mosquitto.accounts import mosquitto_accounts
from bridge.topics import telemetry_filter
from tests.conftest import go_without
from tests.contract.mqtt_client import MqttClient, wait_for
from tests.servers.mosquitto import own_mosquitto
from tests.servers.ports import free_port
from tests.servers.process import ServerProcess, ServerUnavailable, child_env

SHIPPED = Path(bridge.mosquitto.__file__).with_name("mosquitto.conf")
COUNT = 1_500
"""More than the 1,000 that mosquitto keeps by default."""


DEBIANS = """\
pid_file {folder}/kept/mosquitto.pid
persistence true
persistence_location {folder}/kept/
log_dest stderr
include_dir {folder}/conf.d
"""
"""What Debian's mosquitto.conf says, with other folders."""


def is_open(port):
    """Whether something listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class Mosquitto:
    """The shipped configuration with its two listeners on free ports."""

    def __init__(self, folder):
        passwords, acl = folder / "steam.passwords", folder / "steam.acl"
        accounts = mosquitto_accounts(passwords, acl)
        self.processor_password = accounts.put(embedded_access())
        self.device_password = accounts.add("s", "d1")
        conf = SHIPPED.read_text(encoding="utf-8").replace("/etc/mosquitto/", f"{folder}/")
        self.server = own_mosquitto(folder, conf=conf)
        self.devices_port, self.services_port = self.server.ports

    def device(self, **kwargs):
        """A client on the devices' listener."""
        login = {"username": "d1", "password": self.device_password}
        return MqttClient("127.0.0.1", self.devices_port, **login | kwargs)

    def processor(self, client_id="processor-record", *, acknowledges=True):
        """A processor's lasting session on the services' listener."""
        return MqttClient(
            "127.0.0.1",
            self.services_port,
            username=EMBEDDED,
            password=self.processor_password,
            client_id=client_id,
            clean_session=False,
            manual_ack=not acknowledges,
        )


@pytest.fixture
def mosquitto(tmp_path):
    try:
        mosquitto = Mosquitto(tmp_path)
    except ServerUnavailable as unavailable:
        go_without(str(unavailable))
    with mosquitto.server:
        yield mosquitto


def publish(mosquitto, count=COUNT):
    """Have a device publish; every message is acknowledged."""
    bodies = [b"%d" % number for number in range(count)]
    with mosquitto.device() as device:
        assert device.publish_all("steam/v1/s/d1/data", bodies) == count
    return set(bodies)


def test_lasting_session_gets_what_came_while_it_was_absent(mosquitto):
    """All that was published while the processor was away is there when it comes back."""
    with mosquitto.processor() as processor:
        assert processor.subscribe(telemetry_filter())

    published = publish(mosquitto)

    with mosquitto.processor() as processor:
        assert wait_for(lambda: {m.payload for m in processor.messages} == published)


def test_lasting_session_gets_again_what_it_did_not_acknowledge(mosquitto):
    """What was delivered and not acknowledged comes again, marked as a duplicate."""
    with mosquitto.processor(acknowledges=False) as processor:
        assert processor.subscribe(telemetry_filter())
        published = publish(mosquitto)
        # As many as `max_inflight_messages`; the rest follows acknowledgements.
        assert wait_for(lambda: len(processor.messages) == 1_000)
        delivered = {message.payload for message in processor.messages}
        processor.break_off()

    with mosquitto.processor() as processor:
        assert wait_for(lambda: {m.payload for m in processor.messages} == published)
        assert {m.payload for m in processor.messages if m.dup} == delivered


def test_restart_keeps_what_waits(mosquitto):
    """A mosquitto that is stopped and started still has what nobody has taken."""
    with mosquitto.processor() as processor:
        assert processor.subscribe(telemetry_filter())
    published = publish(mosquitto)

    mosquitto.server.stop()
    mosquitto.server.start()

    with mosquitto.processor() as processor:
        assert wait_for(lambda: {m.payload for m in processor.messages} >= published)


def test_device_cannot_take_over_the_processor_session(mosquitto):
    """A device that gives the processor's client id gets its own: the session and its messages stay."""
    with mosquitto.processor() as processor:
        assert processor.subscribe(telemetry_filter())

        with mosquitto.device(client_id="processor-record") as device:
            assert device.answer == "Success"
            assert device.publish("steam/v1/s/d1/data")

        assert wait_for(lambda: processor.topics == ["steam/v1/s/d1/data"])
        assert not processor.closed


def test_programs_of_one_account_keep_their_own_sessions(mosquitto):
    """On the services' listener a client id is what the client says: two sessions stay apart."""
    with mosquitto.processor("one") as one, mosquitto.processor("two") as two:
        for each in (one, two):
            assert each.subscribe(telemetry_filter())

        publish(mosquitto, 1)

        assert wait_for(lambda: len(one.messages) == len(two.messages) == 1)


def test_anonymous_clients_are_refused(mosquitto):
    """Without an account nobody comes in, on either listener."""
    for port in (mosquitto.devices_port, mosquitto.services_port):
        with MqttClient("127.0.0.1", port, username="", password="", client_id="x") as client:
            assert client.answer == "Not authorized"


def test_oversize_message_reaches_the_processor(mosquitto):
    """A message over Steam's limit is not swallowed by the broker: it goes on to quarantine."""
    with mosquitto.processor() as processor, mosquitto.device() as device:
        assert processor.subscribe(telemetry_filter())
        assert device.publish("steam/v1/s/d1/data", b"x" * 70_000)

        assert wait_for(lambda: [len(m.payload) for m in processor.messages] == [70_000])


def test_huge_packet_closes_the_connection(mosquitto):
    """A packet beyond a MiB is not acknowledged: the sender sees that it did not go through."""
    with mosquitto.device() as device:
        assert not device.publish("steam/v1/s/d1/data", b"x" * 1_100_000)
        assert device.closed


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can let mosquitto become another user")
def test_shipped_file_beside_debians_own_serves_the_accounts_that_root_wrote():
    """As Debian starts it: its own mosquitto.conf, ours in conf.d, and the user mosquitto."""
    try:
        program = own_mosquitto(Path()).process.args[0]
        group = grp.getgrnam("mosquitto").gr_gid
    except (ServerUnavailable, KeyError) as lacking:
        go_without(str(lacking))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "conf.d").mkdir()
        (folder / "kept").mkdir()
        os.chown(folder / "kept", pwd.getpwnam("mosquitto").pw_uid, group)
        accounts = mosquitto_accounts(folder / "steam.passwords", folder / "steam.acl")
        accounts.put(embedded_access())
        password = accounts.add("s", "d1")
        devices, services = free_port(), free_port()
        shipped = SHIPPED.read_text(encoding="utf-8").replace("/etc/mosquitto/", f"{folder}/")
        shipped = shipped.replace("listener 1883", f"listener {devices} 127.0.0.1")
        shipped = shipped.replace("listener 1884", f"listener {services}")
        (folder / "conf.d" / "steam.conf").write_text(shipped, encoding="utf-8")
        (folder / "mosquitto.conf").write_text(DEBIANS.format(folder=folder), encoding="utf-8")
        process = ServerProcess(
            "mosquitto",
            [program, "-c", str(folder / "mosquitto.conf")],
            folder=folder,
            env=child_env(folder),
        )
        process.start()
        try:
            process.wait_ready(lambda: is_open(devices), timeout_s=20)
            with MqttClient("127.0.0.1", devices, username="d1", password=password) as device:
                assert device.publish("steam/v1/s/d1/data")
        finally:
            process.stop()


def test_accounts_of_a_pid_that_is_no_mosquitto_are_told_as_not_read(tmp_path):
    """A pid file left by a crash names whatever process came later: it gets no signal."""
    (tmp_path / "pid").write_text(str(os.getpid()))
    accounts = mosquitto_accounts(tmp_path / "p", tmp_path / "a", tmp_path / "pid")

    accounts.add("s", "d1")

    assert "SIGHUP" in accounts.next_step


def test_shipped_file_keeps_more_than_the_defaults():
    """Without these two lines mosquitto keeps 1,000 messages and sends 20 at a time."""
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()

    assert "max_queued_messages 0" in lines
    assert "max_inflight_messages 1000" in lines
    assert re.search(r"^autosave_interval [1-9]$", "\n".join(lines), re.MULTILINE)
