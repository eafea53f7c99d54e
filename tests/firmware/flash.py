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
    returned, as drivers do, or raised where `raises`. After a cut set `gone` before files that it
    left open are collected: their finalisers then work on cells that `power_on` throws away.
    """

    def __init__(self, blocks: int, block_bytes: int = 4096) -> None:
        self.blocks = blocks
        self.block_bytes = block_bytes
        self.memory = memoryview(bytearray(b"\xff" * (blocks * block_bytes)))
        self._ones = memoryview(b"\xff" * block_bytes)
        self._kept = None
        self.erases = 0
        self.programmed = 0
        self.operations = 0
        self.reads = 0
        self.cut_at = 0
        self.off = False
        self.gone = False
        self.deaf = False
        self.blind = False
        self.raises = False
        self._cut = PowerCut("the power went")
        self._eio = OSError(errno.EIO)

    def readblocks(self, block, buf, off=0):
        start = block * self.block_bytes + off
        if self.gone:
            for index in range(len(buf)):
                buf[index] = self.memory[start + index]
            return 0
        if self.off:
            raise self._cut
        if self.blind:
            return self._fault()
        self.reads += 1
        buf[:] = self.memory[start : start + len(buf)]
        return 0

    def writeblocks(self, block, buf, off=0):
        start = block * self.block_bytes + off
        size = len(buf)
        if not self.gone:
            if self.off:
                raise self._cut
            if self.deaf:
                return self._fault()
            self.operations += 1
            if self.operations == self.cut_at:
                self.memory[start : start + size // 2] = bytes(buf)[: size // 2]
                self._power_goes()
            self.programmed += size
            self.memory[start : start + size] = buf
            return 0
        for index in range(size):
            self.memory[start + index] = buf[index]
        return 0

    def ioctl(self, op, arg):
        if op == _COUNT:
            return self.blocks
        if op == _SIZE:
            return self.block_bytes
        if op == _ERASE:
            return self._erase(arg)
        return 0

    def power_on(self):
        """The power is back, with what was in the cells when it went."""
        if self._kept is not None:
            self.memory[:] = self._kept
            self._kept = None
        self.off = self.gone = False
        self.cut_at = 0
        self.operations = 0

    def _erase(self, block):
        start = block * self.block_bytes
        if not self.gone:
            if self.off:
                raise self._cut
            if self.deaf:
                return self._fault()
            self.operations += 1
            if self.operations == self.cut_at:
                self._power_goes()
            self.erases += 1
            self.memory[start : start + self.block_bytes] = self._ones
            return 0
        for index in range(self.block_bytes):
            self.memory[start + index] = 0xFF
        return 0

    def _power_goes(self):
        self.off = True
        self._kept = bytes(self.memory)
        raise self._cut

    def _fault(self):
        if self.raises:
            raise self._eio
        return -errno.EIO


def mounted(flash, path: str, fresh: bool = True) -> None:
    """Mount littlefs on `flash` at `path`, made anew where `fresh`."""
    if fresh:
        os.VfsLfs2.mkfs(flash)
    os.mount(os.VfsLfs2(flash), path)


def free_bytes(path: str) -> int:
    """The free bytes of a file system, as a board reports them."""
    status = os.statvfs(path)
    return status[0] * status[3]
