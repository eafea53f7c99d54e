"""Fetches one file by http or https, bounded in size and time, piece by piece.

Redirects, chunked bodies and anything but 200 are refused: an update comes from where the
command says, with the size that the command says.
"""

import asyncio
import time

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Callable

_LATE = "{}: not done within {} s"
_MOST_URL = 512
_MOST_LINE = 1024
_MOST_LINES = 64
_PIECE = 1024
_OK = 200
_REDIRECTS = (301, 302, 303, 307, 308)


def split(url: object) -> "tuple[bool, str, int, str]":
    """(https?, host, port, path) of an address; ValueError says what is wrong with it."""
    if not isinstance(url, str) or not 1 <= len(url) <= _MOST_URL:
        raise ValueError("url is text of 1 to {} characters".format(_MOST_URL))
    if not all("!" <= letter <= "~" for letter in url) or "#" in url or "\\" in url:
        raise ValueError("url {!r}: only visible ASCII, no fragment".format(url[:100]))
    secure = url.startswith("https://")
    if not secure and not url.startswith("http://"):
        raise ValueError("url {!r}: only http:// and https://".format(url[:100]))
    rest = url[8 if secure else 7 :]
    end = len(rest)
    for mark in "/?":
        at = rest.find(mark)
        if 0 <= at < end:
            end = at
    place, path = rest[:end], rest[end:]
    host, colon, digits = place.partition(":")
    port = int(digits) if digits.isdigit() else 0 if colon else 443 if secure else 80
    if not host or "@" in place or not 1 <= port <= 65535:  # noqa: PLR2004 - TCP's ports
        raise ValueError("url {!r}: a host, perhaps a port, no user".format(url[:100]))
    return secure, host, port, path if path.startswith("/") else "/" + path


async def fetch(
    url: str,
    sink: "Callable[[bytes], None]",
    *,
    most_bytes: int,
    begin: "Callable | None" = None,
    lookup: "Callable | None" = None,
    tls: object = None,
    idle_s: float = 15,
    total_s: float = 600,
) -> int:
    """GET a file, hand each piece to `sink`, and return how many bytes there were.

    `await begin(length or None)` is done once the server has the file, before its first piece.
    `await lookup(host)` gives the address where the system's way would hold up the loop. `tls` is
    an SSLContext, needed for https. ValueError for what is wrong with the address or
    the answer (and what the sink raises), OSError for what is wrong with the connection.
    """
    try:
        answer = _Answer(url, idle_s, total_s)
        return await asyncio.wait_for(
            _fetch(url, sink, most_bytes, begin, lookup, tls, answer), total_s
        )
    except asyncio.TimeoutError:
        raise OSError(_LATE.format(url, total_s)) from None


async def _fetch(
    url: str,
    sink: "Callable[[bytes], None]",
    most_bytes: int,
    begin: "Callable | None",
    lookup: "Callable | None",
    tls: object,
    answer: "_Answer",
) -> int:
    secure, host, port, path = split(url)
    extra = {}
    if secure:
        if tls is None:
            raise ValueError("url {!r}: https needs a CA: configure mqtt.ca".format(url[:100]))
        extra = {"ssl": tls, "server_hostname": host}
    place = host if lookup is None else await answer.soon(lookup(host))
    reader, writer = await answer.soon(asyncio.open_connection(place, port, **extra))
    answer.reader = reader
    try:
        writer.write(_request(host, port, path))
        await answer.soon(writer.drain())
        length = await answer.head()
        if length is not None and length > most_bytes:
            raise ValueError("{}: {} bytes; at most {}".format(url, length, most_bytes))
        if begin is not None:
            await begin(length)
        return await answer.body(sink, length, most_bytes)
    finally:
        _drop(writer)


def _drop(writer: object) -> None:
    if hasattr(writer, "transport"):
        writer.transport.abort()
    else:
        writer.s.close()  # MicroPython's close() does nothing


