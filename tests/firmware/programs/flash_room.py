"""Updates and an outage on a flash as small as the board's: `flash_room.py BOARD BLOCKS LIMIT_KIB TAR BOOTS UPDATES`.

The firmware of TAR lies flat on a littlefs, with the starters in the folder BOOTS, and each update
is the same once more. Messages come in before, between and while. Prints JSON: for each update its
slot or its refusal, the bytes that it took and how many messages were lost by then; at last what an
outage leaves of the store's limits that would fill it twice over.
"""

import asyncio
import json
import os
import sys

from device.steamlink import ota, slots, ustar
from device.steamlink.hal.fake import Board
from device.steamlink.outbox import Outbox
from tests.firmware import updates
from tests.firmware.flash import Flash, mounted

_ROOT = "/small"
_MESSAGE = b"x" * 480


class Device:
    """A board that is offline: each message stays in its store."""

    def __init__(self, name, limit_bytes):
        self.board = Board(_ROOT)
        self.board.name = name
        self.board.flash_free = self._free
        self.seq = 0
        self.store = Outbox(
            _ROOT,
            boot=1,
            limit_bytes=limit_bytes,
            up_ms=lambda: 10000 * self.seq,
            flash_free=self._free,
        )
        self.store.open()
        self.store.begin(1)
        self.store.named("mill", "d1")
        self.store.connected(False)

    def _free(self):
        facts = os.statvfs(_ROOT)
        # Negative where littlefs counts a block twice: so says a board, whose words have 32 bits.
        return facts[1] * (facts[4] - (1 << 32) if facts[4] >> 31 else facts[4])

    def put(self, count):
        """Sample."""
        for _ in range(count):
            self.seq += 1
            payload = b'{"v":1,"b":1,"n":%d,' % self.seq + _MESSAGE + b"}"
            self.store.put("data", self.seq, payload, True, False)
            self.store.tick()
        self.store.flush()

    def deliver(self):
        """The broker is there for a while and takes everything."""
        while True:
            entry = self.store.next_live() or self.store.next_backlog()
            if entry is None:
                return
            self.store.acknowledge(entry)

    def update(self, archive):
        """Take an update while messages go on coming, and start with it."""

        async def fetch(url, take, *, most_bytes, begin, lookup, tls):
            await begin(most_bytes)
            for at in range(0, len(archive), 1024):
                take(archive[at : at + 1024])
                if at % 8192 == 0:
                    self.put(1)
            return len(archive)

        ota.http.fetch = fetch
        before = self._free()
        try:
            slot = asyncio.run(
                ota.update(
                    updates.command(archive, "http://192.0.2.1/u.tar"),
                    self.board,
                    updates.KEY,
                    keep=self.store.room(),
                )
            )
        except (OSError, ValueError) as fault:
            return {"fault": str(fault), "lost": self.store.drops}
        sys.path[:] = [path for path in sys.path if not path.startswith(_ROOT)]
        sys.path.insert(0, slots.choose(_ROOT))
        slots.confirm(_ROOT)
        return {"slot": slot, "took": before - self._free(), "lost": self.store.drops}


def install(archive, starters):
    """As `steam device flash` does."""
    os.mkdir(_ROOT + "/lib")
    unpacker = ustar.Unpacker(_ROOT + "/lib", 1 << 30)
    unpacker.feed(archive)
    unpacker.finish()
    for name in ("boot.py", "main.py", "kit.json"):
        with open(starters + "/" + name) as source, open(_ROOT + "/" + name, "w") as file:
            file.write(source.read())


def main(board, blocks, limit_kib, path, starters, times):
    limit_bytes = int(limit_kib) * 1024
    with open(path, "rb") as file:
        archive = file.read()
    mounted(Flash(int(blocks)), _ROOT)
    install(archive, starters)
    device = Device(board, limit_bytes)
    found = []
    for turn in range(int(times)):
        device.put(turn * limit_bytes // 2048)
        found.append(device.update(archive))
        device.deliver()
    lost = device.store.drops
    device.put(2 * limit_bytes // len(_MESSAGE))
    left = device.store.room()
    print(
        json.dumps({"updates": found, "lost": lost, "left": left, "room": ota.room(len(archive))})
    )


main(*sys.argv[1:])
