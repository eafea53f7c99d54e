"""Takes an update of the firmware: fetches, checks and unpacks it into the idle slot.

The signature is checked before the first byte is fetched, because it covers the SHA-256 that
the command names; what was fetched only boots once it has that SHA-256.
"""

import asyncio
import binascii
import hashlib
import json

from . import http, rsa, slots, ustar

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_BLOCK = 512
_MOST_BYTES = 1048576
# The store leaves 32 KiB free of its own accord; littlefs is copy-on-write, and names take some.
_RESERVE_BYTES = 49152
_DIGITS = 64
_ABOUT = "update.json"


def check(args: "Mapping", key_hex: str) -> bytes:
    """The SHA-256 (32 bytes) of an update whose `url`, `size`, `sha256`, `sig` can be trusted.

    ValueError says what is wrong: malformed, unsigned, signed with another key, or no key.
    """
    url, size, sha256 = args.get("url"), args.get("size"), args.get("sha256")
    http.split(url)
    if not isinstance(size, int) or not _BLOCK <= size <= _MOST_BYTES or size % _BLOCK:
        raise ValueError("ota: size is bytes, a multiple of 512, at most {}".format(_MOST_BYTES))
    if not isinstance(sha256, str) or len(sha256) != _DIGITS:
        raise ValueError("ota: sha256 is 64 hex digits")
    try:
        digest = binascii.unhexlify(sha256)
    except ValueError:
        raise ValueError("ota: sha256 is 64 hex digits") from None
    try:
        rsa.check(digest, args.get("sig"), key_hex)
    except ValueError as fault:
        raise ValueError("ota: {}".format(fault)) from None
    return digest


def room(size: int) -> int:
    """The bytes of flash that an archive of `size` bytes takes once it is unpacked, more or less.

    Twice as much and 48 KiB: a file takes whole blocks of 4 KiB, and most of ours are shorter.
    """
    return 2 * size + 49152


async def update_device(app: object, args: "Mapping") -> bool:
    """Fetch new firmware for `app` (app.App) with its connection to the broker closed, for the memory.

    True asks for a restart; whatever went wrong is told, and the device goes on.
    """
    await asyncio.sleep(1)  # the ack goes first
    try:
        await app.link.close()
        key = app.link.config["ota"]["key"]
        tls = _trusted(app, args["url"])
        await update(args, app.board, key, tls=tls, keep=app.outbox.room())
    except Exception as fault:  # noqa: BLE001 - see above
        app.counters.add("updates_refused")
        why = str(fault) or type(fault).__name__
        app.log.note("update refused: " + why)
        app.session.event("config", {"update": "refused", "fault": why[:200]})
        return False
    else:
        return True
    finally:
        app.link.paused = False


def _trusted(app: object, url: str) -> object:
    """The plant's CA for an update over https."""
    if not url.startswith("https:"):
        return None
    from . import tls

    ca = app.link.config["mqtt"]["ca"]
    app.clock.certificate_time()
    return tls.from_file(app.board.folder + "/" + ca if ca else None)


async def update(
    args: "Mapping",
    board: object,
    key_hex: str,
    progress: "Callable[[int, int], None] | None" = None,
    tls: object = None,
    keep: int = 0,
) -> str:
    """Put an update into the idle slot and let it boot on trial; returns the slot's name.

    `progress(done, size)` counts bytes; `tls` is an SSLContext for https; `keep` are the bytes of
    flash that belong to others, such as a store that is not full. Restart afterwards.
    ValueError or OSError say what went wrong; then the firmware that runs stays as it is, and the
    one in the slot until the server has begun to send another.
    """
    digest = check(args, key_hex)
    folder = board.folder
    name = slots.idle(folder)
    size = args["size"]
    _room_left(board, size, keep, slots.held(folder, name))
    emptied = staged = False

    async def empty() -> ustar.Unpacker:
        nonlocal emptied
        emptied = True
        await _empty(folder, name)
        return ustar.Unpacker(slots.place(folder, name), _room_left(board, size, keep))

    try:
        await _fetch(args["url"], size, digest, empty, progress, board.network.lookup, tls)
        about = _about(slots.place(folder, name))
        _check_board(about, board.name)
        _check_age(about, _made_of_running(folder))
        board.sync()
        slots.stage(folder, name)
        staged = True
        board.sync()
    finally:
        if emptied and not staged:
            await _give_back(folder, name)
    return name


