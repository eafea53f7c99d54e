"""A link against a real broker: greeting, PUBACKs, outages, commands, room."""

import shutil
import subprocess
import threading
import time
from dataclasses import replace

import pytest

from device.sim.connection import Connection, ConnectionLost, Endpoint, Wake
from device.sim.link import Link, LinkClosed, LinkConfig
from device.sim.session import Identity, MetricDescription, Session
from tests.servers.absence import go_without
from tests.servers.mosquitto import own_mosquitto
from tests.servers.ports import free_port
from tests.servers.process import ServerUnavailable, child_env
from tests.unit.device.mqtt_listener import Listener, eventually

NOW_MS = 1_795_392_000_000
FAST = LinkConfig(reconnect_most_s=0.2, connect_timeout_s=5.0)


def session(device: str = "b01") -> Session:
    """A device with one metric."""
    metric = MetricDescription(name="oxygen", unit="%", decimals=1)
    return Session(
        Identity(site="plant", device=device, metrics=[metric]), boot=5, offset_ms=NOW_MS
    )


def publish(link: Link, count: int) -> list[bytes]:
    """Publish numbered rows; their payloads."""
    payloads = []
    for _ in range(count):
        made = link.session
        made.up_ms += 1000
        message = made.data(["oxygen"], [[0, 3.5]], utc_ms=NOW_MS + made.up_ms)
        link.publish("data", message.payload, boot=message.boot, seq=message.seq)
        payloads.append(message.payload)
    return payloads


@pytest.fixture
def broker(tmp_path):
    """A mosquitto of the test's own, that it may kill and start again."""
    try:
        server = own_mosquitto(tmp_path / "mosquitto")
    except ServerUnavailable as unavailable:
        go_without(str(unavailable))
    with server:
        yield server


def test_link_greets_publishes_and_says_goodbye(mosquitto):
    """Birth and online come first, stopped last, and every PUBACK is in the ledger."""
    ledger = []
    with Listener(mosquitto.port) as listener:
        link = Link(
            replace(FAST, port=mosquitto.port),
            session("greets"),
            on_acknowledged=lambda *entry: ledger.append(entry),
        )
        before = time.time()
        with link:
            assert link.wait_connected(10)
            payloads = publish(link, 20)
            assert link.wait_acknowledged(10)
            acknowledged_then = len(ledger)
        eventually(lambda: len(listener.of("state", "greets")) == 2)

    counts = link.counts()
    kinds = [topic.rpartition("/")[2] for topic, _ in listener.messages if "greets" in topic]
    assert kinds[:2] == ["birth", "state"]
    assert [state["s"] for state in listener.of("state", "greets")] == ["online", "stopped"]
    assert [p for topic, p in listener.messages if topic == "steam/v1/plant/greets/data"] == (
        payloads
    )
    assert acknowledged_then == 22
    assert counts.acknowledged == {"birth": 1, "state": 2, "data": 20}
    assert (counts.pending, counts.resent, counts.accepted) == (0, 0, 23)
    rows = [entry for entry in ledger if entry[0].endswith("/data")]
    assert [(payload, boot, seq) for _, payload, boot, seq, _ in rows] == [
        (payload, 5, seq) for seq, payload in enumerate(payloads, 1)
    ]
    assert all(before <= published_at <= time.time() for *_, published_at in ledger)


def test_link_broker_killed_loses_nothing_and_sends_hist(broker):
    """What was published while the broker was gone comes afterwards as hist, and is all there."""
    ledger = []
    link = Link(
        replace(FAST, port=broker.port),
        session(),
        on_acknowledged=lambda *entry: ledger.append(entry),
    )
    with link:
        assert link.wait_connected(10)
        first = publish(link, 5)
        assert link.wait_acknowledged(10)
        broker.kill()
        eventually(lambda: not link.connected)
        missed = publish(link, 30)
        broker.start()
        with Listener(broker.port) as listener:
            assert link.wait_acknowledged(20)
            after = publish(link, 1)
            assert link.wait_acknowledged(10)
            eventually(lambda: listener.of("data"))
            assert listener.of("data")[0]["n"] == 36

    acknowledged = [payload for _, payload, _, seq, _ in ledger if seq is not None]
    assert acknowledged == first + missed + after
    hist = [payload for topic, payload, *_ in ledger if topic.endswith("/hist")]
    assert hist == missed
    assert link.counts().connections == 2


