"""The captive portal: a phone enters the Wi-Fi, the broker and the names into a new device.

HTTP on the device's own access point, one request at a time, everything bounded.
"""

import asyncio
import json
import os

from . import contract, portal_names, portal_page, portal_request

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Mapping

_MOST_WAITING = 4
_UNREAD = ("413", "431")
_REQUEST_S = 5
_MOST_PORT = 65535
_HTTP = 80
_UNPRIVILEGED = 8080
_PASSPHRASE = range(8, 64)  # IEEE 802.11: 8 to 63
_LANGUAGES = ("pt", "en")


def access(board: object, password: str = "") -> "tuple[str, str]":
    """Name and password of a board's own network: `steam-` and 4 of its id, and `password`.

    `password` is the configuration's `portal_password`. Without one it is 8 or more of the id,
    which the network's name and its address give away: for a board that has nothing to lose yet.
    """
    identity = board.unique_id()
    return "steam-" + identity[-4:], password or ("00000000" + identity)[-8:]


async def serve(
    board: object,
    config: object,
    *,
    host: "str | None" = None,
    port: "int | None" = None,
    dns_port: "int | None" = 53,
    done: object = None,
    request_s: float = _REQUEST_S,
) -> bool:
    """Open the access point and serve until a configuration is saved (True) or `done` is set.

    `done` is an asyncio.Event. `host` and `port` None: everybody in its own network, at 80, and
    without a radio this machine alone, at 8080, which needs no rights, and without names. OSError
    if the network or a port is not to be had. The access point is closed in any case.
    """
    if host is None:
        host = "0.0.0.0" if board.has_wifi else "127.0.0.1"  # noqa: S104 - its own access point
    if port is None:
        port = _HTTP if board.has_wifi else _UNPRIVILEGED
    name, password = access(board, config.values["portal_password"])
    finished = done if done is not None else asyncio.Event()
    names = None
    try:
        address = await board.network.access_point(name, password)
        portal = Portal(board, config, address, port, finished, request_s)
        server = await _listen(portal, host, port)
        if dns_port is not None and board.has_wifi:
            names = asyncio.create_task(_serve_names(host, dns_port, address))
        try:
            await finished.wait()
        finally:
            server.close()
            await _closed(server, request_s)
    finally:
        if names is not None:
            names.cancel()
        board.network.close_access_point()
    return portal.saved


async def _listen(portal: "Portal", host: str, port: int) -> object:
    try:
        return await asyncio.start_server(portal.take, host, port)
    except OSError as fault:
        # Printed too: a device without a configuration has nobody else to tell.
        text = "portal: cannot listen on {}:{}: {}".format(host, port, fault)
        print(text)  # noqa: T201
        raise OSError(text) from None


async def _closed(server: object, most_s: float) -> None:
    try:  # noqa: SIM105 - MicroPython has no contextlib
        await asyncio.wait_for(server.wait_closed(), most_s)
    except asyncio.TimeoutError:
        pass  # from CPython 3.12.1 on it waits for connections too, and a browser keeps one open


async def _serve_names(host: str, port: int, address: str) -> None:
    """Answer every name with our address; without it the page is there and does not open itself."""
    try:
        await portal_names.serve(host, port, address)
    except OSError as fault:
        print("portal: no names, cannot listen on {}:{}: {}".format(host, port, fault))  # noqa: T201


