"""One running Steam for each data folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK = ".running.lock"


class FolderInUse(OSError):
    """Another Steam runs on the same data folder."""


def is_held(folder: Path) -> bool:
    """Whether a Steam runs on a data folder at this moment."""
    try:
        with held(folder):
            return False
    except FolderInUse:
        return True


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep a data folder to this process; the lock ends with it. Raises FolderInUse, OSError."""
    file = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUse(
                f"another Steam runs on {folder}; end it, or give this one its own `data_dir`"
            ) from None
        yield
    finally:
        os.close(file)
