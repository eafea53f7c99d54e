"""The log of segments in files, on both interpreters."""

import os
import random
import unittest

from device.steamlink.frames import Entry
from device.steamlink.segments import SegmentLog
from tests.firmware import folders


class Losses:
    """Collects what a log says it lost."""

    def __init__(self):
        self.count = 0
        self.told = []

    def __call__(self, boot, first, last, count):
        self.count += count
        self.told.append((boot, first, last, count))


def body(seq, size=100):
    """A payload that is different for each seq."""
    return (b"%010d" % seq) * (size // 10)


def frames(first, last, boot=1, size=100):
    """Frames of a boot with seq from `first` to `last`."""
    return [Entry("data", boot, seq, body(seq, size)) for seq in range(first, last + 1)]


class TestSegments(unittest.TestCase):
    """Frames are kept until they are acknowledged, whatever happens to the files."""

    def setUp(self):
        self.folder = folders.new("segments")
        self.losses = Losses()
        self.log = self.opened()

    def tearDown(self):
        folders.remove(self.folder)

    def opened(self, **bounds):
        """A log that just started, on the files that are there."""
        bounds.setdefault("limit_bytes", 65536)
        bounds.setdefault("segment_bytes", 4096)
        log = SegmentLog(self.folder + "/log", on_lost=self.losses, **bounds)
        log.open()
        return log

    def drain(self, log, acknowledge=True):
        """Hand out everything; returns the seqs."""
        seqs = []
        while log.peek() is not None:
            frame = log.take()
            self.assertEqual(frame.payload, body(frame.seq, len(frame.payload)))
            seqs.append(frame.seq)
            if acknowledge:
                log.acknowledge(frame.position)
        return seqs

    def files(self):
        return sorted(os.listdir(self.folder + "/log"))

    def flip(self, name, at, mask=0x10):
        """Flip bits of one byte of a file."""
        with open(self.folder + "/log/" + name, "rb") as file:
            content = bytearray(file.read())
        content[at] ^= mask
        with open(self.folder + "/log/" + name, "wb") as file:
            file.write(content)

    def test_segments_after_restart_give_what_was_written_in_order(self):
        """All frames are there again, oldest first."""
        self.log.write(frames(1, 100))

        again = self.opened()

        self.assertEqual(again.unacknowledged, 100)
        self.assertEqual(again.oldest(), (1, 1))
        self.assertEqual(self.drain(again), list(range(1, 101)))

    def test_segments_all_acknowledged_leave_no_file(self):
        """A file goes with the last acknowledgement of its frames."""
        self.log.write(frames(1, 100))
        self.assertEqual(len(self.files()), 3)

        self.drain(self.log)

        self.assertEqual(self.files(), [])
        self.assertEqual((self.log.unacknowledged, self.log.oldest()), (0, None))

    def test_segments_restart_sends_again_at_most_one_segment(self):
        """Acknowledged segments are gone; of the one being read all frames come again."""
        self.log.write(frames(1, 100))
        for _ in range(50):
            self.log.peek()
            self.log.acknowledge(self.log.take().position)

        again = self.drain(self.opened())

        self.assertEqual(again[-1], 100)
        self.assertEqual(again, list(range(again[0], 101)))
        self.assertTrue(51 - 4096 // 116 <= again[0] <= 51)

    def test_segments_given_back_come_again_first_with_their_tries(self):
        """A frame without acknowledgement comes before those never handed out."""
        self.log.write(frames(1, 10))
        taken = []
        for _ in range(4):
            self.log.peek()
            taken.append(self.log.take())
        self.log.acknowledge(taken[1].position)

        for frame in (taken[3], taken[0], taken[2]):
            self.assertTrue(self.log.give_back(frame.position, 1))

        self.assertEqual(self.log.peek().tries, 1)
        self.assertEqual(self.drain(self.log), [1, 3, 4, 5, 6, 7, 8, 9, 10])

    def test_segments_acknowledged_twice_count_once(self):
        """A second acknowledgement changes nothing."""
        self.log.write(frames(1, 10))
        self.log.peek()
        position = self.log.take().position
        self.log.acknowledge(position)
        self.log.acknowledge(position)
        self.assertEqual(self.log.unacknowledged, 9)

    def test_segments_full_drop_the_oldest_and_tell(self):
        """The limit holds, the newest stay, and every seq that is gone is told."""
        for seq in range(1, 1001):
            self.log.write(frames(seq, seq))
            size = sum([os.stat(self.folder + "/log/" + name)[6] for name in self.files()])
            self.assertTrue(size <= 65536)

        left = self.drain(self.log)

        self.assertEqual(left, list(range(left[0], 1001)))
        self.assertEqual([told[1] for told in self.losses.told], list(range(1, left[0])))
        self.assertTrue(len(left) * 116 > 65536 - 2 * 4096)

    def test_segments_full_drop_does_not_tell_what_arrived_or_is_under_way(self):
        """Acknowledged frames are not lost; those under way are still with their sender."""
        self.log.write(frames(1, 500))
        taken = []
        for _ in range(6):
            self.log.peek()
            taken.append(self.log.take())
        self.log.acknowledge(taken[0].position)
        self.log.give_back(taken[5].position, 1)

        self.log.drop_oldest()

        lost = [told[1] for told in self.losses.told]
        self.assertEqual(lost, list(range(6, lost[-1] + 1)))
        self.assertFalse(self.log.give_back(taken[1].position, 1))
        self.assertEqual(self.log.peek().seq, lost[-1] + 1)
        self.assertEqual(self.log.unacknowledged, 500 - lost[-1])

    def test_segments_short_of_flash_keep_blocks_free(self):
        """The reserve that littlefs needs is left: the log drops its own oldest before."""
        room = 100000

        def free():
            used = sum([os.stat(self.folder + "/log/" + name)[6] for name in self.files()])
            return room - used

        log = self.opened(limit_bytes=1 << 20, flash_free=free)
        for seq in range(1, 1501):
            log.write(frames(seq, seq))
            self.assertTrue(free() >= 8 * 4096)
        self.assertTrue(self.losses.count > 0)
        self.assertEqual(log.unacknowledged + self.losses.count, 1500)

    def test_segments_make_room_elsewhere_before_they_drop(self):
        """While another log can give way, this one loses nothing."""
        asked = []

        def make_room():
            asked.append(1)
            return len(asked) % 3 != 0

        log = self.opened(flash_free=lambda: 0, make_room=make_room)
        log.write(frames(1, 60))
        self.assertTrue(len(asked) >= 2)
        self.assertEqual(len(self.drain(log)) + self.losses.count, 60)

    def test_segments_with_flipped_bits_give_no_wrong_frame(self):
        """A flip anywhere costs at most the rest of its segment; other segments are whole."""
        random.seed(3)
        self.log.write(frames(1, 100))
        names = self.files()
        per = [os.stat(self.folder + "/log/" + name)[6] // 116 for name in names]
        for _ in range(60):
            which = random.randrange(len(names))
            at = random.randrange(116, per[which] * 116)
            mask = 1 << random.randrange(8)
            self.flip(names[which], at, mask)

            log = self.opened()

            first = sum(per[:which])
            good = list(range(1, first + at // 116 + 1))
            good += list(range(first + per[which] + 1, 101))
            self.assertEqual(self.drain(log, acknowledge=False), good)
            self.assertEqual(log.corrupt, 1)
            self.flip(names[which], at, mask)

    def test_segments_flipped_in_the_first_frame_lose_only_that_file(self):
        """A file whose first frame is damaged has nothing to give and goes."""
        self.log.write(frames(1, 100))
        for at in (0, 2, 5, 9, 13, 60):
            self.flip(self.files()[0], at, 0x40)
            before = len(self.files())
            log = self.opened()
            self.assertEqual((log.corrupt, len(self.files())), (1, before - 1))
            if before == 1:
                break

    def test_segments_flipped_while_running_are_set_aside_and_told(self):
        """What was whole at the start and is not when it is read is lost and told by count."""
        self.log.write(frames(1, 100))
        self.flip(self.files()[0], 116 * 10 + 50)

        seqs = self.drain(self.log)

        self.assertEqual(seqs[:10], list(range(1, 11)))
        self.assertEqual(len(seqs) + self.losses.count, 100)
        self.assertEqual(self.log.unacknowledged, 0)
        self.assertEqual(self.files(), [])

    def test_segments_with_torn_tail_take_new_frames_elsewhere(self):
        """After a torn write the file takes no more; nothing before the tear is lost."""
        self.log.write(frames(1, 10))
        name = self.files()[0]
        with open(self.folder + "/log/" + name, "ab") as file:
            file.write(b"\xa5\x01\x64\x00\x01\x00\x00")
        log = self.opened()

        log.write(frames(11, 12))

        self.assertEqual(len(self.files()), 2)
        self.assertEqual(self.drain(self.opened()), list(range(1, 13)))

    def test_segments_of_garbage_are_removed_and_counted(self):
        """Files without one good frame go; names that are no number are left alone."""
        self.log.write(frames(1, 3))
        for name, content in (("00000007", b"garbage" * 50), ("00000009", b""), ("note.txt", b"x")):
            with open(self.folder + "/log/" + name, "wb") as file:
                file.write(content)

        log = self.opened()

        self.assertEqual(log.corrupt, 1)
        self.assertEqual(self.files(), ["00000000", "note.txt"])
        self.assertEqual(self.drain(log), [1, 2, 3])

    def test_segments_append_after_restart_to_the_last_file(self):
        """Many short boots do not leave many small files."""
        for boot in range(1, 21):
            self.opened().write(frames(1, 1, boot=boot))
        self.assertEqual(len(self.files()), 1)

    def test_segments_walk_sees_all_and_moves_nothing(self):
        """Looking through the log does not hand out."""
        self.log.write(frames(1, 90))
        self.assertEqual([frame.seq for frame in self.log.walk()], list(range(1, 91)))
        self.assertEqual(self.drain(self.log), list(range(1, 91)))

    def test_segments_know_which_boots_wait_for_their_time(self):
        """The mark of undated frames outlasts a restart and goes with the segment."""
        self.log.write(frames(1, 3, boot=2))
        undated = Entry("event", 3, 1, body(1))
        undated.dated = False
        self.log.write([undated])
        log = self.opened()
        self.assertTrue(log.has_undated(3))
        self.assertFalse(log.has_undated(4))
        self.drain(log)
        self.assertFalse(log.has_undated(3))

    def test_segments_in_absent_place_raise_nothing(self):
        """No medium: nothing is written, the faults are counted, nothing is raised."""
        log = SegmentLog("/nowhere/log", limit_bytes=65536, on_lost=self.losses)
        self.assertFalse(log.open())
        self.assertEqual(log.write(frames(1, 3)), 0)
        self.assertIsNone(log.peek())
        self.assertTrue(log.faults >= 2)

    def test_segments_of_large_frames_hold_one_each(self):
        """A frame larger than a segment has its own."""
        log = self.opened(limit_bytes=1 << 20)
        log.write(frames(1, 3, size=65530))
        self.assertEqual(len(self.files()), 3)
        self.assertEqual(self.drain(self.opened(limit_bytes=1 << 20)), [1, 2, 3])

    def test_segments_in_random_use_lose_nothing(self):
        """3,000 random steps beside a plain list: the same frames, none twice but after a restart."""
        random.seed(21)
        log = self.opened(limit_bytes=1 << 20)
        seq = 0
        waiting, flying = set(), {}
        for _ in range(3000):
            step = random.randrange(100)
            if step < 35:
                count = random.randrange(1, 6)
                size = random.choice((20, 600))
                for _ in range(log.write(frames(seq + 1, seq + count, size=size))):
                    seq += 1
                    waiting.add(seq)
            elif step < 65:
                if log.peek() is not None:
                    frame = log.take()
                    waiting.remove(frame.seq)
                    flying[frame.seq] = frame.position
            elif step < 88 and flying:
                done = random.choice(sorted(flying))
                log.acknowledge(flying.pop(done))
            elif step < 98 and flying:
                back = random.choice(sorted(flying))
                self.assertTrue(log.give_back(flying.pop(back), random.randrange(2)))
                waiting.add(back)
            elif step == 98:
                log = self.opened(limit_bytes=1 << 20)
                lost = (waiting | set(flying)) - {frame.seq for frame in log.walk()}
                self.assertEqual(lost, set())
                waiting = {frame.seq for frame in log.walk()}
                flying = {}
            self.assertEqual(log.unacknowledged, len(waiting) + len(flying))
            lowest = min(waiting | set(flying)) if waiting or flying else None
            self.assertEqual(log.oldest(), None if lowest is None else (1, lowest))
        self.assertEqual(self.losses.count, 0)
        self.assertEqual((log.faults, log.corrupt), (0, 0))
