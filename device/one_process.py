"""One process to a folder: two would send, count and delete each other's messages."""

import os

from device.steamlink.hal.linux import make_folder

try:
    import fcntl
except ImportError:  # MicroPython; there nobody watches over it
    fcntl = None  # type: ignore[assignment]


def lock(folder: str) -> None:
    """Keep other processes out of `folder`, made if need be, until this one ends.

    The folder itself is locked: no file stays, whoever the process ran as. SystemExit where
    another process has it.
    """
    make_folder(folder)
    if fcntl is None:
        return
    handle = os.open(folder, os.O_RDONLY)  # stays open; another program in this process closes it
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(
            f"folder {folder}: another process runs with it; stop that first "
            "(the service: sudo systemctl stop steam-device), or name another folder"
        ) from None
    except OSError:
        os.close(handle)  # a file system without locks