def _room_left(board: object, size: int, keep: int, held: int = 0) -> int:
    """The bytes of flash that an update may take; ValueError where it does not fit in there.

    `held` is what its slot gives back before.
    """
    free = board.flash_free() + held
    left = free - keep - _RESERVE_BYTES
    if left < room(size):
        raise ValueError(
            "ota: {} KiB of flash are free; {} are needed, {} of them by the store: {}".format(
                free // 1024,
                (free - left + room(size)) // 1024,
                keep // 1024,
                "make store.limit_kib smaller" if left + keep >= room(size) else "bring it by USB",
            )
        )
    return left


async def _fetch(
    url: str,
    size: int,
    digest: bytes,
    empty: "Callable",
    progress: "Callable[[int, int], None] | None",
    lookup: "Callable",
    tls: object,
) -> None:
    hashed = hashlib.sha256()
    done = [0]
    unpacker = None

    async def begin(length: "int | None") -> None:
        nonlocal unpacker
        if length not in (None, size):
            raise ValueError("ota: the server has {} bytes; {} were said".format(length, size))
        unpacker = await empty()

    def take(piece: bytes) -> None:
        hashed.update(piece)
        unpacker.feed(piece)
        done[0] += len(piece)
        if progress is not None:
            progress(done[0], size)

    try:
        got = await http.fetch(url, take, most_bytes=size, begin=begin, lookup=lookup, tls=tls)
        if got != size:
            raise ValueError("ota: {} bytes came; {} were said".format(got, size))
        if hashed.digest() != digest:
            raise ValueError("ota: the file is not the one that was signed (sha256 differs)")
        unpacker.finish()
    finally:
        if unpacker is not None:
            unpacker.close()


def _about(folder: str) -> dict:
    """What firmware says of itself; nothing where it says nothing."""
    try:
        with open(folder + "/" + _ABOUT) as file:
            about = json.load(file)
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def _check_board(about: dict, board: str) -> None:
    """ValueError unless the update says that it is for this kind of board."""
    made_for = about.get("board")
    if made_for is None:
        raise ValueError("ota: the update does not say for which board ({})".format(_ABOUT))
    if made_for != board:
        raise ValueError("ota: the update is for {}; this is {}".format(made_for, board))


def _check_age(about: dict, running: "int | None") -> None:
    """ValueError for an update made before what runs: old ones are signed too, faults and all."""
    made = about.get("made")
    if running is not None and (not isinstance(made, int) or made < running):
        raise ValueError(
            "ota: the update was made before the firmware that runs ({} < {}): make it anew; by "
            "USB any goes".format(made, running)
        )


def _made_of_running(folder: str) -> "int | None":
    """When the running firmware was made (UTC seconds), where that is known."""
    name = slots.running(folder)
    # Where it lies flat, beside the package.
    place = slots.place(folder, name) if name else __file__.rsplit("/", 2)[0]
    made = _about(place).get("made")
    return made if isinstance(made, int) else None


async def _empty(folder: str, name: str) -> None:
    for _ in slots.emptying(folder, name):
        await asyncio.sleep(0)


async def _give_back(folder: str, name: str) -> None:
    """Free the flash that a refused update took; what cannot be removed goes at the next one."""
    try:
        for _ in slots.emptying(folder, name):
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                # MicroPython's wait_for cancels its caller twice; the first one goes on.
                continue
    except OSError:
        return
