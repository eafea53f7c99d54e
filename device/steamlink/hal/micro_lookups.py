"""Names looked up over UDP, without holding up the loop (RFC 1035, RFC 6762).

A board's own getaddrinfo holds up everything for up to 14 s when nobody answers.
"""

import asyncio
import os
import socket
import struct

from ..constant import const  # noqa: TID252 - on a board the package has another name

_PORT = const(53)
_POLL_S = 0.01
_TRY_MS = const(2000)
_MOST_BYTES = const(512)
_HEADER = const(12)
_RECORD = const(10)
_RECURSION = const(0x0100)
_RESPONSE = const(0x8000)
_CODE = const(15)
_NO_NAME = const(3)
_A = const(1)
_IN = const(1)
_CLASS = const(0x7FFF)  # the first bit is mDNS's own (RFC 6762, 10.2)
_POINTER = const(0xC0)
_MOST_LABEL = const(63)
_MULTICAST = ("224.0.0.251", const(5353))


async def address(name: str, server: str, up_ms, timeout_ms: int = 5000) -> str:
    """The IPv4 address of `name`, as text; `server` is "address" or "address:port".

    An address is its own; a name ending in .local is asked of all neighbours, without a server.
    OSError says why there is none.
    """
    if is_address(name):
        return name
    if not server and not name.endswith(".local"):
        raise OSError("{}: no name server is known".format(name))
    number = os.urandom(2)
    question = _question(name)
    query = number + struct.pack(">HHHHH", _RECURSION, 1, 0, 0, 0) + question
    host, _, port = server.partition(":")
    where = (host, int(port) if port else _PORT)
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        link.setblocking(False)
        if name.endswith(".local"):
            where = _MULTICAST
        place = socket.getaddrinfo(where[0], where[1])[0][-1]
        if where != _MULTICAST:
            link.connect(place)  # nobody else is heard
        again = up_ms()
        until = again + timeout_ms
        while True:
            # First: what came while the loop was held up has come in time.
            found = _read(_receive(link), number, question, name)
            if found is not None:
                return found
            now = up_ms()
            if now >= until:
                raise OSError("{}: no answer from {} in {} ms".format(name, where[0], timeout_ms))
            if now >= again:
                again = now + _TRY_MS
                link.sendto(query, place) if where == _MULTICAST else link.send(query)
            await asyncio.sleep(_POLL_S)
    finally:
        link.close()


def is_address(name: str) -> bool:
    """Whether it is an IPv4 address already."""
    parts = name.split(".")
    return len(parts) == 4 and all(p.isdigit() and len(p) < 4 and int(p) < 256 for p in parts)  # noqa: PLR2004 - bytes


def _question(name: str) -> bytes:
    text = b""
    for label in name.rstrip(".").encode().split(b"."):
        if not 0 < len(label) <= _MOST_LABEL:
            raise OSError("{!r} is no name of a host".format(name))
        text += bytes([len(label)]) + label
    return text + struct.pack(">BHH", 0, _A, _IN)


def _receive(link) -> bytes:
    try:
        return link.recv(_MOST_BYTES)
    except OSError:  # nothing has come, or the port is closed: until the time is over
        return b""


def _read(packet: bytes, number: bytes, question: bytes, name: str) -> "str | None":
    """The address in an answer; None for what is no answer to the question."""
    at = _HEADER + len(question)
    asked = packet[_HEADER:at]
    if (
        len(packet) < at
        or packet[:2] != number
        or asked.lower() != question.lower()
        or not _number(packet, 2) & _RESPONSE
    ):
        return None
    code = packet[3] & _CODE
    if code:
        why = "no such name" if code == _NO_NAME else "the name server refuses ({})".format(code)
        raise OSError("{}: {}".format(name, why))
    try:
        for _ in range(_number(packet, 6)):
            while packet[at] and packet[at] < _POINTER:
                at += 1 + packet[at]
            at += 2 if packet[at] else 1
            kind, network, size = (
                _number(packet, at),
                _number(packet, at + 2),
                _number(packet, at + 8),
            )
            at += _RECORD
            place = packet[at : at + size]
            at += size
            # An alias comes before the address of what it stands for.
            if kind == _A and network & _CLASS == _IN and len(place) == 4:  # noqa: PLR2004 - bytes
                return ".".join([str(part) for part in place])
    except IndexError:
        return None  # cut off
    raise OSError("{}: has no IPv4 address".format(name))


def _number(packet: bytes, at: int) -> int:
    return packet[at] << 8 | packet[at + 1]
