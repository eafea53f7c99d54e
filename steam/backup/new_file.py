"""Files that are there whole or not at all."""

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from steam.backup.fault import BackupFault

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, at `path` and on the disk once this ends without an exception.

    Only its owner may read it. Raises BackupFault where the disk is full, OSError.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise BackupFault(f"no room for {path} ({error.strerror}); free some there") from None
        raise
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path, pattern: str) -> None:
    """Remove what killed processes left of files whose names match the pattern."""
    for path in folder.glob(f".{pattern}.*"):
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # Its writer is at work.
            path.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """The new name is on the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
