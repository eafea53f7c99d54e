"""One MQTT connection of one device: QoS 1, will, birth, reconnect, backlog, honest counts.

MQTT 3.1.1 with paho-mqtt; a thread of the link's own does all the network. The client is
new for each connection, because the outbox, not the client, keeps what is unacknowledged.
"""

import random
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from device.sim.outbox import Counts, Message, Outbox
from device.sim.session import Session
from device.steamlink import contract

log = structlog.get_logger(__name__)

Acknowledged = Callable[[str, bytes, int | None, int | None, float], None]
"""Called for each PUBACK: topic, payload, boot, seq, first published at (epoch seconds)."""

_TICK_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConfig:
    """Where and how a device connects; the client id is the user's name, else the device's.

    `window` is how many messages may be unacknowledged on the wire, `limit` how many may wait;
    beyond it `publish` waits, or gives up the oldest. `backlog_per_s` slows the sending of an
    outage's backlog (None: as fast as the window lets).
    """

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password: str | None = None
    tls: bool = False
    ca_file: str | None = None
    keep_alive_s: int = 30
    connect_timeout_s: float = 10.0
    puback_timeout_s: float = 60.0
    reconnect_most_s: float = 30.0
    window: int = 100
    limit: int = 10_000
    when_full: Literal["wait", "drop_oldest"] = "wait"
    backlog_per_s: float | None = None


class LinkClosed(RuntimeError):
    """A message was given to a link that is closed."""


