"""Updates a device over the air: a signed archive that it fetches, checks and boots on trial."""

import hashlib
import json
import tarfile
import time
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, build_opener

import msgspec

from bridge.device_commands import Commander, DeviceFault, NoAnswer
from steam.firmware import MAX_BYTES, FirmwareFault, sign

_FETCH_WITHIN_S = 30.0
_LOOK_EVERY_S = 3.0


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """An update as a device is offered it, and the board and version that it is for."""

    url: str
    size: int
    sha256: str
    sig: str
    board: str
    version: str


class _NoRedirects(HTTPRedirectHandler):
    """Devices refuse to be sent elsewhere, so the address must be the final one."""

    def redirect_request(self, *_: Any) -> None:
        return None


def offer_of(file: Path, url: str, *, key: Path | None = None, signature: str = "") -> Offer:
    """Sign the update in `file`, once the address serves the very same; raises DeviceFault.

    `signature` instead of `key`: it was signed elsewhere, where the key is. The device checks it.

    What a web server gives is compared and never signed: whoever can write there, or answer in
    its place, must not choose what devices run.
    """
    try:
        body = file.read_bytes()
        about = _about(body, file)
        signature = signature if key is None else sign(file, key)
    except OSError as error:
        raise DeviceFault(f"{file} cannot be read: {error.strerror}") from None
    except FirmwareFault as fault:
        raise DeviceFault(str(fault)) from None
    sha256 = hashlib.sha256(body).hexdigest()
    served = hashlib.sha256(_fetched(url)).hexdigest()
    if served != sha256:
        raise DeviceFault(
            f"{url} serves another file than {file} (SHA-256 {served}, not {sha256}): copy {file} "
            "there again; if it is not yours, find out who can write there. Nothing was offered"
        )
    return Offer(
        url=url,
        size=len(body),
        sha256=sha256,
        sig=signature,
        board=about["board"],
        version=about["version"],
    )


def update(
    commander: Commander,
    offer: Offer,
    told: Callable[[str], None],
    *,
    within_s: float,
    force: bool = False,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> str:
    """Have a device take an update; returns the version that it answers with after its restart.

    Raises DeviceFault where it refuses, does not come back, or comes back with the old one; and
    where it runs that version already, unless `force`: a version must tell old from new.
    """
    before = commander.do("identify")
    board = before.get("board")
    if board != offer.board:
        raise DeviceFault(f"{commander.device} is a {board}; the update is for a {offer.board}")
    if before.get("fw") == offer.version and not force:
        raise DeviceFault(
            f"{commander.device} runs {offer.version} already: give the update another --version "
            "when you make it, or --force"
        )
    known = _lines(commander)
    args = {name: getattr(offer, name) for name in ("url", "size", "sha256", "sig")}
    commander.do("ota", args)
    told("it fetches the update, then restarts")
    deadline = monotonic() + within_s
    while monotonic() < deadline:
        sleep(_LOOK_EVERY_S)
        try:
            now = commander.do("identify")
            if now.get("boot") != before.get("boot"):
                version = _judged(commander, offer, before, now)
                if now.get("trial") is not True:
                    return version
                continue  # it confirms itself in a moment
            news = [line for line in _lines(commander) if line not in known]
        except NoAnswer:
            continue  # It is not connected while it fetches.
        refused = [line for line in news if "update refused" in line]
        if refused:
            raise DeviceFault(f"{commander.device}: {refused[-1]}")
    raise DeviceFault(
        f"{commander.device} did not come back within {within_s:g} s. After three starts that do "
        "not connect, of half an hour each, it returns to the firmware it had; `steam device command "
        f"{commander.device} log` tells then"
    )


def _judged(
    commander: Commander, offer: Offer, before: Mapping[str, Any], now: Mapping[str, Any]
) -> str:
    """The version that a restarted device answers with; DeviceFault where it is not the update."""
    name, version, slot = commander.device, str(now.get("fw")), now.get("slot")
    why = f"the update did not start; `steam device command {name} log` tells why"
    if version != offer.version:
        raise DeviceFault(
            f"{name} restarted and answers with {version}, not {offer.version}: {why}"
        )
    if slot is not None and slot == before.get("slot"):
        raise DeviceFault(f"{name} restarted with the firmware that it had: {why}")
    return version


def _lines(commander: Commander) -> list[str]:
    lines = commander.do("log").get("lines")
    return [str(line) for line in lines] if isinstance(lines, list) else []


def _fetched(url: str) -> bytes:
    if urlsplit(url).scheme not in ("http", "https"):
        raise DeviceFault(f"{url}: an update is fetched from http:// or https://")
    opener: OpenerDirector = build_opener(_NoRedirects)
    try:
        with opener.open(url, timeout=_FETCH_WITHIN_S) as answer:
            body: bytes = answer.read(MAX_BYTES + 1)
    except (URLError, OSError, ValueError) as error:
        raise DeviceFault(
            f"{url} cannot be fetched from here ({error}), so the device cannot either"
        ) from None
    if len(body) > MAX_BYTES:
        raise DeviceFault(f"{url} is larger than the {MAX_BYTES} bytes that a device takes")
    return body


def _about(body: bytes, file: Path) -> dict[str, str]:
    """What an update says of itself in its update.json."""
    try:
        with tarfile.open(fileobj=BytesIO(body)) as archive:
            member = archive.extractfile("update.json")
            about = json.loads(member.read()) if member is not None else {}
        return {"board": str(about["board"]), "version": str(about["version"])}
    except (tarfile.TarError, KeyError, ValueError, TypeError):
        raise DeviceFault(
            f"{file} is no update: make one with `steam device firmware make BOARD`"
        ) from None
