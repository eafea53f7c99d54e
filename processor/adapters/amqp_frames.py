"""Reads deliveries straight from AMQP 0.9.1 frames; everything else is left to pika.

pika builds several objects for each of a delivery's three frames and dispatches them through
four layers; that was half of a recorder's CPU time (docs/adr/0010). The format is that of the
AMQP 0.9.1 specification, sections 2.3.5 (frames) and 4.2.6 (content).
"""

from collections.abc import Callable
from struct import Struct

from pika import SelectConnection
from pika.exceptions import InvalidFrameError

_FRAME = Struct(">BHI")
_DELIVER = b"\x00\x3c\x00\x3c"
_METHOD, _HEADER, _BODY = 1, 2, 3
_HEADER_BYTES, _END_BYTES = 7, 1
_END = 0xCE
_TAG = Struct(">QB")
_BODY_SIZE = Struct(">Q")
_LENGTH = Struct(">I")

Deliver = Callable[[str, int, bool, str, bytes, bytes], None]
"""Takes consumer tag, delivery tag, redelivered, exchange, routing key and body."""


class FrameReader:
    """Splits what a broker sends into whole deliveries and other frames, in their order.

    `deliver` gets each delivery, once all of it is here; `other` each other frame as it came.
    What is not whole stays until more comes.
    """

    def __init__(self, deliver: Deliver, other: Callable[[bytes], None]) -> None:
        self._deliver = deliver
        self._other = other
        self._parts: list[bytes] = []
        self._waiting = self._needed = 0

    def feed(self, data: bytes) -> None:
        """Take what came."""
        if self._parts:
            self._parts.append(data)
            self._waiting += len(data)
            if self._waiting < self._needed:
                return
            data = b"".join(self._parts)
        at, size, needed = 0, len(data), 0
        while at + _HEADER_BYTES <= size:
            kind, _, length = _FRAME.unpack_from(data, at)
            end = at + _HEADER_BYTES + length + _END_BYTES
            if end > size and data[at : at + 4] != b"AMQP":
                needed = end - at
                break
            body_at = at + _HEADER_BYTES
            if kind == _METHOD and data[body_at : body_at + 4] == _DELIVER:
                end, needed = self._read_delivery(data, at, end)
                if needed:
                    break
            elif data[at : at + 4] == b"AMQP":
                # A broker of another protocol: pika says so, and the connection ends.
                end = size
                self._other(data[at:])
            else:
                self._other(data[at:end])
            at = end
        self._parts = [data[at:]] if at < size else []
        self._waiting, self._needed = size - at, needed

    def _read_delivery(self, data: bytes, at: int, header_at: int) -> tuple[int, int]:
        """Hand over the delivery that begins at `at`; where it ends, and 0.

        Where it is not whole: how many bytes it has at least, so that a large one is not
        looked at again with every piece that comes.
        """
        size = len(data)
        if header_at + _HEADER_BYTES + 12 > size:
            return at, header_at + _HEADER_BYTES + 12 - at
        kind, _, length = _FRAME.unpack_from(data, header_at)
        _check(data, header_at - 1, kind, _HEADER)
        left: int
        (left,) = _BODY_SIZE.unpack_from(data, header_at + _HEADER_BYTES + 4)
        end: int = header_at + _HEADER_BYTES + length + _END_BYTES
        parts = []
        while left:
            if end + _HEADER_BYTES > size:
                return at, end + _HEADER_BYTES + left + _END_BYTES - at
            _check(data, end - 1, data[end], _BODY)
            (length,) = _LENGTH.unpack_from(data, end + 3)
            body_at = end + _HEADER_BYTES
            end = body_at + length + _END_BYTES
            left -= length
            if end > size:
                return at, end + left - at
            parts.append(data[body_at : body_at + length])
        if end > size:
            return at, end - at
        self._hand_over(data, at + _HEADER_BYTES + 4, parts)
        return end, 0

    def _hand_over(self, data: bytes, at: int, parts: list[bytes]) -> None:
        tag_at = at + 1 + data[at]
        consumer_tag = data[at + 1 : tag_at].decode()
        delivery_tag, redelivered = _TAG.unpack_from(data, tag_at)
        exchange_at = tag_at + _TAG.size
        key_at = exchange_at + 1 + data[exchange_at]
        exchange = data[exchange_at + 1 : key_at].decode()
        key = data[key_at + 1 : key_at + 1 + data[key_at]]
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        self._deliver(consumer_tag, delivery_tag, bool(redelivered & 1), exchange, key, body)


def _check(data: bytes, end_at: int, kind: int, wanted: int) -> None:
    if data[end_at] != _END or kind != wanted:
        raise InvalidFrameError("a delivery's frames are not in the order of AMQP 0.9.1")


def delivering(take: Deliver) -> type[SelectConnection]:
    """A kind of pika's connection whose deliveries go to `take` instead of to pika's channels."""

    class DeliveringConnection(SelectConnection):  # type: ignore[misc]
        _reader: FrameReader | None = None

        def _on_data_available(self, data_in: bytes) -> None:
            if self._reader is None:
                self._reader = FrameReader(take, super()._on_data_available)
            self.bytes_received += len(data_in)
            self._reader.feed(data_in)

    return DeliveringConnection
