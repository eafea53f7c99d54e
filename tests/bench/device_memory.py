"""The firmware's heap; MicroPython runs it with the compiled package first on its path.

Prints one line of JSON: bytes after the import of the application, after everything of a running
device is there, and after 1 and 24 simulated hours of 8 metrics every 10 s, with an hour offline.
"""

import gc
import json
import sys

FOLDER = sys.argv[1]


def in_use():
    """Bytes of heap in use, garbage left out."""
    gc.collect()
    gc.collect()
    return gc.mem_alloc()


before = in_use()
from steamlink import app as firmware  # noqa: E402 - what is measured

imported = in_use()

from steamlink.hal import unix  # noqa: E402


class Board(unix.Board):
    """A PC whose time is what the bench says."""

    ticks = 0

    def ticks_ms(self):
        return self.ticks

    def utc_ms(self):
        return 1795392000000 + self.ticks


def hour(device, board, online):
    """Sample, keep and send for an hour."""
    device.link.connected = online
    device.outbox.connected(online)
    for row in range(360):
        board.ticks += 10000
        values = [7.93, 51.4, 175.2, 4.13, 4.2, 103.2, 214, 3.4]
        values[row % 8] += row % 10
        device.measuring.take_row(device.clock.up_ms(), values, {})
        device.outbox.tick()
        if online:
            send(device)


def send(device):
    """What the link does with a broker that acknowledges everything."""
    while True:
        entry = device.outbox.next_live() or device.outbox.next_backlog()
        if entry is None:
            return
        entry.tries += 1
        device.outbox.acknowledge(entry)


def main():
    board = Board(FOLDER)
    device = firmware.App(board)
    device.open()
    running = in_use()
    hours = []
    for number in range(24):
        hour(device, board, online=number != 5)
        hours.append(in_use())
    figures = {
        "after_import": imported - before,
        "running": running - before,
        "after_1_hour": hours[0] - before,
        "after_24_hours": hours[-1] - before,
        "unsent": device.outbox.backlog,
        "drops": device.outbox.drops,
    }
    print(json.dumps(figures))


main()