class Link:
    """The connection of one device's session; `open` starts it, whether the broker is there or not.

    It connects, greets with birth and state, answers commands, sends what `publish` was given
    and keeps it until the PUBACK. When the connection breaks it comes back, with jitter, and
    sends what was not acknowledged: data as hist. A context manager.
    """

    def __init__(
        self,
        config: LinkConfig,
        session: Session,
        *,
        on_acknowledged: Acknowledged | None = None,
        seed: int | None = None,
    ) -> None:
        self.config = config
        self.session = session
        identity = session.identity
        self._topics = {
            kind: contract.topic(identity.site, identity.device, kind) for kind in contract.KINDS
        }
        self._on_acknowledged = on_acknowledged
        self._random = random.Random(seed)
        self._outbox = Outbox(
            limit=config.limit, window=config.window, backlog_per_s=config.backlog_per_s
        )
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._wake_read: socket.socket | None = None
        self._wake_write: socket.socket | None = None
        self._connected = self._greeted = False
        self._away = self._interrupted = self._closing = False
        self._close_by = 0.0
        self._conn = self._connections = self._failures = 0
        self._commands: list[bytes] = []
        self._refusal = ""
        self._last_logged = ""

    def __enter__(self) -> Self:
        """Open."""
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def open(self) -> None:
        """Start connecting; returns at once."""
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._thread = threading.Thread(
            target=self._run, name=f"link-{self.session.identity.device}", daemon=True
        )
        self._thread.start()

    def publish(
        self,
        kind: str,
        payload: bytes,
        *,
        boot: int | None = None,
        seq: int | None = None,
        timeout_s: float | None = None,
    ) -> bool:
        """Take a message to be sent until it is acknowledged.

        When `limit` messages wait: waits for room at most `timeout_s` and returns False if there
        was none, or gives up the oldest, as configured. Raises LinkClosed.
        """
        message = Message(kind, payload, boot, seq)
        with self._changed:
            if self._outbox.full and self.config.when_full == "wait":
                self._changed.wait_for(lambda: self._closing or not self._outbox.full, timeout_s)
                if self._outbox.full and not self._closing:
                    return False
            if self._closing or self._thread is None:
                raise LinkClosed(f"link of {self.session.identity.device} is not open")
            if self._outbox.full:
                self._outbox.drop_oldest()
            self._outbox.put(message, live=self._connected)
        self._wake()
        return True

    def wait_connected(self, timeout_s: float | None = None) -> bool:
        """Wait until the broker has accepted the connection; False after `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._connected, timeout_s)

    def wait_acknowledged(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing is pending; False after `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._outbox.pending == 0, timeout_s)

    def interrupt(self) -> None:
        """Break the connection without a goodbye, as a power cut does, and stay away."""
        with self._changed:
            self._away = self._interrupted = True
        self._wake()

    def resume(self) -> None:
        """Come back after `interrupt`."""
        with self._changed:
            self._away = False
            self._changed.notify_all()

    def close(self, timeout_s: float = 5.0) -> None:
        """Wait up to `timeout_s` for what is pending, say stopped, disconnect, end the thread."""
        with self._changed:
            if self._thread is None:
                return
            if not self._closing:
                self._closing, self._close_by = True, time.monotonic() + timeout_s
            self._changed.notify_all()
        self._wake()
        self._thread.join()
        for end in (self._wake_read, self._wake_write):
            if end is not None:
                end.close()

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the present connection."""
        return self._connected

    def counts(self) -> Counts:
        """What became of the messages so far."""
        with self._changed:
            return self._outbox.counts(self._connections)

    def oldest(self) -> tuple[int, int] | None:
        """The lowest (boot, seq) not acknowledged."""
        with self._changed:
            return self._outbox.oldest()

    def take_losses(self) -> list[tuple[int, int]]:
        """The (boot, seq) given up for want of room since the last call."""
        with self._changed:
            return self._outbox.take_losses()

    def _wake(self) -> None:
        if self._wake_write is None:
            return
        try:
            self._wake_write.send(b"\0")
        except (BlockingIOError, OSError):
            # Full: the thread is awake already. Closed: it has ended.
            return

    def _run(self) -> None:
        while not self._ended():
            reason = self._converse()
            with self._changed:
                self._connected = self._greeted = False
                self._outbox.disconnected()
                self._changed.notify_all()
            if not self._closing:
                self._report(reason)
                self._back_off()

    def _ended(self) -> bool:
        """Closed, and either all is sent or there is no time left to try."""
        if not self._closing:
            return False
        done = self._outbox.pending == 0
        return done or time.monotonic() >= self._close_by

    def _report(self, reason: str) -> None:
        # A broker that is away says the same each time: once is enough.
        if reason != self._last_logged:
            address = f"{self.config.host}:{self.config.port}"
            log.warning(
                "link lost", device=self.session.identity.device, broker=address, reason=reason
            )
            self._last_logged = reason

    def _back_off(self) -> None:
        """Wait before the next attempt: full jitter, so that a thousand devices spread."""
        longest = min(self.config.reconnect_most_s, 0.5 * 2 ** min(self._failures, 10))
        until = time.monotonic() + self._random.uniform(0.0, longest)
        self._failures += 1
        with self._changed:
            self._changed.wait_for(
                lambda: self._closing or not (self._away or time.monotonic() < until),
                max(0.0, until - time.monotonic()),
            )
            while self._away and not self._closing:
                self._changed.wait()

    def _converse(self) -> str:
        """Live through one connection; returns why it ended."""
        self._conn += 1
        self._refusal = ""
        with self._changed:
            self._interrupted = False
        client = self._client()
        try:
            client.connect(self.config.host, self.config.port, self.config.keep_alive_s)
        except OSError as error:
            return f"cannot connect ({error}); is the broker up?"
        with selectors.DefaultSelector() as selector:
            try:
                return self._exchange(client, selector)
            finally:
                self._hang_up(client)

    def _hang_up(self, client: mqtt.Client) -> None:
        """Let the client close its socket: shut down, the read fails, paho cleans up."""
        sock = client.socket()
        if sock is None:
            return
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            log.debug("socket was gone", device=self.session.identity.device)
        while client.socket() is not None and client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS:
            pass

    def _client(self) -> mqtt.Client:
        config, session = self.config, self.session
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=config.username or session.identity.device,
            clean_session=True,
            protocol=mqtt.MQTTv311,
            reconnect_on_failure=False,
        )
        client.max_inflight_messages_set(0)
        client.connect_timeout = config.connect_timeout_s
        if config.username is not None:
            client.username_pw_set(config.username, config.password)
        if config.tls:
            client.tls_set(ca_certs=config.ca_file)
        will = session.state("offline", self._conn)
        client.will_set(self._topics["state"], will.payload, qos=1)
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    def _exchange(self, client: mqtt.Client, selector: selectors.BaseSelector) -> str:
        sock, wake = client.socket(), self._wake_read
        if sock is None or wake is None:
            return "no socket"
        selector.register(wake, selectors.EVENT_READ)
        selector.register(sock, selectors.EVENT_READ)
        accept_by = time.monotonic() + self.config.connect_timeout_s
        while True:
            writing = selectors.EVENT_WRITE if client.want_write() else 0
            selector.modify(sock, selectors.EVENT_READ | writing)
            ready = [key.fileobj for key, _ in selector.select(self._patience_s())]
            if wake in ready:
                _drain(wake)
            ended = self._serve(client, sock, readable=sock in ready)
            if ended:
                return ended
            if not self._connected and time.monotonic() > accept_by:
                return f"no CONNACK within {self.config.connect_timeout_s:g} s"

    def _patience_s(self) -> float:
        """How long to sleep at most: a little while a slowed backlog waits."""
        if self.config.backlog_per_s and self._outbox.pending:
            return min(_TICK_S, 1 / self.config.backlog_per_s)
        return _TICK_S

    def _serve(self, client: mqtt.Client, sock: socket.socket, *, readable: bool) -> str:
        """Read, answer, write once; returns why the connection ended, or nothing."""
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        if readable:
            code = self._read(client, sock)
        if code == MQTTErrorCode.MQTT_ERR_SUCCESS and client.want_write():
            code = client.loop_write()
        if code == MQTTErrorCode.MQTT_ERR_SUCCESS:
            code = client.loop_misc()
        if self._refusal:
            return self._refusal
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return f"connection ended: {mqtt.error_string(code)}"
        if self._interrupted:
            return "interrupted"
        if not self._connected:
            return "closed" if self._closing and self._ended() else ""
        self._answer()
        return self._pump(client)

    @staticmethod
    def _read(client: mqtt.Client, sock: socket.socket) -> MQTTErrorCode:
        code = client.loop_read()
        # TLS may hold decrypted bytes that no selector sees.
        pending = getattr(sock, "pending", None)
        while code == MQTTErrorCode.MQTT_ERR_SUCCESS and pending is not None and pending() > 0:
            code = client.loop_read()
        return code

    def _answer(self) -> None:
        """Carry out the commands that came in."""
        while self._commands:
            command = self._commands.pop(0)
            now, later = self.session.answer(command, self._conn, self.oldest())
            with self._changed:
                for message in now:
                    self._outbox.put(message, live=True)
                for message in later:
                    self._outbox.put(message, live=False)

    def _pump(self, client: mqtt.Client) -> str:
        """Send what the window takes; returns why the connection must end, or nothing."""
        while True:
            with self._changed:
                entry = self._outbox.next(time.monotonic())
                if entry is None:
                    break
                now = time.time()
                info = client.publish(self._topics[entry.kind], entry.message.payload, qos=1)
                self._outbox.sent(info.mid, entry, now)
                self._changed.notify_all()
            if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return f"connection ended: {mqtt.error_string(info.rc)}"
        since = self._outbox.sent_longest_ago()
        if since is not None and time.time() - since > self.config.puback_timeout_s:
            return f"no PUBACK within {self.config.puback_timeout_s:g} s"
        if self._closing:
            return self._say_goodbye(client)
        return ""

    def _say_goodbye(self, client: mqtt.Client) -> str:
        """Once all is acknowledged say stopped, and once that is acknowledged disconnect."""
        out_of_time = time.monotonic() >= self._close_by
        if self._outbox.pending and not out_of_time:
            return ""
        if self._greeted and not out_of_time:
            self._greeted = False
            with self._changed:
                self._outbox.put(self.session.state("stopped", self._conn), live=True)
            self._wake()
            return ""
        client.disconnect()
        return "closed"

    def _on_connect(
        self, client: mqtt.Client, _: object, __: object, reason: ReasonCode, ___: object
    ) -> None:
        if reason.is_failure:
            self._refusal = f"the broker refused: {reason}; check the account of this device"
            return
        client.subscribe(self._topics["cmd"], qos=1)
        greetings = [
            self.session.birth(self._conn, self.oldest()),
            self.session.state("online", self._conn),
        ]
        with self._changed:
            for message in greetings:
                self._outbox.put(message, live=True)
            self._connected = self._greeted = True
            self._connections += 1
            self._failures = 0
            self._last_logged = ""
            self._changed.notify_all()

    def _on_publish(
        self, _: mqtt.Client, __: object, packet_id: int, ___: object, ____: object
    ) -> None:
        with self._changed:
            entry = self._outbox.acknowledge(packet_id)
            if entry is not None and self._on_acknowledged is not None:
                message, topic = entry.message, self._topics[entry.kind]
                self._on_acknowledged(
                    topic, message.payload, message.boot, message.seq, entry.published_at or 0.0
                )
            self._changed.notify_all()

    def _on_message(self, _: mqtt.Client, __: object, message: mqtt.MQTTMessage) -> None:
        # A retained command is an old one (contract: never relied on).
        if not message.retain:
            self._commands.append(message.payload)


def _drain(wake: socket.socket) -> None:
    try:
        while wake.recv(4096):
            pass
    except BlockingIOError:
        return
