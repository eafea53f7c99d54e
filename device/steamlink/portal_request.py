"""Reads one request of a phone: bounded, and only what the portal's form can have sent."""

import asyncio

_MOST_HEAD = 4096
_MOST_BODY = 4096
_MOST_LINGERING = 32
_LINGER_S = 0.5
_PIECE = 512
_TRIMMED = ("host", "port", "user", "site", "device")
_FIELDS = ("ssid", "wifi_password", "password", "tls", "host", "port", "user", "site", "device")


class Refused(Exception):
    """A request that is answered with a status and nothing else."""


async def read(reader: object) -> "tuple[str, str, bytes]":
    """(method, target, body) of a request; Refused for what is too large, no HTTP, or not ours."""
    held = b""
    while b"\r\n\r\n" not in held:
        if len(held) > _MOST_HEAD:
            raise Refused("431 Request Header Fields Too Large")
        held += await _more(reader)
    at = held.find(b"\r\n\r\n")
    head, body = held[:at], held[at + 4 :]
    try:
        lines = head.decode().split("\r\n")
        method, target, _ = lines[0].split(" ")
        length = _length(_header(lines, "content-length"))
    except ValueError:
        raise Refused("400 Bad Request") from None
    origin = _header(lines, "origin")
    if origin and origin != "http://" + _header(lines, "host"):
        raise Refused("403 Forbidden")  # another page that is open in the same browser
    if length > _MOST_BODY:
        raise Refused("413 Payload Too Large")
    while len(body) < length:
        body += await _more(reader)
    return method, target, body[:length]


async def linger(reader: object) -> None:
    """Read past the rest of a refused request: closing before would take the answer back."""
    for _ in range(_MOST_LINGERING):
        if not await asyncio.wait_for(reader.read(_PIECE), _LINGER_S):
            return


async def _more(reader: object) -> bytes:
    piece = await reader.read(_PIECE)
    if not piece:
        raise OSError("the phone has gone")
    return piece


def _length(digits: str) -> int:
    if digits and not digits.isdigit():
        raise ValueError("content-length")
    return int(digits or "0")


def _header(lines: list, wanted: str) -> str:
    """A header's value, "" where there is none; the first line is the request's."""
    for line in lines[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == wanted:
            return value.strip()
    return ""


def decode(body: bytes) -> dict:
    """The fields of a form (application/x-www-form-urlencoded); Refused for what is no text."""
    fields = {}
    try:
        for pair in body.decode().split("&"):
            name, _, value = pair.partition("=")
            if name in _FIELDS:
                fields[name] = _unquote(value).strip() if name in _TRIMMED else _unquote(value)
    except ValueError:
        raise Refused("400 Bad Request") from None
    if not fields:
        raise Refused("400 Bad Request")
    return fields


def _unquote(text: str) -> str:
    parts = text.replace("+", " ").split("%")
    out = bytearray(parts[0].encode())
    for part in parts[1:]:
        out.append(int(part[:2], 16))
        out.extend(part[2:].encode())
    text = bytes(out).decode()
    if any(letter < " " for letter in text):
        raise ValueError("control characters")
    return text
