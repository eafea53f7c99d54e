"""Files that Steam edits: one writer at a time, and never a half-written file."""

import fcntl
import grp
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OWNER_ONLY = 0o600
_GROUP_READS = 0o640


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the editing of `path` for this process; others wait.

    The lock lies in a hidden file beside it, because the file itself is replaced.
    Raises OSError where the folder cannot be written.
    """
    lock = path.with_name(f".{path.name}.lock")
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def replace_text(path: Path, text: str, group: str = "") -> None:
    """Put `text` in place of the content of `path`, all or nothing, also in a power cut.

    Owner and mode stay. A new file is the owner's alone, and `group` may read it where the
    machine has that group and this process may give it the file. Raises OSError.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            _take_over(path, file.fileno(), group)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _take_over(path: Path, descriptor: int, group: str) -> None:
    """Give the new file the owner and mode of the one that it replaces."""
    try:
        old = path.stat()
    except FileNotFoundError:
        os.fchmod(descriptor, _GROUP_READS if _given_to(group, descriptor) else _OWNER_ONLY)
        return
    new = os.fstat(descriptor)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, old.st_mode & 0o7777)


def _given_to(group: str, descriptor: int) -> bool:
    try:
        os.fchown(descriptor, -1, grp.getgrnam(group).gr_gid)
    except (KeyError, PermissionError):
        return False
    return True


def _sync_folder(folder: Path) -> None:
    """Make the renaming itself survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