def _request(host: str, port: int, path: str) -> bytes:
    # HTTP/1.0 has no chunks, and the server closes at the end.
    lines = (
        "GET {} HTTP/1.0".format(path),
        "Host: {}:{}".format(host, port),
        "User-Agent: steamlink",
        "Accept-Encoding: identity",
        "Connection: close",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


class _Answer:
    """One answer of a server, read with a limit on each wait."""

    def __init__(self, url: str, idle_s: float, total_s: float) -> None:
        self._url = url
        self._idle_s = idle_s
        self._total_s = total_s
        self._until = time.time() + total_s
        self.reader = None
        self._held = b""

    async def soon(self, waited_for: object) -> object:
        """The result of something that must come within the idle time."""
        try:
            result = await asyncio.wait_for(waited_for, self._idle_s)
        except asyncio.TimeoutError:
            raise OSError("{}: nothing came for {} s".format(self._url, self._idle_s)) from None
        # CPython 3.11's wait_for may swallow the cancellation that ends the whole (bpo-42130).
        if time.time() > self._until:
            raise OSError(_LATE.format(self._url, self._total_s))
        return result

    async def head(self) -> int | None:
        """Read status and headers; returns the length of the body if the server says it."""
        status = await self._line()
        words = status.split(None, 2)
        if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():  # noqa: PLR2004
            raise ValueError("{}: the answer is not HTTP".format(self._url))
        code = int(words[1])
        if code in _REDIRECTS:
            raise ValueError("{}: {}: redirects are not followed".format(self._url, code))
        if code != _OK:
            raise ValueError("{}: the server answers {}".format(self._url, code))
        length = None
        for _ in range(_MOST_LINES):
            line = await self._line()
            if not line:
                return length
            name, _, value = line.partition(":")
            length = self._header(name.strip().lower(), value.strip(), length)
        raise ValueError("{}: more than {} headers".format(self._url, _MOST_LINES))

    def _header(self, name: str, value: str, length: int | None) -> int | None:
        if name in ("transfer-encoding", "content-encoding") and value.lower() != "identity":
            raise ValueError("{}: {} {}: only a plain body".format(self._url, name, value[:40]))
        if name != "content-length":
            return length
        if not value.isdigit() or len(value) > 9 or length not in (None, int(value)):  # noqa: PLR2004 - 1 GB
            raise ValueError("{}: content-length {!r}".format(self._url, value[:40]))
        return int(value)

    async def body(
        self, sink: "Callable[[bytes], None]", length: int | None, most_bytes: int
    ) -> int:
        """Hand the body to the sink, piece by piece."""
        done = 0
        while length is None or done < length:
            wanted = _PIECE if length is None else min(_PIECE, length - done)
            piece = self._held[:wanted]
            self._held = self._held[wanted:]
            if not piece:
                piece = await self.soon(self.reader.read(wanted))
            if not piece:
                break
            done += len(piece)
            if done > most_bytes:
                raise ValueError("{}: more than {} bytes".format(self._url, most_bytes))
            sink(piece)
        if length is not None and done < length:
            raise OSError("{}: ended after {} of {} bytes".format(self._url, done, length))
        return done

    async def _line(self) -> str:
        # Not readline(): MicroPython's has no limit.
        end = self._held.find(b"\n")
        while end < 0:
            if len(self._held) > _MOST_LINE:
                raise ValueError("{}: a header of more than {} bytes".format(self._url, _MOST_LINE))
            piece = await self.soon(self.reader.read(_PIECE))
            if not piece:
                raise OSError("{}: ended within the headers".format(self._url))
            self._held += piece
            end = self._held.find(b"\n")
        line, self._held = self._held[:end], self._held[end + 1 :]
        try:
            return line.decode().rstrip("\r")
        except ValueError:
            raise ValueError("{}: the answer is not HTTP".format(self._url)) from None