class Portal:
    """Answers the requests of one portal; `finished` is set once a configuration is saved."""

    def __init__(
        self,
        board: object,
        config: object,
        address: str,
        port: int,
        finished: object,
        request_s: float = _REQUEST_S,
    ) -> None:
        self.saved = False
        self._board = board
        self._config = config
        self._home = "http://" + address + ("" if port == _HTTP else ":" + str(port)) + "/"
        self._finished = finished
        self._request_s = request_s
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def take(self, reader: object, writer: object) -> None:
        """Answer one connection and close it; never raises but on cancellation."""
        if self._waiting >= _MOST_WAITING:
            _close(writer)
            return
        self._waiting += 1
        try:
            async with self._turn:
                await asyncio.wait_for(self._serve(reader, writer), 2 * self._request_s)
        except (OSError, EOFError, ValueError, MemoryError, asyncio.TimeoutError):
            pass  # a phone that goes away or sends nonsense is nothing to report
        finally:
            self._waiting -= 1
            _close(writer)
        if self.saved:
            self._finished.set()

    async def _serve(self, reader: object, writer: object) -> None:
        try:
            request = await asyncio.wait_for(portal_request.read(reader), self._request_s)
            status, more, body = self._answer(*request)
        except portal_request.Refused as refused:
            status, more, body = refused.args[0], "", ""
        except asyncio.TimeoutError:
            status, more, body = "408 Request Timeout", "", ""
        payload = body.encode()
        head = (
            "HTTP/1.1 {}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n"
            "Cache-Control: no-store\r\nX-Frame-Options: DENY\r\n{}Connection: close\r\n\r\n"
        )
        writer.write(head.format(status, len(payload), more).encode())
        writer.write(payload)
        await writer.drain()
        if status[:3] in _UNREAD:
            await portal_request.linger(reader)

    def _answer(self, method: str, target: str, body: bytes) -> "tuple[str, str, str]":
        path, _, query = target.partition("?")
        language = query if query in _LANGUAGES else "pt"
        if path != "/":
            # What phones ask to find out whether they are captive gets the way to the form.
            return "302 Found", "Location: " + self._home + "\r\n", ""
        if method == "GET":
            return "200 OK", "", self._form(language, self._known(), {}, self._losses())
        if method == "POST":
            return self._save(language, portal_request.decode(body))
        raise portal_request.Refused("405 Method Not Allowed")

    def _form(
        self, language: str, fields: "Mapping", faults: "Mapping", notes: "tuple[str, list]"
    ) -> str:
        return portal_page.form(language, access(self._board)[0], fields, faults, notes)

    def _losses(self) -> "tuple[str, list]":
        if self._config.source == "defaults" and self._config.faults:
            return "lost", self._config.faults
        return "", []

    def _known(self) -> dict:
        """What the form begins with: all but the passwords."""
        values = self._config.values
        wifi, mqtt = values["wifi"], values["mqtt"]
        return {
            "ssid": wifi["ssid"],
            "host": mqtt["host"],
            "port": str(mqtt["port"]),
            "user": mqtt["user"],
            "tls": mqtt["tls"],
            "site": values["site"],
            "device": values["device"],
            "has_wifi_password": wifi["password"] != "",
            "has_password": mqtt["password"] != "",
            "has_wifi": self._board.has_wifi,
        }

    def _save(self, language: str, given: dict) -> "tuple[str, str, str]":
        fields = self._known()
        fields["tls"] = False
        fields.update(given)
        faults = {}
        for field in self._wrong(fields):
            ca = self._config.values["mqtt"]["ca"]
            faults[field] = portal_page.fault_text(language, field, ca)
        if faults:
            page = self._form(language, fields, faults, ("", []))
            return "422 Unprocessable Entity", "", page
        try:
            self._config.save(self._merged(fields))
        except (ValueError, OSError) as fault:
            page = self._form(language, fields, {}, ("refused", str(fault).split("; ")))
            return "422 Unprocessable Entity", "", page
        self.saved = True
        return "200 OK", "", portal_page.saved(language, access(self._board)[0], fields)

    def _wrong(self, fields: "Mapping") -> list:
        """The fields that cannot be right."""
        wrong = []
        least = 1 if fields["has_wifi"] else 0
        if not least <= len(fields["ssid"].encode()) <= 32:  # noqa: PLR2004 - IEEE 802.11
            wrong.append("ssid")
        passphrase = fields.get("wifi_password", "")
        if passphrase and len(passphrase) not in _PASSPHRASE:
            wrong.append("wifi_password")
        host = fields["host"]
        if not host or not all("!" <= letter <= "~" for letter in host):
            wrong.append("host")
        port = fields["port"]
        # isdigit() takes the digits of other scripts too.
        digits = 1 <= len(port) <= 5 and all(letter in "0123456789" for letter in port)  # noqa: PLR2004
        if not digits or not 1 <= int(port) <= _MOST_PORT:
            wrong.append("port")
        wrong += [name for name in ("site", "device") if not contract.is_name(fields[name])]
        if fields["tls"] and not _exists(
            self._board.folder + "/" + self._config.values["mqtt"]["ca"]
        ):
            wrong.append("tls")
        return wrong

    def _merged(self, fields: "Mapping") -> dict:
        """The whole configuration with the form's fields in it.

        An empty password keeps the old one, for the same network, or account at the same broker:
        whoever stands here must not have it sent elsewhere, or in clear.
        """
        old = self._config.values
        values = json.loads(json.dumps(old))
        wifi, mqtt = values["wifi"], values["mqtt"]
        if fields.get("wifi_password") or fields["ssid"] != wifi["ssid"]:
            wifi["password"] = fields.get("wifi_password", "")
        there = fields["host"], int(fields["port"]), bool(fields["tls"]), fields["user"]
        elsewhere = there != (mqtt["host"], mqtt["port"], mqtt["tls"], mqtt["user"])
        if fields.get("password") or elsewhere:
            mqtt["password"] = fields.get("password", "")
        if elsewhere:
            mqtt["password_next"] = ""
        wifi["ssid"] = fields["ssid"]
        mqtt["host"], mqtt["port"], mqtt["tls"], mqtt["user"] = there
        values["site"], values["device"] = fields["site"], fields["device"]
        return values


def _close(writer: object) -> None:
    writer.close()
    if not hasattr(writer, "transport"):
        writer.s.close()  # MicroPython's close() does nothing


def _exists(path: str) -> bool:
    try:
        os.stat(path)
    except OSError:
        return False
    return True