def test_link_broker_away_at_start_connects_when_it_comes(tmp_path):
    """A link opened before its broker waits for it and then sends what it has."""
    try:
        server = own_mosquitto(tmp_path / "later")
    except ServerUnavailable as unavailable:
        go_without(str(unavailable))
    with Link(replace(FAST, port=server.port), session()) as link:
        publish(link, 3)
        assert not link.wait_connected(0.3)
        with server:
            assert link.wait_acknowledged(20)
            counts = link.counts()

    assert counts.acknowledged == {"birth": 1, "state": 1, "hist": 3}


def test_link_interrupted_will_says_offline_and_next_conn_differs(mosquitto):
    """A break without goodbye makes the broker publish the will; the next birth has conn + 1."""
    with (
        Listener(mosquitto.port) as listener,
        Link(replace(FAST, port=mosquitto.port), session("breaks")) as link,
    ):
        assert link.wait_connected(10)
        assert link.wait_acknowledged(10)
        link.interrupt()
        eventually(lambda: len(listener.of("state", "breaks")) == 2)
        stays_away = not link.connected
        link.resume()
        eventually(lambda: len(listener.of("birth", "breaks")) == 2)
        assert link.wait_acknowledged(10)

    assert stays_away
    assert [(s["s"], s["conn"]) for s in listener.of("state", "breaks")][:2] == [
        ("online", 1),
        ("offline", 1),
    ]
    assert [birth["conn"] for birth in listener.of("birth", "breaks")] == [1, 2]


def test_link_command_is_answered(mosquitto):
    """A command on the device's topic gets its ack; a retained one is ignored."""
    command = {"v": 1, "id": "c1", "op": "identify", "args": {}, "exp": NOW_MS + 60_000}
    topic = "steam/v1/plant/obeys/cmd"
    with Listener(mosquitto.port) as listener:
        listener.publish(topic, command | {"id": "old"}, retain=True)
        with Link(replace(FAST, port=mosquitto.port), session("obeys")) as link:
            assert link.wait_connected(10)
            eventually(lambda: listener.of("birth", "obeys"))
            publish_until_heard(listener, topic, command)

    answers = listener.of("ack", "obeys")
    assert {answer["id"] for answer in answers} == {"c1"}
    assert answers[0]["res"]["device"] == "obeys"


def publish_until_heard(listener: Listener, topic: str, command: dict) -> None:
    """Send a command until its ack comes: the subscription may be a moment behind the birth."""
    until = time.monotonic() + 10
    while not listener.of("ack"):
        assert time.monotonic() < until, "no ack"
        listener.publish(topic, command)
        time.sleep(0.05)


def test_link_replay_sends_stored_messages_as_hist(mosquitto):
    """The op replay sends the same bytes again, as hist."""
    command = {
        "v": 1,
        "id": "r1",
        "op": "replay",
        "args": {"from": 2, "to": 3},
        "exp": NOW_MS + 60_000,
    }
    with (
        Listener(mosquitto.port) as listener,
        Link(replace(FAST, port=mosquitto.port), session("replays")) as link,
    ):
        assert link.wait_connected(10)
        payloads = publish(link, 4)
        assert link.wait_acknowledged(10)
        publish_until_heard(listener, "steam/v1/plant/replays/cmd", command)
        eventually(lambda: len(listener.of("hist", "replays")) == 2)

    hist = [payload for topic, payload in listener.messages if topic.endswith("replays/hist")]
    assert hist == payloads[1:3]


def test_link_wrong_password_says_so_and_goes_on_trying(new_mosquitto, tmp_path, caplog):
    """A refused account is named as the cause, and nothing counts as connected."""
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    server = new_mosquitto(f"allow_anonymous false\npassword_file {passwords}\n")
    config = replace(FAST, port=server.port, username="b01", password="wrong")

    link = Link(config, session())
    with link:
        publish(link, 1)
        assert not link.wait_connected(0.5)
        link.close(timeout_s=0.2)

    assert link.counts().pending == 1
    assert "refused" in link._last_logged


