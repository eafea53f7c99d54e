"""The store on the real littlefs: power cuts at every step, a full flash, one that fails.

littlefs is part of MicroPython; CPython has none, so there is nothing here for it to run.
"""

import gc
import os
import random
import unittest

from device.steamlink import codec
from device.steamlink.outbox import Outbox
from tests.firmware.flash import Flash, PowerCut, free_bytes, mounted

START = 1790000000000
PATH = "/cuts"


class Board:
    """A device whose files are on a flash of its own; the power can go at any operation."""

    def __init__(self, blocks, limit_bytes=16384):
        self.flash = Flash(blocks)
        self.limit_bytes = limit_bytes
        self.now = 0
        self.offset = START
        self.dirt = random.randrange(1000)
        mounted(self.flash, PATH)

    def start(self, boot):
        """The firmware opens its store."""
        self.boot = boot
        self.now = 0
        self.box = Outbox(
            PATH,
            boot=boot,
            limit_bytes=self.limit_bytes,
            up_ms=lambda: self.now,
            flash_free=lambda: free_bytes(PATH),
        )
        self.box.open()

    def restart(self, boot):
        """The power comes back: littlefs has to mount what is there."""
        self.box = None
        self.flash.gone = True
        os.umount(PATH)
        gc.collect()
        self.flash.power_on()
        mounted(self.flash, PATH, fresh=False)
        self.start(boot)

    def put(self, seq, kind="data", dated=True):
        """One message."""
        utc_ms = self.now + self.offset if dated else 0
        if kind == "data":
            payload = codec.encode_data(
                boot=self.boot,
                seq=seq,
                up_ms=self.now,
                utc_ms=utc_ms,
                clock=1,
                metrics=["steam_pressure", "water_level"],
                rows=[[row * 1000, 7.93, 51.4] for row in range(20)],
            )
        else:
            payload = codec.encode_event(
                boot=self.boot,
                seq=seq,
                up_ms=self.now,
                utc_ms=utc_ms,
                event="reset",
                details={"n": seq},
            )
        self.box.put(kind, seq, payload, dated, False)


class History:
    """What a board does until the power goes, and what must be true after it."""

    MESSAGES = 44

    def __init__(self, case, cut_at, limit_bytes=32768):
        self.case = case
        self.cut_at = cut_at
        self.limit_bytes = limit_bytes
        self.drops = False
        self.committed = set()
        self.acknowledged = set()
        self.seen = {}
        self.order = []

    def run(self):
        """Returns whether the power went."""
        board = Board(24, self.limit_bytes)
        board.start(1)
        board.put(1, dated=False)
        board.box.flush()
        board.restart(2)
        self.committed.add((1, 1))
        board.flash.cut_at = self.cut_at
        cut = False
        try:
            self.live(board)
        except PowerCut:
            cut = True
        lost = {
            (loss[0], seq)
            for loss in board.box.take_losses()
            for seq in range(loss[1], loss[2] + 1)
        }
        board.restart(3)
        self.after(board, lost)
        os.umount(PATH)
        return cut

    def live(self, board):
        """Undated and dated data, events, reading and acknowledging, the clock in between."""
        for seq in range(1, self.MESSAGES):
            board.now += 60000
            if seq % 11 == 5:
                board.put(seq, kind="event", dated=seq > 15)
            else:
                board.put(seq, dated=seq > 15)
            board.box.flush()
            self.committed.add((2, seq))
            self.drops = board.box.drops > 0
            if seq == 15:
                board.box.set_anchor(2, START)
            if seq > 18:
                self.drain(board, 2 if seq % 3 else 0)

    def drain(self, board, count):
        """Hand out and acknowledge in order."""
        for _ in range(count):
            entry = board.box.next_backlog()
            if entry is None:
                return
            self.look_at(entry)
            self.acknowledged.add((entry.boot, entry.seq))
            board.box.acknowledge(entry)

    def look_at(self, entry):
        """Whole, dated, and the same bytes whenever it is handed out."""
        identity = (entry.boot, entry.seq)
        self.case.assertTrue(entry.payload.startswith(b'{"v":1,') and entry.payload.endswith(b"}"))
        self.case.assertFalse(b'"t":0,' in entry.payload)
        self.case.assertEqual(self.seen.setdefault(identity, entry.payload), entry.payload)

    def after(self, board, lost):
        """Everything committed and neither acknowledged nor told as lost comes."""
        board.box.set_anchor(3, START + 100000000)
        came = {"data": set(), "event": set()}
        while True:
            entry = board.box.next_backlog()
            if entry is None:
                break
            self.look_at(entry)
            self.case.assertFalse((entry.boot, entry.seq) in came[entry.kind])
            came[entry.kind].add((entry.boot, entry.seq))
            board.box.acknowledge(entry)
        all_came = came["data"] | came["event"]
        missing = self.committed - self.acknowledged - lost - all_came
        if self.drops:
            # The power went between deleting the oldest segment and telling it.
            missing = {identity for identity in missing if identity > min(came["data"])}
        self.case.assertEqual(missing, set())
        again = all_came & self.acknowledged
        for part in came.values():
            size = sum([16 + len(self.seen[identity]) for identity in again & part])
            # Dating made them longer than they are in flash: 12 bytes each, and the marks of (1, 1).
            self.case.assertTrue(size <= 4096 + 12 * len(again) + 400)
        self.case.assertEqual((board.box.faults, board.box.corrupt), (0, 0))
        board.put(500)
        self.case.assertTrue(board.box.flush())


