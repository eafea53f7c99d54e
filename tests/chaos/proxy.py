"""A TCP proxy on loopback that misbehaves on demand: delay, cut, reset, half-open, answer for itself."""

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Self

_CHUNK = 65_536
_POLL_S = 0.05
_TOO_LARGE = b"HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 0\r\n\r\n"


class Proxy:
    """Forwards connections on a free port to `host:port`; a context manager.

    `delay_s` holds back each piece. `half_open` lets connections stand and moves nothing, as
    when the other end has lost its power; what stood then never heals. `answer` replies to each
    HTTP request with these bytes instead of forwarding it; with `most_body`, those with a longer
    body are answered with 413. `on_answer` is called with each piece
    that the server sends, before it is forwarded.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.delay_s = 0.0
        self.answer: bytes | None = None
        self.most_body: int | None = None
        self.on_answer: Callable[[bytes], None] = lambda _piece: None
        self._half_open = threading.Event()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self.accepted = self.too_large = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listener.close()
        self.cut()

    @property
    def half_open(self) -> bool:
        """Whether nothing moves."""
        return self._half_open.is_set()

    @half_open.setter
    def half_open(self, value: bool) -> None:
        if value:
            self._half_open.set()
        else:
            self._half_open.clear()

    def cut(self) -> None:
        """End every connection in order (FIN)."""
        self._end_all()

    def reset(self) -> None:
        """End every connection at once (RST)."""
        self._end_all(struct.pack("ii", 1, 0))

    def _end_all(self, linger: bytes | None = None) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for end in pair:
                if linger is None:
                    _close(end)
                    continue
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                end.close()  # without a shutdown, which would end it in order

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if self.half_open:
            self._hold(client)
            return
        if self.answer is not None:
            self._answer_requests(client)
            return
        try:
            server = socket.create_connection(self._target, timeout=5)
        except OSError:
            _close(client)
            return
        server.settimeout(None)
        pair = (client, server)
        with self._lock:
            self._pairs.add(pair)
        threading.Thread(target=self._pump, args=(server, client, pair), daemon=True).start()
        self._pump(client, server, pair)

    def _pump(
        self, source: socket.socket, sink: socket.socket, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        is_answer = source is pair[1]
        with contextlib.suppress(OSError, ValueError):
            while True:
                if not select.select([source], [], [], _POLL_S)[0]:
                    continue
                if self.half_open:
                    self._hold(*pair)
                    return
                if self.answer is not None and not is_answer:
                    self._answer_requests(source)
                    break
                piece = source.recv(_CHUNK)
                if not piece:
                    break
                if is_answer:
                    self.on_answer(piece)
                elif self.most_body is not None and _body_length(piece) > self.most_body:
                    _read_body(source, piece)
                    source.sendall(_TOO_LARGE)
                    self.too_large += 1
                    continue
                if self.delay_s:
                    time.sleep(self.delay_s)
                sink.sendall(piece)
        with self._lock:
            self._pairs.discard(pair)
        for end in pair:
            _close(end)

    def _hold(self, *ends: socket.socket) -> None:
        """Keep the ends standing until both directions may move again, then end them."""
        while self.half_open and not self._ended.is_set():
            self._ended.wait(_POLL_S)
        for end in ends:
            _close(end)

    def _answer_requests(self, client: socket.socket) -> None:
        """Read whole requests and answer each with `answer`, while it is set."""
        client.settimeout(5)
        with contextlib.suppress(OSError):
            while self.answer is not None:
                if not _read_request(client):
                    break
                client.sendall(self.answer or b"")
        _close(client)


def _read_request(client: socket.socket) -> bool:
    """Read one HTTP request with its body; False at the end of the connection."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = client.recv(_CHUNK)
        if not piece:
            return False
        head += piece
    return _read_body(client, head)


def _read_body(client: socket.socket, begun: bytes) -> bool:
    """Read the rest of a request of which `begun` holds the head; False at the end of the connection."""
    length, body = _body_length(begun), begun.partition(b"\r\n\r\n")[2]
    while len(body) < length:
        piece = client.recv(_CHUNK)
        if not piece:
            return False
        body += piece
    return True


def _body_length(request: bytes) -> int:
    """What the head of a request says of its body; 0 where this is no head."""
    for line in request.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        end.close()
