"""A TCP connection as a bus: opened when first used, opened again after a fault."""

import asyncio
import gc

_CONNECT_S = 5
_SILENCE_S = 0.002
_CHUNK = 256
_MOST_STALE = 16


class Tcp:
    """Bytes to and from `cfg["host"]`, `cfg["port"]`; `await lookup(host)` gives its address."""

    def __init__(self, cfg, lookup, connect_s: float = _CONNECT_S) -> None:
        host, port = cfg.get("host"), cfg.get("port")
        if not isinstance(host, str) or not host:
            raise ValueError("tcp: host {!r} is no name or address".format(host))
        if not isinstance(port, int) or not 1 <= port <= 65535:  # noqa: PLR2004 - 16 bits
            raise ValueError("tcp: port {!r}; 1 to 65535".format(port))
        self._host = host
        self._port = port
        self._lookup = lookup
        self._connect_s = connect_s
        self._reader = None
        self._writer = None
        self._in = b""
        self._stale = False

    async def write(self, data: bytes) -> None:
        """Send `data`, connecting first if need be; OSError leaves the connection closed."""
        if self._writer is None:
            await self._connect()
        elif self._stale:
            await self._drain_input()
        self._stale = False
        try:
            self._writer.write(data)
            await self._writer.drain()
        except BaseException:
            self._drop()
            raise

    async def read(self, n: int, timeout_ms: int) -> bytes:
        """Up to `n` bytes: fewer when `timeout_ms` is over; OSError when the other side left."""
        if self._reader is None:
            raise OSError("tcp: {}:{} is not connected; write first".format(self._host, self._port))
        try:
            await asyncio.wait_for(self._gather(n), timeout_ms / 1000)
        except asyncio.TimeoutError:
            pass
        except BaseException:
            self._drop()
            raise
        data, self._in = self._in[:n], self._in[n:]
        return data

    def discard(self) -> None:
        """Forget what came and was not read; what is still on its way goes at the next write."""
        self._in = b""
        self._stale = True

    async def close(self) -> None:
        """Close; the next write connects again."""
        self._drop()

    async def _connect(self) -> None:
        self._in = b""
        if hasattr(gc, "mem_free"):  # a board: sockets of attempts that failed are closed by this
            gc.collect()
        try:
            self._reader, self._writer = await asyncio.wait_for(self._open(), self._connect_s)
        except asyncio.TimeoutError:
            raise OSError("tcp: {}:{} does not answer".format(self._host, self._port)) from None

    async def _open(self) -> tuple:
        return await asyncio.open_connection(await self._lookup(self._host), self._port)

    async def _gather(self, n: int) -> None:
        while len(self._in) < n:
            piece = await self._reader.read(n - len(self._in))
            if not piece:
                raise OSError("tcp: {}:{} closed the connection".format(self._host, self._port))
            self._in += piece

    async def _drain_input(self) -> None:
        for _ in range(_MOST_STALE):
            if not await self.read(_CHUNK, int(_SILENCE_S * 1000)):
                return
        self._drop()  # a talker that never stops: begin anew
        await self._connect()

    def _drop(self) -> None:
        writer, self._writer, self._reader = self._writer, None, None
        self._in = b""
        if writer is None:
            return
        transport = getattr(writer, "transport", None)
        if transport is None:
            writer.s.close()  # MicroPython's close() does nothing
        else:
            transport.abort()
