"""The connection of one device over time: QoS 1, will, birth, reconnect, backlog, honest counts."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

import structlog

from device.sim.connection import Connection, ConnectionLost, Endpoint, Wake
from device.sim.outbox import Counts, Message, Outbox
from device.sim.session import Session
from device.steamlink import contract

log = structlog.get_logger(__name__)

Acknowledged = Callable[[str, bytes, int | None, int | None, float], None]
"""Called for each PUBACK: topic, payload, boot, seq, first published at (epoch seconds)."""

_TICK_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConfig:
    """Where and how a device connects; the client id is the device's name.

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
    """The connection of one device's session; `open` starts it, the broker may come later.

    A thread connects, greets with birth and state, answers commands, sends what `publish` was
    given and keeps it until the PUBACK. When the connection breaks it comes back, with jitter,
    and sends what was not acknowledged: data as hist. A context manager.
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
        self._wake: Wake | None = None
        self._thread: threading.Thread | None = None
        self._connected = self._subscribed = self._said_stopped = False
        self._away = self._interrupted = self._closing = False
        self._over = False
        self._close_by = 0.0
        self._conn = self._connections = self._failures = 0
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
        self._wake = Wake()
        self._thread = threading.Thread(
            target=self._run,
            args=(self._wake,),
            name=f"link-{self.session.identity.device}",
            daemon=True,
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
            if self._closing or self._wake is None:
                raise LinkClosed(f"the link of {self.session.identity.device} is not open")
            if self._outbox.full:
                self._outbox.drop_oldest()
            self._outbox.put(message, live=self._connected)
        self._wake.ring()
        return True

    def wait_connected(self, timeout_s: float | None = None) -> bool:
        """Wait until the broker has accepted the connection; False after `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._connected or self._over, timeout_s)
            return self._connected

    def wait_acknowledged(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing is pending; False after `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._outbox.pending == 0 or self._over, timeout_s)
            return self._outbox.pending == 0

    def interrupt(self) -> None:
        """Break the connection without a goodbye, as a power cut does, and stay away.

        Returns when the connection is gone.
        """
        with self._changed:
            if self._wake is None:
                return
            self._away = self._interrupted = True
            self._wake.ring()
            self._changed.wait_for(
                lambda: self._closing or not self._connected, self.config.connect_timeout_s
            )

    def resume(self) -> None:
        """Come back after `interrupt`."""
        with self._changed:
            self._away = False
            self._changed.notify_all()

    def close(self, timeout_s: float = 5.0) -> None:
        """Wait up to `timeout_s` for what is pending, say stopped, disconnect, end the thread."""
        with self._changed:
            if self._thread is None or self._wake is None:
                return
            if not self._closing:
                self._closing, self._close_by = True, time.monotonic() + timeout_s
            self._changed.notify_all()
            self._wake.ring()
        self._thread.join()
        self._wake.close()
        self._thread = self._wake = None

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

    def _run(self, wake: Wake) -> None:
        try:
            self._live(wake)
        finally:
            # Also when the ledger's callback failed: nobody shall wait for a dead thread.
            with self._changed:
                self._connected, self._closing, self._over = False, True, True
                self._changed.notify_all()

    def _live(self, wake: Wake) -> None:
        while not self._ended():
            reason = self._converse(wake)
            with self._changed:
                self._connected = False
                self._outbox.disconnected()
                self._changed.notify_all()
            if not self._ended():
                self._report(reason)
                self._back_off()

    def _ended(self) -> bool:
        """Closed, and either all is sent or there is no time left to try."""
        if not self._closing:
            return False
        return self._outbox.pending == 0 or time.monotonic() >= self._close_by

    def _report(self, reason: str) -> None:
        # A broker that is away says the same each time: once is enough.
        if reason != self._last_logged:
            self._last_logged = reason
            address = f"{self.config.host}:{self.config.port}"
            device = self.session.identity.device
            log.warning("no connection", device=device, broker=address, reason=reason)

    def _back_off(self) -> None:
        """Wait before the next attempt: full jitter, so that a thousand devices spread."""
        longest = min(self.config.reconnect_most_s, 0.5 * 2 ** min(self._failures, 10))
        until = time.monotonic() + self._random.uniform(0.0, longest)
        self._failures += 1
        with self._changed:
            self._changed.wait_for(lambda: self._closing, until - time.monotonic())
            if self._closing:
                until = min(until, self._close_by)
                while time.monotonic() < until:
                    self._changed.wait(until - time.monotonic())

    def _converse(self, wake: Wake) -> str:
        """Live through one connection; returns why it ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or not self._away)
            self._interrupted = False
            self._conn += 1
        connection = Connection(
            self._endpoint(),
            wake,
            will=(self._topics["state"], self.session.state("offline", self._conn).payload),
            on_accepted=self._greet,
            on_acknowledged=self._acknowledge,
        )
        try:
            connection.open()
            self._exchange(connection)
        except ConnectionLost as lost:
            return str(lost)
        finally:
            connection.close()
        return "closed"

    def _endpoint(self) -> Endpoint:
        config = self.config
        return Endpoint(
            host=config.host,
            port=config.port,
            client_id=self.session.identity.device,
            username=config.username,
            password=config.password,
            tls=config.tls,
            ca_file=config.ca_file,
            keep_alive_s=config.keep_alive_s,
            timeout_s=config.connect_timeout_s,
        )

    def _exchange(self, connection: Connection) -> None:
        """Serve the connection until the link is closed; raises ConnectionLost."""
        accept_by = time.monotonic() + self.config.connect_timeout_s
        while True:
            connection.turn(self._patience_s())
            if self._interrupted:
                raise ConnectionLost("interrupted")
            if self._connected:
                self._answer(connection)
                self._send(connection)
                if self._closing and self._may_go():
                    connection.say_goodbye()
                    return
            elif self._ended():
                return
            elif time.monotonic() > accept_by:
                raise ConnectionLost(f"no CONNACK within {self.config.connect_timeout_s:g} s")

    def _patience_s(self) -> float:
        """How long to sleep at most: a little while a slowed backlog waits."""
        if self.config.backlog_per_s and self._outbox.pending:
            return min(_TICK_S, 1 / self.config.backlog_per_s)
        return _TICK_S

    def _greet(self) -> None:
        """Connected: birth and state go first."""
        greetings = [
            self.session.birth(self._conn, self.oldest()),
            self.session.state("online", self._conn),
        ]
        with self._changed:
            for message in greetings:
                self._outbox.put(message, live=True)
            self._connected = True
            self._subscribed = self._said_stopped = False
            self._connections += 1
            self._failures = 0
            self._last_logged = ""
            self._changed.notify_all()

    def _answer(self, connection: Connection) -> None:
        """Take commands once greeted, and carry out those that came in."""
        if not self._subscribed:
            self._subscribed = True
            connection.subscribe(self._topics["cmd"])
        while connection.received:
            command = connection.received.pop(0)
            now, later = self.session.answer(command, self._conn, self.oldest())
            with self._changed:
                for message in now:
                    self._outbox.put(message, live=True)
                for message in later:
                    self._outbox.put(message, live=False)

    def _send(self, connection: Connection) -> None:
        """Send what the window takes; raises ConnectionLost when PUBACKs stay out."""
        with self._changed:
            now_s = time.monotonic()
            while (entry := self._outbox.next(now_s)) is not None:
                packet_id = connection.publish(self._topics[entry.kind], entry.message.payload)
                self._outbox.sent(packet_id, entry, now_s=now_s, published_at=time.time())
            if self._outbox.roomy:
                self._changed.notify_all()
            since_s = self._outbox.sent_longest_ago()
        if since_s is not None and now_s - since_s > self.config.puback_timeout_s:
            raise ConnectionLost(f"no PUBACK within {self.config.puback_timeout_s:g} s")

    def _may_go(self) -> bool:
        """Once all is acknowledged say stopped; once that is acknowledged the link may go."""
        if time.monotonic() >= self._close_by:
            return True
        with self._changed:
            if self._outbox.pending:
                return False
            if not self._said_stopped:
                self._said_stopped = True
                self._outbox.put(self.session.state("stopped", self._conn), live=True)
                if self._wake is not None:
                    self._wake.ring()
                return False
        return True

    def _acknowledge(self, packet_id: int) -> None:
        entry = self._outbox.in_flight(packet_id)
        if entry is None:
            return
        # Told first: who waits for the acknowledgement finds it in the ledger.
        if self._on_acknowledged is not None:
            message, topic = entry.message, self._topics[entry.kind]
            self._on_acknowledged(
                topic, message.payload, message.boot, message.seq, entry.published_at or 0.0
            )
        with self._changed:
            self._outbox.acknowledge(packet_id)
            if self._outbox.pending == 0:
                self._changed.notify_all()
