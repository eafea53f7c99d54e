"""The bytes of MQTT 3.1.1 packets (OASIS MQTT 3.1.1, chapters 2 and 3): pure, no input or output.

ValueError says what a caller asked wrongly; Malformed says what a broker sent wrongly.
"""

CONNACK = 0x20
PUBLISH = 0x30
PUBACK = 0x40
SUBACK = 0x90
PINGRESP = 0xD0

PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"

LAST_ID = 65535
REFUSED = 0x80  # SUBACK: the broker does not grant the subscription

_MOST_LENGTH = 268435455  # 4 digits of 7 bits, clause 2.2.3
_LENGTH_DIGITS = 4
_MOST_TEXT = 65535
_DUP = 0x08
_QOS_1 = 0x02
_RETAIN = 0x01
_FLAGS = 0x0F
_CLEAN = 0x02
_WILL_QOS_1 = 0x0C
_PASSWORD = 0x40
_USER = 0x80
_ID_BYTES = 2

_REFUSALS = (
    "",
    "it does not speak MQTT 3.1.1",
    "it does not accept the client id",
    "it is not ready to serve",
    "wrong user name or password",
    "this user may not connect",
)


class Malformed(Exception):
    """A packet that breaks MQTT 3.1.1; the connection must end (clause 4.8)."""


def connect(
    *,
    client_id: str,
    user: str | None,
    password: str | None,
    keepalive_s: int,
    clean: bool,
    will: tuple[str, bytes] | None,
) -> bytes:
    """A CONNECT (clause 3.1); the will is (topic, payload), published with QoS 1, not retained."""
    if password is not None and user is None:
        raise ValueError("a password needs a user name (MQTT 3.1.1, 3.1.2.9)")
    if not 0 <= keepalive_s <= _MOST_TEXT:
        raise ValueError("keepalive of {} s; 0 to 65535".format(keepalive_s))
    flags = _CLEAN if clean else 0
    fields = [_text("client id", client_id)]
    if will is not None:
        flags |= _WILL_QOS_1
        fields.append(_topic(will[0]))
        fields.append(_prefixed("will", bytes(will[1])))
    if user is not None:
        flags |= _USER
        fields.append(_text("user name", user))
    if password is not None:
        flags |= _PASSWORD
        fields.append(_text("password", password))
    start = b"\x00\x04MQTT\x04" + bytes([flags]) + keepalive_s.to_bytes(2, "big")
    return _packet(0x10, start + b"".join(fields))


def publish(
    topic: str, payload: bytes, *, qos: int, packet_id: int, dup: bool = False, retain: bool = False
) -> bytes:
    """A PUBLISH of QoS 0 or 1 (clause 3.3); the packet id is not used with QoS 0."""
    first = PUBLISH
    if retain:
        first |= _RETAIN
    if not qos:
        return _packet(first, _topic(topic), payload)
    if qos != 1:
        raise ValueError("QoS {}; this client speaks 0 and 1".format(qos))
    if dup:
        first |= _DUP
    return _packet(first | _QOS_1, _topic(topic) + _id(packet_id), payload)


def puback(packet_id: int) -> bytes:
    """A PUBACK (clause 3.4)."""
    return b"\x40\x02" + _id(packet_id)


def subscribe(packet_id: int, topic: str, qos: int) -> bytes:
    """A SUBSCRIBE to one topic filter (clause 3.8)."""
    if qos not in (0, 1):
        raise ValueError("QoS {}; this client speaks 0 and 1".format(qos))
    return _packet(0x82, _id(packet_id) + _text("topic", topic) + bytes([qos]))


def length_so_far(digits: bytes) -> int | None:
    """The remaining length (clause 2.2.3) that `digits` say, None while more must follow."""
    if digits[-1] & 0x80:
        if len(digits) == _LENGTH_DIGITS:
            raise Malformed("a remaining length of more than 4 bytes")
        return None
    length = 0
    for digit in reversed(digits):
        length = (length << 7) | (digit & 0x7F)
    return length