@pytest.fixture
def certificate(tmp_path):
    """A folder with cert.pem and key.pem for 127.0.0.1."""
    program = shutil.which("openssl")
    if program is None:
        go_without("no openssl for the TLS tests: install it (Debian: apt-get install openssl)")
    subprocess.run(
        [
            *(program, "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"),
        ],
        cwd=tmp_path,
        env=child_env(tmp_path),
        check=True,
        capture_output=True,
    )
    return tmp_path


# paho leaves the socket of a failed handshake to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
def test_link_tls_known_certificate_is_spoken_to_and_unknown_refused(new_mosquitto, certificate):
    """With the broker's CA messages pass over TLS; without it nothing is sent."""
    cert = certificate / "cert.pem"
    server = new_mosquitto(
        f"allow_anonymous true\ncertfile {cert}\nkeyfile {certificate / 'key.pem'}\n"
    )
    known = replace(FAST, port=server.port, tls=True, ca_file=str(cert))

    with Link(known, session("knows")) as link:
        publish(link, 50)
        assert link.wait_acknowledged(10)
    stranger = Link(replace(known, ca_file=None), session("stranger"))
    lost = Link(replace(known, ca_file=str(certificate / "none.pem")), session("lost"))
    for each in (stranger, lost):
        each.open()
        publish(each, 1)
        assert not each.wait_connected(0.3)
        each.close(timeout_s=0.0)

    assert link.counts().acknowledged["hist"] + link.counts().acknowledged.get("data", 0) == 50
    assert stranger.counts().published == lost.counts().published == {}
    assert "CERTIFICATE_VERIFY_FAILED" in stranger._last_logged
    assert "none.pem" in lost._last_logged


def test_link_full_waits_for_room():
    """With nowhere to send, publish waits for room and says so when there was none."""
    link = Link(replace(FAST, port=free_port(), limit=3), session())
    link.open()

    publish(link, 3)
    had_room = link.publish("data", b"{}", boot=5, seq=4, timeout_s=0.05)
    link.close(timeout_s=0.0)

    assert had_room is False
    assert link.counts().pending == 3


def test_link_full_gives_up_the_oldest_when_asked():
    """Configured to drop, a full link keeps the newest and names the lost numbers."""
    config = replace(FAST, port=free_port(), limit=3, when_full="drop_oldest")
    link = Link(config, session())
    link.open()

    publish(link, 5)
    losses, oldest = link.take_losses(), link.oldest()
    link.close(timeout_s=0.0)

    assert losses == [(5, 1), (5, 2)]
    assert oldest == (5, 3)
    assert link.counts().dropped == 2


def test_connection_closed_while_sending_is_a_loss(mosquitto):
    """When the socket went away under a publish, the next turn says so and nothing else fails."""
    wake = Wake()
    connection = Connection(
        Endpoint(host="127.0.0.1", port=mosquitto.port, client_id="sends"),
        wake,
        will=("steam/v1/mill/sends/state", b"{}"),
        on_accepted=lambda: None,
        on_acknowledged=lambda _mid: None,
    )
    connection.open()
    connection._client._sock_close()

    with pytest.raises(ConnectionLost, match="while sending"):
        connection.turn(0.1)
    connection.close()
    wake.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_link_failing_ledger_ends_the_link_and_nobody_waits(mosquitto):
    """A callback that fails ends the link with its error; waiting and publishing do not hang."""

    def fail(*_):
        raise RuntimeError("the ledger is full")

    link = Link(replace(FAST, port=mosquitto.port), session("fails"), on_acknowledged=fail)
    link.open()

    eventually(lambda: link._over)
    assert link.wait_acknowledged() is False
    with pytest.raises(LinkClosed):
        link.publish("data", b"{}")
    link.close()


def test_link_closed_refuses_messages():
    """A closed link takes nothing more, and its thread has ended."""
    link = Link(replace(FAST, port=free_port()), session("closes"))
    link.open()
    link.close()

    with pytest.raises(LinkClosed):
        link.publish("data", b"{}")
    assert "link-closes" not in {thread.name for thread in threading.enumerate()}
