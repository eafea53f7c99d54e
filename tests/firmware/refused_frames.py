"""Files of segments that a test makes the flash refuse, on both interpreters."""
# ruff: noqa: PTH107, PTH123, PTH208 - MicroPython has no pathlib

import errno
import os

from device.steamlink import frames


class RefusedFrames:
    """While entered, paths that end in one of `names` are refused; `opened` counts.

    `reads`: so often opening them to read ends with EIO (None: always), after `good` reads.
    `removes`: they cannot be deleted. `lists`: they are folders that cannot be listed.
    """

    def __init__(self, *names, reads=None, good=0, removes=False, lists=False):
        self.names = names
        self.reads = reads
        self.good = good
        self.removes = removes
        self.lists = lists
        self.opened = 0

    def __enter__(self):
        frames.open = self.open
        frames.os = _Os(self)
        return self

    def __exit__(self, *exc):
        del frames.open
        frames.os = os

    def covers(self, path):
        """Whether it is about this file."""
        return any(path.endswith(name) for name in self.names)

    def open(self, path, mode):
        """As builtins.open."""
        if mode == "rb":
            self.opened += 1
            if self.covers(path) and self.reads != 0:
                if self.reads is not None:
                    self.reads -= 1
                return _File(open(path, mode), self.good)
        return open(path, mode)


class _File:
    def __init__(self, file, good):
        self._file = file
        self._good = good

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._file.close()

    def seek(self, at):
        """As of a file."""
        return self._file.seek(at)

    def readinto(self, part):
        """As of a file, or EIO."""
        self._good -= 1
        if self._good < 0:
            raise OSError(errno.EIO, "refused")
        return self._file.readinto(part)


class _Os:
    def __init__(self, refused):
        self._refused = refused

    def __getattr__(self, name):
        return getattr(os, name)

    def remove(self, path):
        """As os.remove, or EIO."""
        if self._refused.removes and self._refused.covers(path):
            raise OSError(errno.EIO, "refused")
        os.remove(path)

    def listdir(self, path):
        """As os.listdir, or EIO."""
        if self._refused.lists and self._refused.covers(path):
            raise OSError(errno.EIO, "refused")
        return os.listdir(path)
