"""Answers every name with the portal's address, so that a phone finds the page (RFC 1035)."""

import asyncio
import socket
import struct

_POLL_S = 0.05
_MOST_BYTES = 512
_HEADER = 12
_RESPONSE = 0x8000
_A = 1
_IN = 1
_MOST_LABEL = 63
_TTL_S = 10


def answer(query: bytes, address: str) -> bytes | None:
    """The answer to a DNS query (RFC 1035 4), None to what is none; only A has an address."""
    if not _HEADER + 5 <= len(query) <= _MOST_BYTES:
        return None
    number, flags, questions = struct.unpack(">HHH", query[:6])
    if flags & _RESPONSE or questions != 1:
        return None
    at = _HEADER
    while at < len(query) and query[at]:
        if query[at] > _MOST_LABEL:
            return None
        at += 1 + query[at]
    if at + 5 > len(query):
        return None
    asked = query[_HEADER : at + 5]
    kind, network = struct.unpack(">HH", query[at + 1 : at + 5])
    known = kind == _A and network == _IN
    reply = struct.pack(">HHHHHH", number, 0x8400 | flags & 0x0100, 1, 1 if known else 0, 0, 0)
    if not known:
        return reply + asked
    place = bytes([int(part) for part in address.split(".")])
    return reply + asked + struct.pack(">HHHIH", 0xC00C, _A, _IN, _TTL_S, 4) + place


async def serve(host: str, port: int, address: str) -> None:
    """Answer until cancelled; OSError if the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        listener.bind(socket.getaddrinfo(host, port)[0][-1])
        listener.setblocking(False)
        while True:
            _answer_one(listener, address)
            await asyncio.sleep(_POLL_S)
    finally:
        listener.close()


def _answer_one(listener: object, address: str) -> None:
    try:
        query, sender = listener.recvfrom(_MOST_BYTES + 1)
        reply = answer(query, address)
        if reply is not None:
            listener.sendto(reply, sender)
    except OSError:
        return  # nothing has come, or who asked has gone
