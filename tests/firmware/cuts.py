"""A flash whose power goes at a chosen operation, on both interpreters.

On MicroPython it is the real littlefs on blocks in memory, the write at the cut half done. On
CPython it is a folder, cut at each call that changes it. From the cut on every operation raises
PowerCut; `again` brings the power back, with what was written.
"""

import os

from tests.firmware import folders
from tests.firmware.flash import Flash, PowerCut, mounted

LITTLEFS = hasattr(os, "VfsLfs2")
_BLOCK = 512
_BLOCKS = 160


class Littlefs:
    """The flash of a board, mounted."""

    def __init__(self) -> None:
        self.folder = "/steamcut"
        self._flash = Flash(_BLOCKS, _BLOCK)
        mounted(self._flash, self.folder)

    def cut_at(self, operation: int) -> None:
        """The power goes at this operation from now; -1: never."""
        self._flash.power_on()
        self._flash.cut_at = max(0, operation)

    @property
    def operations(self) -> int:
        """So many since `cut_at`."""
        return self._flash.operations

    def again(self) -> None:
        """Power off and on."""
        os.umount(self.folder)
        self._flash.power_on()
        mounted(self._flash, self.folder, fresh=False)

    def close(self) -> None:
        """Away with it."""
        os.umount(self.folder)


class Folder:
    """The same with a folder and the modules that write into it (`open` and `os` are replaced)."""

    def __init__(self, *modules) -> None:
        self.folder = folders.new("cut")
        self.dead = False
        self.operations = 0
        self._left = -1
        self._modules = modules
        for module in modules:
            module.os = _Os(self)
            module.open = self._open

    def cut_at(self, operation: int) -> None:
        """The power goes at this operation from now; -1: never."""
        self._left = operation
        self.operations = 0

    def again(self) -> None:
        """Power off and on."""
        self.dead = False
        self._left = -1

    def close(self) -> None:
        """Away with it."""
        for module in self._modules:
            module.os = os
            del module.open
        folders.remove(self.folder)

    def count(self) -> bool:
        """Count an operation; True at the cut; PowerCut after it."""
        self.operations += 1
        if self.dead:
            raise PowerCut("the power went")
        self._left -= 1
        self.dead = self._left == 0
        return self.dead

    def _open(self, path, mode="r"):
        if "w" in mode and self.count():
            raise PowerCut("the power went")
        if self.dead:
            raise PowerCut("the power went")
        file = open(path, mode)  # noqa: PTH123, SIM115 - MicroPython has no pathlib; the caller closes
        return _File(file, self) if "w" in mode else file


class _File:
    def __init__(self, file, flash) -> None:
        self._file = file
        self._flash = flash

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def write(self, content):
        if self._flash.count():
            self._file.write(content[: len(content) // 2])
            self._file.flush()
            raise PowerCut("the power went")
        return self._file.write(content)

    def flush(self):
        self._file.flush()

    def fileno(self):
        return self._file.fileno()

    def close(self):
        self._file.close()


class _Os:
    """os, with a count at each function that changes the flash."""

    def __init__(self, flash) -> None:
        self._flash = flash
        self.fsync = os.fsync

    def __getattr__(self, name):
        return self._counted(name) if name in _CHANGING else getattr(os, name)

    def _counted(self, name):
        def call(*arguments):
            if self._flash.count():
                raise PowerCut("the power went")
            return getattr(os, name)(*arguments)

        return call


_CHANGING = ("mkdir", "rmdir", "remove", "rename")


def flash(*modules):
    """The flash of this interpreter; `modules` are those that write into it."""
    return Littlefs() if LITTLEFS else Folder(*modules)