def parse_connack(body: bytes) -> tuple[bool, int]:
    """Split a CONNACK into (session present, return code 0..5)."""
    if len(body) != 2 or body[0] > 1 or body[1] >= len(_REFUSALS):  # noqa: PLR2004 - clause 3.2
        raise Malformed("a CONNACK that is none")
    return body[0] == 1, body[1]


def refusal(code: int) -> str:
    """What a CONNACK's return code 1..5 means (clause 3.2.2.3)."""
    return _REFUSALS[code]


def parse_id(body: bytes) -> int:
    """The packet id at the start of a body; 1..65535."""
    packet_id = (body[0] << 8) | body[1] if len(body) >= _ID_BYTES else 0
    if not packet_id:
        raise Malformed("a packet without a packet id")
    return packet_id


def parse_puback(body: bytes) -> int:
    """The packet id of a PUBACK."""
    if len(body) != _ID_BYTES:
        raise Malformed("a PUBACK of {} bytes".format(len(body)))
    return parse_id(body)


def parse_suback(body: bytes) -> tuple[int, int]:
    """Split a SUBACK of one topic into (packet id, granted QoS or REFUSED)."""
    if len(body) != _ID_BYTES + 1 or body[2] not in (0, 1, REFUSED):
        raise Malformed("a SUBACK that was not asked for")
    return parse_id(body), body[2]


def parse_publish_head(first: int, head: bytes) -> tuple[str, int, int]:
    """The start of a PUBLISH: (topic, packet id or 0, where the payload starts).

    `head` may end before the payload does, but holds topic and packet id.
    """
    if first & 0x06 not in (0, _QOS_1):
        raise Malformed("a message of QoS 2 or 3, which nobody subscribed to")
    end = _ID_BYTES + ((head[0] << 8) | head[1]) if len(head) >= _ID_BYTES else 0
    if not _ID_BYTES < end <= len(head):
        raise Malformed("a message whose topic does not fit into it")
    try:
        topic = bytes(head[_ID_BYTES:end]).decode()
    except ValueError:
        raise Malformed("a message whose topic is not UTF-8") from None
    if not first & _QOS_1:
        return topic, 0, end
    return topic, parse_id(head[end : end + _ID_BYTES]), end + _ID_BYTES


def is_retained(first: int) -> bool:
    """Whether a PUBLISH with this first byte is what the broker kept, not something new."""
    return bool(first & _RETAIN)


def check_flags(first: int) -> int:
    """The packet type of a first byte, as one of this module's constants (clause 2.2.2)."""
    kind = first & ~_FLAGS
    if kind not in (CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP):
        raise Malformed("a packet of type {}, which no broker sends".format(first >> 4))
    if kind != PUBLISH and first & _FLAGS:
        raise Malformed("a packet of type {} with wrong flags".format(first >> 4))
    return kind


def _packet(first: int, *parts: bytes) -> bytes:
    length = sum([len(part) for part in parts])
    if length > _MOST_LENGTH:
        raise ValueError("{} bytes; an MQTT packet holds at most 268435455".format(length))
    head = bytearray((first,))
    while length > 0x7F:  # noqa: PLR2004 - 7 bits a digit
        head.append((length & 0x7F) | 0x80)
        length >>= 7
    head.append(length)
    return b"".join((bytes(head),) + parts)  # noqa: RUF005 - smaller on MicroPython


def _id(packet_id: int) -> bytes:
    if not 0 < packet_id <= LAST_ID:
        raise ValueError("packet id {}; 1 to 65535".format(packet_id))
    return packet_id.to_bytes(2, "big")


def _text(what: str, text: str) -> bytes:
    if "\x00" in text:
        raise ValueError("{} with a NUL (MQTT 3.1.1, 1.5.3)".format(what))
    return _prefixed(what, text.encode())


def _topic(topic: str) -> bytes:
    if not topic or "+" in topic or "#" in topic:
        raise ValueError("topic {!r}: empty, or with a wildcard".format(topic[:80]))
    return _text("topic", topic)


def _prefixed(what: str, data: bytes) -> bytes:
    if len(data) > _MOST_TEXT:
        raise ValueError("{} of {} bytes; at most 65535".format(what, len(data)))
    return len(data).to_bytes(2, "big") + data
