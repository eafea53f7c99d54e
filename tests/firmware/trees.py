"""Folders for tests on both interpreters; MicroPython has no tempfile."""
# ruff: noqa: PTH102, PTH106, PTH107, PTH116, PTH123, PTH208 - MicroPython has no pathlib

import binascii
import os

_DIRECTORY = 0x4000


def new(name: str) -> str:
    """A new empty folder below /tmp."""
    path = "/tmp/steam-" + name + "-" + binascii.hexlify(os.urandom(8)).decode()
    os.mkdir(path)
    return path


def remove(path: str) -> None:
    """Remove a folder and all in it."""
    if os.stat(path)[0] & _DIRECTORY:
        for name in os.listdir(path):
            remove(path + "/" + name)
        os.rmdir(path)
    else:
        os.remove(path)


def write(path: str, content: str) -> None:
    """Write a small file."""
    with open(path, "w") as file:
        file.write(content)


def read(path: str) -> str:
    """Read a small file."""
    with open(path) as file:
        return file.read()


def exists(path: str) -> bool:
    """Whether there is anything."""
    try:
        os.stat(path)
    except OSError:
        return False
    return True


def make(path: str) -> None:
    """Make a folder unless it is there."""
    if not exists(path):
        os.mkdir(path)
