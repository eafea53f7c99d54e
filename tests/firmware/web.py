"""A scripted server on loopback, on both interpreters: it sends what a test says, as it says."""

import asyncio
import os

HOST = "127.0.0.1"


async def address_of(_name):
    """Every name is this machine."""
    return HOST


def start_anew() -> None:
    """A fresh event loop: MicroPython's keeps what an earlier test left behind."""
    if not hasattr(asyncio, "AbstractEventLoop"):
        asyncio.new_event_loop()


async def listen(take) -> "tuple[object, int]":
    """Serve `take(reader, writer)` on a free port: (server, port)."""
    while True:
        port = 20000 + int.from_bytes(os.urandom(2), "big") % 12000
        try:
            return await asyncio.start_server(take, HOST, port), port
        except OSError:
            continue


class Server:
    """Answers each connection with the same bytes; `piece` and `pause_s` make it dribble.

    `hang` keeps the connection open afterwards. `requests` keeps what was asked.
    """

    def __init__(self, answer: bytes, piece: int = 1 << 20, pause_s: float = 0, hang=False):
        self.answer = answer
        self.requests = []
        self._piece = piece
        self._pause_s = pause_s
        self._hang = hang

    async def __aenter__(self) -> str:
        self._server, port = await listen(self._take)
        return f"http://{HOST}:{port}"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.sleep(0)

    async def _take(self, reader, writer) -> None:
        try:
            request = b""
            while b"\r\n\r\n" not in request:
                piece = await reader.read(1024)
                if not piece:
                    return
                request += piece
            self.requests.append(request)
            for at in range(0, len(self.answer), self._piece):
                writer.write(self.answer[at : at + self._piece])
                await writer.drain()
                if self._pause_s:
                    await asyncio.sleep(self._pause_s)
            if self._hang:
                await asyncio.sleep(30)
        except OSError:
            return
        finally:
            close(writer)


def close(writer) -> None:
    """End a connection (close() alone does nothing on MicroPython)."""
    writer.close()
    if not hasattr(writer, "transport"):
        writer.s.close()


def ok(body: bytes, length: object = None, more: str = "") -> bytes:
    """A 200 with a body; `length` overrides what is said of it, "" says nothing."""
    said = len(body) if length is None else length
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\n" + more
    if said != "":
        head += f"Content-Length: {said}\r\n"
    return head.encode() + b"\r\n" + body


async def exchange(port: int, raw: bytes, pause_s: float = 0) -> bytes:
    """Send bytes (one by one with a pause) and return all that comes until the end."""
    reader, writer = await asyncio.open_connection(HOST, port)
    received = b""
    try:
        for piece in [raw] if not pause_s else [raw[at : at + 1] for at in range(len(raw))]:
            writer.write(piece)
            await writer.drain()
            if pause_s:
                await asyncio.sleep(pause_s)
        received = await _rest(reader)
    except OSError:
        pass
    finally:
        close(writer)
    return received


async def _rest(reader) -> bytes:
    received = b""
    while True:
        try:
            piece = await reader.read(4096)
        except OSError:
            return received
        if not piece:
            return received
        received += piece
