"""UTC from NTP servers that may be silent, wrong or lying: a small client of SNTP (RFC 4330)."""

import asyncio
import os
import socket

from . import contract
from .constant import const

_PORT = const(123)
_PACKET_BYTES = const(48)
_POLL_S = 0.005
_READY_S = const(1)
_AGAIN_S = const(4)
_AGREE_MS = const(10000)
_BUSY = (11, 35, 115)  # EAGAIN (Linux, lwIP; BSD), EINPROGRESS
_REQUEST = const(0x23)  # version 4, mode 3: client
_SERVER = const(4)
_UNSYNCHRONISED = const(3)
_MOST_STRATUM = const(15)
_EPOCH_1900_S = const(2208988800)  # 1900-01-01 to 1970-01-01
_ERA_S = const(4294967296)
_ERA_BIT = const(2147483648)
_DAY_MS = const(86400000)
_FIRST_RETRY_MS = const(15000)
_LAST_RETRY_MS = const(900000)


class KissOfDeath(OSError):
    """A server wants no more questions; `code` is its four letters (RFC 5905, 7.4)."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


async def query(host: str, timeout_ms: int, clock: object, resolve: object = None) -> int:
    """Ask `host` ("name" or "name:port") once for UTC in ms, half the round trip added.

    `resolve(name)` gives its address where the system's way would hold up the loop. OSError
    says why there is no time. Answers to other questions than ours are passed over.
    """
    name, _, port = host.partition(":")
    address = await _resolve(name, int(port) if port else _PORT, resolve)
    link = socket.socket(address[0], socket.SOCK_DGRAM)
    try:
        link.setblocking(False)
        link.connect(address[-1])
        question = bytearray(_PACKET_BYTES)
        question[0] = _REQUEST
        # Random instead of our time: nobody who does not see it can answer it.
        question[40:] = cookie = os.urandom(8)
        sent_ms = clock.up_ms()
        link.send(question)
        answer = await _answer(link, host, cookie, sent_ms + timeout_ms, clock)
        return _utc_ms(answer, host) + (clock.up_ms() - sent_ms) // 2
    finally:
        link.close()


async def keep_time(  # noqa: PLR0913 - what a loop for ever depends on
    clock: object,
    hosts: "list[str]",
    *,
    on_time: object = None,
    ready: object = None,
    resolve: object = None,
    random: object = None,
    every_ms: int = 21600000,
    timeout_ms: int = 2000,
    log: object = None,
    sleep: object = asyncio.sleep,
) -> None:
    """Set `clock` from the first of `hosts` that do not stand alone, at once, then every 6 h.

    Nobody is asked while `ready()` is false, as a network is that is down; `resolve` is `query`'s.
    `on_time()` is called after each success; `random()` in [0, 1) spreads the devices; `log`
    (a LogRing) is told of failures. A server that says so is left alone for a day.
    """
    retry_ms = _FIRST_RETRY_MS
    quiet = {}

    def ask(host: str) -> object:
        return query(host, timeout_ms, clock, resolve)

    while True:
        while ready is not None and not ready():
            await sleep(_READY_S)
        if await _round(clock, hosts, quiet, ask, log, sleep):
            if on_time is not None:
                on_time()
            retry_ms = _FIRST_RETRY_MS
            wait_ms = every_ms
        else:
            wait_ms = retry_ms
            retry_ms = min(2 * retry_ms, _LAST_RETRY_MS)
        if random is not None:
            wait_ms = int(wait_ms * (0.75 + 0.5 * random()))
        await _rest(clock, wait_ms, sleep)


async def _round(
    clock: object, hosts: list, quiet: dict, ask: object, log: object, sleep: object
) -> bool:
    """Ask one host after the other until the clock takes a time that is not one host's word alone.

    It agrees with the clock, or with what another host says; where nobody else answers, with
    what the same host says some seconds later.
    """
    said = []
    answered = None
    for host in hosts:
        offset_ms = await _offset(clock, host, quiet, ask, log)
        if offset_ms is None:
            continue
        if (_agrees(offset_ms, said) or _agrees(offset_ms, [clock.offset_ms])) and _take(
            clock, host, offset_ms, log
        ):
            return True
        said.append(offset_ms)
        answered = host
    if len(said) == 1:
        await sleep(_AGAIN_S)
        offset_ms = await _offset(clock, answered, quiet, ask, log)
        if offset_ms is not None and _agrees(offset_ms, said):
            return _take(clock, answered, offset_ms, log)
    if said:
        _note(log, "ntp: {} answers, none agrees with another or the clock".format(len(said)))
    return False


async def _offset(clock: object, host: str, quiet: dict, ask: object, log: object) -> "int | None":
    """What a host says that UTC is ahead of the uptime; None where it says nothing possible."""
    if clock.up_ms() < quiet.get(host, 0):
        return None
    try:
        utc_ms = await ask(host)
        if clock.is_possible(utc_ms):
            return utc_ms - clock.up_ms()
        text = "ntp {}: {} cannot be, not taken".format(host, utc_ms)
    except KissOfDeath as refusal:
        quiet[host] = clock.up_ms() + _DAY_MS
        text = str(refusal)
    except (OSError, ValueError) as fault:
        text = str(fault)
    _note(log, text)
    return None


def _agrees(offset_ms: int, others: list) -> bool:
    return any(other is not None and abs(offset_ms - other) <= _AGREE_MS for other in others)


def _take(clock: object, host: str, offset_ms: int, log: object) -> bool:
    utc_ms = clock.up_ms() + offset_ms
    if clock.set_utc(utc_ms, contract.CLOCK_SYNCHRONISED):
        return True
    _note(log, "ntp {}: {} cannot be, not taken".format(host, utc_ms))
    return False


def _note(log: object, text: str) -> None:
    if log is not None:
        log.note(text)


async def _rest(clock: object, wait_ms: int, sleep: object) -> None:
    # In pieces: on a board that sleeps lightly one long sleep may be late by much.
    until = clock.up_ms() + wait_ms
    while clock.up_ms() < until:
        await sleep(min(60000, max(1, until - clock.up_ms())) / 1000)


async def _resolve(name: str, port: int, resolve: object) -> tuple:
    loop = asyncio.get_event_loop()
    try:
        if resolve is not None:
            name = await resolve(name)
        if hasattr(loop, "getaddrinfo"):  # MicroPython has only the one that blocks
            found = await loop.getaddrinfo(name, port, type=socket.SOCK_DGRAM)
        else:
            found = socket.getaddrinfo(name, port)
    except OSError as fault:
        raise OSError("ntp {}: no address: {}".format(name, fault)) from None
    if not found:
        raise OSError("ntp {}: no address".format(name))
    return found[0]


async def _answer(link: object, host: str, cookie: bytes, until: int, clock: object) -> bytes:
    strays = 0
    while True:
        try:
            packet = link.recv(2 * _PACKET_BYTES)
        except OSError as fault:
            if fault.args[0] not in _BUSY:
                raise OSError("ntp {}: {}".format(host, fault)) from None
            packet = None
        if packet is not None:
            if len(packet) >= _PACKET_BYTES and packet[24:32] == cookie:
                return packet
            strays += 1
        if clock.up_ms() >= until:
            text = "ntp {}: no answer in time, {} answers to something else"
            raise OSError(text.format(host, strays))
        await asyncio.sleep(_POLL_S if packet is None else 0)


def _utc_ms(packet: bytes, host: str) -> int:
    """The transmit time of an answer; OSError says why it is none."""
    mode, leap, stratum = packet[0] & 7, packet[0] >> 6, packet[1]
    if mode != _SERVER:
        raise OSError("ntp {}: mode {} is no server's".format(host, mode))
    if stratum == 0:
        code = "".join([chr(byte) for byte in packet[12:16] if 32 < byte < 127])  # noqa: PLR2004 - printable
        raise KissOfDeath(code, "ntp {}: kiss of death {}".format(host, code))
    if stratum > _MOST_STRATUM or leap == _UNSYNCHRONISED:
        raise OSError("ntp {}: the server has no time itself (stratum {})".format(host, stratum))
    seconds = int.from_bytes(packet[40:44], "big")
    fraction = int.from_bytes(packet[44:48], "big")
    if seconds == 0 and fraction == 0:
        raise OSError("ntp {}: answers with time zero".format(host))
    # RFC 4330, 3: with the first bit clear it counts from 2036-02-07 06:28:16.
    if seconds < _ERA_BIT:
        seconds += _ERA_S
    return (seconds - _EPOCH_1900_S) * 1000 + (fraction * 1000 >> 32)
