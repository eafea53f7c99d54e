"""A device's folder below /tmp and small text files in it, on both interpreters."""
# ruff: noqa: PTH102, PTH106, PTH107, PTH116, PTH123, PTH208 - MicroPython has no pathlib

import binascii
import os


def new(name: str) -> str:
    """A new empty folder."""
    path = "/tmp/steam-" + name + "-" + binascii.hexlify(os.urandom(8)).decode()
    os.mkdir(path)
    return path


def remove(path: str) -> None:
    """Remove a folder of files."""
    for name in os.listdir(path):
        os.remove(path + "/" + name)
    os.rmdir(path)


def write(path: str, content: str) -> None:
    """Write a text file."""
    with open(path, "w") as file:
        file.write(content)


def read(path: str) -> str:
    """Read a text file."""
    with open(path) as file:
        return file.read()


def exists(path: str) -> bool:
    """Whether there is a file."""
    try:
        os.stat(path)
    except OSError:
        return False
    return True
