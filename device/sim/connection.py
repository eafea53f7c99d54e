"""One MQTT 3.1.1 connection on paho-mqtt, driven by one thread; vendor types stop here."""

import contextlib
import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

_OK = MQTTErrorCode.MQTT_ERR_SUCCESS


class ConnectionLost(OSError):
    """The connection could not be made, or is gone; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where to connect and as whom."""

    host: str
    port: int
    client_id: str
    username: str | None = None
    password: str | None = None
    tls: bool = False
    ca_file: str | None = None
    keep_alive_s: int = 30
    timeout_s: float = 10.0


class Wake:
    """Wakes a thread that waits for its socket; `ring` may be called from any thread."""

    def __init__(self) -> None:
        self.socket, self._far = socket.socketpair()
        self.socket.setblocking(False)
        self._far.setblocking(False)
        self._rung = False

    def ring(self) -> None:
        """Wake the thread, now or at its next wait."""
        if self._rung:
            return
        self._rung = True
        with contextlib.suppress(BlockingIOError):  # full: it wakes anyway
            self._far.send(b"\0")

    def heard(self) -> None:
        """Forget the rings so far; the thread looks at what they were for afterwards."""
        with contextlib.suppress(BlockingIOError):
            while self.socket.recv(4096):
                pass
        # Last: a ring in between is not heard, but its cause is there to be seen.
        self._rung = False

    def close(self) -> None:
        """Close both ends."""
        self.socket.close()
        self._far.close()


class Connection:
    """One connection from CONNECT to its end; only the thread that made it uses it.

    `on_accepted` is called at the CONNACK, `on_acknowledged` with the packet id of each PUBACK.
    What was received on the subscribed topic is in `received`, without retained messages.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        wake: Wake,
        *,
        will: tuple[str, bytes],
        on_accepted: Callable[[], None],
        on_acknowledged: Callable[[int], None],
    ) -> None:
        self._endpoint = endpoint
        self._wake = wake
        self._will = will
        self._accepted = on_accepted
        self._acknowledged = on_acknowledged
        self._refusal = ""
        self._selector = selectors.DefaultSelector()
        self._client: mqtt.Client | None = None
        self._socket: socket.socket | None = None
        self.received: list[bytes] = []

    def open(self) -> None:
        """Connect and send CONNECT; raises ConnectionLost."""
        endpoint = self._endpoint
        if endpoint.ca_file is not None and not Path(endpoint.ca_file).is_file():
            raise ConnectionLost(f"cannot connect: there is no CA file {endpoint.ca_file}")
        try:
            client = self._client = self._new_client()
            client.connect(endpoint.host, endpoint.port, endpoint.keep_alive_s)
        except (OSError, ValueError) as error:
            raise ConnectionLost(f"cannot connect ({error}); is the broker up?") from error
        sock = client.socket()
        if not isinstance(sock, socket.socket):
            raise ConnectionLost("cannot connect; is the broker up?")
        self._socket = sock
        self._selector.register(self._wake.socket, selectors.EVENT_READ)
        self._selector.register(sock, selectors.EVENT_READ)

    def turn(self, patience_s: float) -> None:
        """Wait at most `patience_s` for something to do, then read and write; raises ConnectionLost."""
        client, sock = self._client, self._socket
        if client is None or sock is None:
            raise ConnectionLost("not open")
        if client.socket() is not sock:
            # paho closed it while something was sent.
            raise ConnectionLost("connection ended while sending")
        writing = selectors.EVENT_WRITE if client.want_write() else 0
        self._selector.modify(sock, selectors.EVENT_READ | writing)
        ready = [key.fileobj for key, _ in self._selector.select(patience_s)]
        if self._wake.socket in ready:
            self._wake.heard()
        code = self._read(client, sock) if sock in ready else _OK
        if code == _OK and client.want_write():
            code = client.loop_write()
        if code == _OK:
            code = client.loop_misc()
        if self._refusal:
            raise ConnectionLost(self._refusal)
        _check(code)

    def subscribe(self, topic: str) -> None:
        """Ask for the messages of a topic at QoS 1."""
        if self._client is not None:
            self._client.subscribe(topic, qos=1)

    def publish(self, topic: str, payload: bytes) -> int:
        """Send a message at QoS 1; its packet id. A loss shows at the next `turn`."""
        if self._client is None:
            raise ConnectionLost("not open")
        return self._client.publish(topic, payload, qos=1).mid

    def say_goodbye(self) -> None:
        """Send DISCONNECT: the broker drops the will."""
        if self._client is not None:
            self._client.disconnect()

    def close(self) -> None:
        """Close the socket; without a goodbye the broker publishes the will."""
        self._selector.close()
        client, sock = self._client, self._socket
        if client is None or sock is None:
            return
        with contextlib.suppress(OSError):  # the broker may have been first
            sock.shutdown(socket.SHUT_RDWR)
        # Reading from a socket that is shut down makes the client close it.
        while client.socket() is not None and client.loop_read() == _OK:
            pass

    @staticmethod
    def _read(client: mqtt.Client, sock: socket.socket) -> MQTTErrorCode:
        code = client.loop_read()
        # TLS may hold decrypted bytes that no selector sees.
        pending = getattr(sock, "pending", None)
        while code == _OK and pending is not None and pending() > 0:
            code = client.loop_read()
        return code

    def _new_client(self) -> mqtt.Client:
        endpoint = self._endpoint
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=endpoint.client_id,
            clean_session=True,
            protocol=mqtt.MQTTv311,
            reconnect_on_failure=False,
        )
        client.max_inflight_messages_set(0)
        client.connect_timeout = endpoint.timeout_s
        if endpoint.username is not None:
            client.username_pw_set(endpoint.username, endpoint.password)
        if endpoint.tls:
            client.tls_set(ca_certs=endpoint.ca_file)
        topic, payload = self._will
        client.will_set(topic, payload, qos=1)
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        return client

    def _on_connect(
        self, _: mqtt.Client, __: object, ___: object, reason: ReasonCode, ____: object
    ) -> None:
        if reason.is_failure:
            self._refusal = f"the broker refused: {reason}; check the account of this device"
        else:
            self._accepted()

    def _on_publish(
        self, _: mqtt.Client, __: object, packet_id: int, ___: object, ____: object
    ) -> None:
        self._acknowledged(packet_id)

    def _on_message(self, _: mqtt.Client, __: object, message: mqtt.MQTTMessage) -> None:
        # A retained command is an old one; nothing in the contract relies on retain.
        if not message.retain:
            self.received.append(bytes(message.payload))


def _check(code: MQTTErrorCode) -> None:
    if code != _OK:
        raise ConnectionLost(f"connection ended: {mqtt.error_string(code)}")
