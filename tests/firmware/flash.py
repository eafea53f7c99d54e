"""Flash memory for tests of MicroPython: block devices in RAM under the real littlefs.

No method allocates: littlefs also calls them while the heap is locked (finalisers of files).
"""

import errno
import os

_SYNC, _COUNT, _SIZE, _ERASE = 3, 4, 5, 6


class PowerCut(Exception):
    """The power went; nothing after it happened."""


class Flash:
    """NOR flash of `blocks` blocks: an erase sets ones, a program only what is written.

    `cut_at` is the number of the operation (erase or program, from 1) in which the power goes;
    a program is torn in its middle. `deaf` makes erases and programs, `blind` reads, fail with EIO:
    returned, as drivers do, or raised where `raises`.
    """

    def __init__(self, blocks: int, block_bytes: int = 4096) -> None:
        self.blocks = blocks
        self.block_bytes = block_bytes
        self.memory = memoryview(bytearray(b"\xff" * (blocks * block_bytes)))
        self._ones = memoryview(b"\xff" * block_bytes)
        self.erases = 0
        self.programmed = 0
        self.operations = 0
        self.reads = 0
        self.cut_at = 0
        self.off = False
        self.deaf = False
        self.blind = False
        self.raises = False
        self._cut = PowerCut("the power went")
        self._eio = OSError(errno.EIO)

    def readblocks(self, block, buf, off=0):
        if self.off:
            raise self._cut
        if self.blind:
            return self._fault()
        self.reads += 1
        start = block * self.block_bytes + off
        buf[:] = self.memory[start : start + len(buf)]
        return 0

    def writeblocks(self, block, buf, off=0):
        if self.off:
            raise self._cut
        if self.deaf:
            return self._fault()
        self.operations += 1
        start = block * self.block_bytes + off
        size = len(buf)
        if self.operations == self.cut_at:
            self.off = True
            size //= 2
            for index in range(size):
                self.memory[start + index] = buf[index]
            raise self._cut
        self.programmed += size
        self.memory[start : start + size] = buf
        return 0

    def ioctl(self, op, arg):
        if op == _COUNT:
            return self.blocks
        if op == _SIZE:
            return self.block_bytes
        if op == _ERASE:
            return self._erase(arg)
        return 0

    def _erase(self, block):
        if self.off:
            raise self._cut
        if self.deaf:
            return self._fault()
        self.operations += 1
        if self.operations == self.cut_at:
            self.off = True
            raise self._cut
        self.erases += 1
        start = block * self.block_bytes
        self.memory[start : start + self.block_bytes] = self._ones
        return 0

    def _fault(self):
        if self.raises:
            raise self._eio
        return -5

    def power_on(self):
        """The power is back; what is in the cells stays."""
        self.off = False
        self.cut_at = 0
        self.operations = 0


def mounted(flash, path: str, fresh: bool = True) -> None:
    """Mount littlefs on `flash` at `path`, made anew where `fresh`."""
    if fresh:
        os.VfsLfs2.mkfs(flash)
    os.mount(os.VfsLfs2(flash), path)


def free_bytes(path: str) -> int:
    """The free bytes of a file system, as a board reports them."""
    status = os.statvfs(path)
    return status[0] * status[3]
