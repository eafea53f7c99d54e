"""The name of a processor among the others: stable over restarts, its own while it runs."""

import fcntl
import os
import socket
import tempfile
from itertools import count
from pathlib import Path

_MOST = 1000
"""Numbers tried at most where other users hold them."""


class ReplicaName:
    """The host's name, with the lowest number that no other processor of the host holds.

    It tags the recorder's summaries, so that a restart begins no new series. The lock on
    the number's file ends with the process, however that ends.
    """

    def __init__(self, folder: Path | None = None, host: str | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir())
        self._host = host or socket.gethostname()
        self._file = -1

    def claim(self) -> str:
        """The name, held until `release` or the end of the process; raises OSError."""
        for number in count(1):
            path = self._folder / f"steam-processor-{number}.lock"
            try:
                file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            except PermissionError:
                # In a sticky folder another user's file cannot be opened so: that number is taken.
                if number > _MOST or not path.exists():
                    raise
                continue
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                continue
            self._file = file
            return self._host if number == 1 else f"{self._host}-{number}"
        raise AssertionError

    def release(self) -> None:
        """Give the number back."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