if hasattr(os, "VfsLfs2"):

    class TestPowerCuts(unittest.TestCase):
        """The power goes at each block operation in turn."""

        def test_power_cut_at_every_operation_loses_nothing_committed(self):
            """It mounts, hands out no torn frame, loses nothing, sends at most a segment again."""
            cut_at = 1
            while History(self, cut_at).run():
                cut_at += 1
            self.assertTrue(cut_at > 300)

        def test_power_cut_while_the_oldest_is_dropped_loses_only_the_oldest(self):
            """With a store that is full: what is newer than the oldest that is left is there."""
            cut_at = 100
            history = History(self, cut_at, limit_bytes=8192)
            while history.run():
                cut_at += 5
                history = History(self, cut_at, limit_bytes=8192)
            self.assertTrue(history.drops)

    class TestBadFlash(unittest.TestCase):
        """A flash that is full, fails or forgets: nothing is raised, everything is counted."""

        def tearDown(self):
            try:  # noqa: SIM105 - MicroPython has no contextlib
                os.umount(PATH)
            except OSError:
                pass  # a damaged flash did not mount again

        def sent(self, board):
            """Everything that comes, acknowledged."""
            came = []
            while True:
                entry = board.box.next_backlog()
                if entry is None:
                    return came
                came.append((entry.boot, entry.seq))
                board.box.acknowledge(entry)

        def fill(self, board, first, last):
            """Messages, one a minute."""
            for seq in range(first, last + 1):
                board.now += 60000
                board.put(seq, kind="event" if seq % 10 == 0 else "data")
                board.box.tick()

        def lost(self, board):
            """How many messages the store told to be lost."""
            return sum([loss[3] for loss in board.box.take_losses()])

        def test_flash_full_drops_the_oldest_and_goes_on(self):
            """ENOSPC in the middle of writing: the oldest segment goes, each message is told."""
            board = Board(20, limit_bytes=1 << 20)
            board.start(1)
            board.box._data._flash_free = board.box._events._flash_free = None
            self.fill(board, 1, 400)
            board.box.flush()
            lost = self.lost(board)
            board.restart(1)
            came = self.sent(board)
            self.assertEqual(len(came) + lost, 400)
            self.assertEqual(came[-1], (1, 399))
            self.assertEqual([seq for _, seq in came if seq % 10 == 0][:2], [10, 20])
            self.assertTrue(lost < 360)

        def test_flash_short_of_room_keeps_the_blocks_that_littlefs_needs(self):
            """The store drops its oldest before littlefs runs into its end."""
            board = Board(48, limit_bytes=1 << 20)
            board.start(1)
            for first in range(1, 1000, 50):
                self.fill(board, first, first + 49)
                self.assertTrue(free_bytes(PATH) >= 5 * 4096)
            board.box.flush()
            self.assertEqual(board.box.faults, 0)
            lost = self.lost(board)
            self.assertTrue(lost > 0)
            self.assertEqual(len(self.sent(board)) + lost, 1000)

        def test_flash_that_refuses_to_write_leaves_the_ring(self):
            """EIO for an hour: the newest stay in RAM, and reach the flash when it takes them."""
            board = Board(48, limit_bytes=131072)
            board.start(1)
            self.fill(board, 1, 20)
            board.flash.deaf = True
            self.fill(board, 21, 80)
            self.assertTrue(board.box.faults > 0)
            self.assertEqual(self.lost(board), 0)
            board.flash.deaf = False
            board.now += 60000
            board.box.tick()
            lost = self.lost(board)
            self.assertTrue(20 < lost < 60)
            board.restart(1)
            came = self.sent(board)
            self.assertEqual(len(came) + lost, 80)
            self.assertTrue({(1, seq) for seq in range(1, 21)} <= set(came))

        def test_flash_that_raises_on_write_leaves_the_ring(self):
            """The same with a driver that raises; what was in flash is there after a restart."""
            board = Board(48, limit_bytes=131072)
            board.start(1)
            self.fill(board, 1, 20)
            board.flash.deaf = board.flash.raises = True
            self.fill(board, 21, 40)
            self.assertTrue(board.box.faults > 0)
            self.assertEqual(board.box.backlog + self.lost(board), 40)
            board.flash.deaf = False
            board.restart(1)
            self.assertEqual(sorted(self.sent(board)), [(1, seq) for seq in range(1, 21)])

        def test_flash_that_refuses_to_read_is_given_up_and_told(self):
            """EIO on reading: nothing is raised, what cannot be read is lost and told."""
            for raises in (False, True):
                board = Board(48, limit_bytes=131072)
                board.start(1)
                self.fill(board, 1, 40)
                board.box.flush()
                board.flash.blind = True
                board.flash.raises = raises
                for _ in range(60):
                    board.box.next_backlog()
                    board.box.oldest()
                self.assertTrue(board.box.faults > 0)
                self.assertEqual(board.box.backlog + self.lost(board), 40)
                board.flash.blind = False
                board.restart(1)
                if raises:
                    break
                os.umount(PATH)

        def test_flash_that_cannot_be_read_for_a_moment_loses_nothing(self):
            """One failed read is tried again."""
            board = Board(48, limit_bytes=131072)
            board.start(1)
            self.fill(board, 1, 40)
            board.box.flush()
            board.flash.blind = True
            self.assertIsNone(board.box.next_backlog())
            board.flash.blind = False
            self.assertEqual(len(self.sent(board)), 40)

        def test_flash_with_flipped_bits_gives_no_wrong_message(self):
            """Bits flip anywhere in the cells: what comes is whole, nothing is raised.

            littlefs itself may refuse to mount; a board then makes it anew.
            """
            random.seed(4)
            board = Board(24, limit_bytes=32768)
            board.start(1)
            self.fill(board, 1, 30)
            board.box.flush()
            before = bytes(board.flash.memory)
            payloads = {}
            while True:
                entry = board.box.next_backlog()
                if entry is None:
                    break
                payloads[entry.seq] = entry.payload
            whole = 0
            for _ in range(100):
                board.flash.memory[:] = before
                for _ in range(3):
                    at = random.randrange(2 * 4096, len(before))
                    board.flash.memory[at] ^= 1 << random.randrange(8)
                count = 0
                try:
                    board.restart(2)
                except OSError:
                    board.flash.memory[:] = before
                    mounted(board.flash, PATH, fresh=False)
                    continue
                while True:
                    entry = board.box.next_backlog()
                    if entry is None:
                        break
                    self.assertEqual(payloads[entry.seq], entry.payload)
                    count += 1
                whole += count == 30
            self.assertTrue(0 < whole < 100)
