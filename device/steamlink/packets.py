"""The bytes of MQTT 3.1.1 packets (OASIS MQTT 3.1.1, chapters 2 and 3): pure, no input or output.

ValueError says what a caller asked wrongly; Malformed says what a broker sent wrongly.
"""

from .constant import const

CONNACK = 0x20
PUBLISH = 0x30
PUBACK = 0x40
SUBACK = 0x90
PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"
NOT_GRANTED = 0x80  # in a SUBACK
REFUSALS = (
    "",
    "no MQTT 3.1.1 here",
    "client id not accepted",
    "server not ready",
    "wrong user or password",
    "user not allowed",
)  # by the return code of a CONNACK (clause 3.2.2.3)

_PINGRESP = const(0xD0)
_MOST_TEXT = const(65535)
_DUP = const(0x08)
_QOS_1 = const(0x02)
_QOS_2 = const(0x04)
_RETAIN = const(0x01)
_FLAGS = const(0x0F)
_CLEAN = const(0x02)
_WILL_QOS_1 = const(0x0C)
_PASSWORD = const(0x40)
_USER = const(0x80)
_MORE = const(0x80)
_SEVEN_BITS = const(0x7F)
_LENGTH_DIGITS = const(4)
_CONNACK_BYTES = const(2)
_SUBACK_BYTES = const(3)


class Malformed(Exception):
    """A packet that breaks MQTT 3.1.1; the connection must end (clause 4.8)."""


def connect(
    client_id: str,
    user: str | None,
    password: str | None,
    clean: bool,
    will: tuple[str, bytes] | None,
    keepalive_s: int,
) -> bytes:
    """A CONNECT (clause 3.1); the will is (topic, payload), published with QoS 1, not retained."""
    if password is not None and user is None:  # clause 3.1.2.9
        raise ValueError("a password needs a user name")
    flags = _CLEAN if clean else 0
    body = _field(client_id)
    if will is not None:
        flags |= _WILL_QOS_1
        body += _field(will[0]) + _field(will[1])
    if user is not None:
        flags |= _USER
        body += _field(user)
    if password is not None:
        flags |= _PASSWORD
        body += _field(password)
    start = b"\x00\x04MQTT\x04" + bytes((flags, keepalive_s >> 8, keepalive_s & 0xFF))
    return _packet(0x10, start + body)


def publish(
    topic: str, size: int, *, qos: int, packet_id: int, dup: bool = False, retain: bool = False
) -> bytes:
    """A PUBLISH of QoS 0 or 1 (clause 3.3) up to its payload, of which `size` bytes must follow.

    The packet id is not used with QoS 0.
    """
    first = PUBLISH | (_RETAIN if retain else 0)
    start = _field(topic)
    if qos:
        first |= _QOS_1 | (_DUP if dup else 0)
        start += packet_id.to_bytes(2, "big")
    return _packet(first, start, size)


def puback(packet_id: int) -> bytes:
    """A PUBACK (clause 3.4)."""
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


def subscribe(packet_id: int, topic: str, qos: int) -> bytes:
    """A SUBSCRIBE to one topic filter (clause 3.8)."""
    return _packet(0x82, packet_id.to_bytes(2, "big") + _field(topic) + bytes((qos,)))


def length_so_far(digits: bytes) -> int | None:
    """The remaining length (clause 2.2.3) that `digits` say, None while more must follow."""
    if digits[-1] & _MORE:
        if len(digits) == _LENGTH_DIGITS:
            raise Malformed("a length of 5 bytes")
        return None
    length = 0
    for digit in reversed(digits):
        length = (length << 7) | (digit & _SEVEN_BITS)
    return length


def check_flags(first: int) -> int:
    """The packet type of a first byte, as CONNACK, PUBLISH... (clause 2.2.2)."""
    kind = first & ~_FLAGS
    if kind not in (PUBLISH, first) or kind not in (CONNACK, PUBLISH, PUBACK, SUBACK, _PINGRESP):
        raise Malformed("a packet 0x{:02x}".format(first))
    return kind


def parse_connack(body: bytes) -> tuple[bool, int]:
    """Split a CONNACK into (session present, return code 0..5)."""
    if len(body) != _CONNACK_BYTES or body[0] > 1 or body[1] >= len(REFUSALS):
        raise Malformed("a bad CONNACK")
    return body[0] == 1, body[1]


def parse_id(body: bytes) -> int:
    """The packet id that `body` starts with, 1..65535."""
    packet_id = int.from_bytes(body[:2], "big")
    if len(body) < 2 or not packet_id:  # noqa: PLR2004 - 2 bytes
        raise Malformed("a packet without an id")
    return packet_id


def parse_suback(body: bytes) -> int:
    """The granted QoS of a SUBACK of one topic, or NOT_GRANTED."""
    if len(body) != _SUBACK_BYTES or body[2] not in (0, 1, NOT_GRANTED):
        raise Malformed("a bad SUBACK")
    return body[2]


def parse_publish(first: int, body: bytes) -> tuple[str, int, bool, int]:
    """Split a PUBLISH into (topic, packet id or 0, retained, where the payload starts).

    `body` may end before the payload does, but holds topic and packet id.
    """
    end = 2 + int.from_bytes(body[:2], "big")
    if first & _QOS_2 or not 2 < end <= len(body):  # noqa: PLR2004 - the 2 bytes of its length
        raise Malformed("a bad message")
    try:
        topic = bytes(body[2:end]).decode()
    except ValueError:
        raise Malformed("a topic that is not UTF-8") from None
    retained = bool(first & _RETAIN)
    if not first & _QOS_1:
        return topic, 0, retained, end
    return topic, parse_id(body[end : end + 2]), retained, end + 2


def _packet(first: int, start: bytes, more: int = 0) -> bytes:
    packet = bytearray((first,))
    length = len(start) + more
    while length > _SEVEN_BITS:
        packet.append((length & _SEVEN_BITS) | _MORE)
        length >>= 7
    packet.append(length)
    packet += start
    return packet


def _field(data: "str | bytes") -> bytes:
    """Text or bytes after their length (clause 1.5.3)."""
    if isinstance(data, str):
        if "\x00" in data:
            raise ValueError("text with a NUL")
        data = data.encode()
    if len(data) > _MOST_TEXT:
        raise ValueError("{} bytes where MQTT takes 65535".format(len(data)))
    return len(data).to_bytes(2, "big") + data
