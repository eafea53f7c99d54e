"""The log of segments in files, on both interpreters."""

import os
import random
import unittest

from device.steamlink.frames import Entry
from device.steamlink.segments import SegmentLog
from tests.firmware import folders
from tests.firmware.refused_frames import RefusedFrames
from tests.firmware.stored_frames import stored


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

    def fail_at(self, seq, fault):
        """Let each reading of a frame end with a fault; returns what undoes it."""
        read = self.log.files.read

        def failing(position):
            entry = read(position)
            if entry is not None and entry.seq == seq:
                raise fault
            return entry

        def undo():
            self.log.files.read = read

        self.log.files.read = failing
        return undo

    def test_segments_frame_whose_file_was_dropped_is_not_held(self):
        """It went to make room before its sender could be noted: nothing of it stays behind."""
        flying = frames(1, 1)
        self.log.write(flying)
        self.log.write(frames(2, 60))
        self.assertTrue(self.log.drop_oldest())

        self.log.hold(flying[0])

        self.assertEqual((self.log._taken, self.log._ahead), ({}, {}))

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

    def test_segments_refused_once_at_the_start_lose_nothing(self):
        """Garbage was read; a file that the flash refused may be well, and comes at its turn."""
        self.log.write(frames(1, 100))
        for name in self.files():
            with RefusedFrames(name, reads=1):
                log = self.opened()

            self.assertEqual((log.faults, log.corrupt), (1, 0))
            self.assertEqual(self.drain(log, acknowledge=False), list(range(1, 101)))
            self.assertEqual(log.unacknowledged, 100)

    def test_segments_refused_midway_at_the_start_lose_nothing(self):
        """What was read before the fault counts at once, the rest at its turn."""
        self.log.write(frames(1, 100))
        with RefusedFrames("00000001", reads=1, good=21):
            log = self.opened()
        self.assertTrue(35 + 30 < log.unacknowledged < 100)

        self.assertEqual(self.drain(log), list(range(1, 101)))
        self.assertEqual((log.unacknowledged, log.corrupt, self.files()), (0, 0, []))

    def test_segments_refused_for_good_stay_for_the_next_start(self):
        """The others go on; the file is not deleted, and may be readable later."""
        self.log.write(frames(1, 100))
        with RefusedFrames("00000001"):
            log = self.opened()
            seqs = self.drain(log)
            for _ in range(3):  # it is tried at its turn; nobody stops at it
                seqs += self.drain(log)
        self.assertEqual((seqs[0], seqs[-1]), (1, 100))
        self.assertEqual((log.unacknowledged, self.files()), (1, ["00000001"]))
        self.assertEqual(log.oldest(), (0, 0))

        seqs += self.drain(self.opened())

        self.assertEqual(sorted(seqs), list(range(1, 101)))
        self.assertEqual((self.losses.count, self.files()), (0, []))

    def test_segments_refused_take_their_place_and_are_told_when_it_is_needed(self):
        """They count as full ones, and what goes with them is told where it can be read by then."""
        self.log.write(frames(1, 100))
        with RefusedFrames("00000000", "00000001", "00000002"):
            log = self.opened()
        self.assertEqual((log.oldest(), log.highest_boot(), log.has_undated(7)), ((0, 0), 0, None))
        for seq in range(101, 801):
            log.write(frames(seq, seq))
            size = sum([os.stat(self.folder + "/log/" + name)[6] for name in self.files()])
            self.assertTrue(size <= 65536)

        seqs = self.drain(log)

        self.assertEqual(seqs, list(range(seqs[0], 801)))
        self.assertEqual([told[1] for told in self.losses.told], list(range(1, seqs[0])))

    def test_segments_full_with_a_file_gone_hold_the_limit(self):
        """A file that somebody deleted is deleted: the log goes on, and tells what it knows."""
        for seq in range(1, 301):
            self.log.write(frames(seq, seq))
        os.remove(self.folder + "/log/00000000")
        for seq in range(301, 1001):
            self.log.write(frames(seq, seq))
            self.assertTrue(len(self.files()) <= 16)
        self.assertEqual(len(self.drain(self.log)) + self.losses.count, 1000)
        self.assertEqual(self.losses.told[0], (1, 1, 35, 35))

    def test_segments_full_with_files_that_stay_drop_the_next(self):
        """Five files cannot be deleted: the sixth goes, the limit holds, and all is told."""
        names = ["{:08d}".format(number) for number in range(5)]
        with RefusedFrames(*names, reads=0, removes=True):
            for seq in range(1, 1501):
                while not self.log.write(frames(seq, seq)):
                    pass  # as the outbox does, later
                self.assertTrue(len(self.files()) <= 16)

            self.assertEqual(self.files()[:5], names)
            seqs = self.drain(self.log)
        self.assertEqual(len(seqs) + self.losses.count, 1500)
        self.assertEqual(seqs[:175], list(range(1, 176)))

    def test_segments_full_where_nothing_can_be_deleted_take_no_more(self):
        """The limit holds; what is there stays and can be read."""
        with RefusedFrames("", reads=0, removes=True):
            taken = sum([self.log.write(frames(seq, seq)) for seq in range(1, 1001)])

            self.assertEqual(len(self.files()), 16)
        self.assertTrue(self.log.faults > 0)
        self.assertEqual(self.drain(self.log), list(range(1, taken + 1)))
        self.assertEqual(self.losses.count, 0)

    def test_segments_set_aside_are_told_by_boot(self):
        """A segment of two boots that cannot be read: the numbers of each."""
        self.log.write(frames(240, 243, boot=8) + frames(1, 7, boot=9))
        self.flip("00000000", 20)

        self.assertIsNone(self.log.peek())

        told = [(boot, first) for boot, first, _, _ in self.losses.told]
        self.assertEqual(told, [(8, s) for s in range(240, 244)] + [(9, s) for s in range(1, 8)])

    def test_segments_refused_while_running_stay_for_the_next_start(self):
        """Flash does not answer three times: the others go on, nothing is lost or deleted."""
        self.log.write(frames(1, 60))
        self.log.peek()
        self.log.take()
        with RefusedFrames("00000000"):
            for _ in range(3):
                self.log._peeked = None
                self.log.peek()
            seqs = self.drain(self.log)
        self.assertEqual((seqs[-1], self.losses.told, self.files()), (60, [], ["00000000"]))
        self.assertEqual((self.log.unacknowledged, self.log.oldest()), (36 - 1, (1, 1)))
        self.log.write(frames(61, 61))
        self.assertEqual(self.drain(self.log), [61])

        self.assertEqual(self.drain(self.opened()), list(range(1, 36)))
        self.assertEqual((self.losses.told, self.files()), ([], []))

    def test_segments_with_one_frame_refused_go_on_behind_it(self):
        """It alone stays for the next start where flash still tells how long it is."""
        self.log.write(frames(1, 5))
        self.fail_at(2, OSError(5))
        seqs = []
        for _ in range(4):
            seqs += self.drain(self.log)
        self.assertEqual((seqs, self.losses.told, self.files()), ([1, 3, 4, 5], [], ["00000000"]))
        self.assertEqual((self.log.unacknowledged, self.log.faults), (1, 3))

        self.assertIn(2, self.drain(self.opened()))
        self.assertEqual((self.losses.told, self.files()), ([], []))

    def test_segments_given_back_and_refused_stay_for_the_next_start(self):
        """A frame that was under way is no more lost than the others."""
        self.log.write(frames(1, 3))
        self.log.peek()
        entry = self.log.take()
        self.log.give_back(entry.position, 1)
        with RefusedFrames("00000000", reads=3):
            for _ in range(3):
                self.assertIsNone(self.log.peek())
        self.assertEqual(self.drain(self.log), [2, 3])
        self.assertEqual((self.log.unacknowledged, self.log.oldest()), (1, (1, 1)))

        self.assertEqual(self.drain(self.opened()), [1, 2, 3])
        self.assertEqual((self.losses.told, self.files()), ([], []))

    def test_segments_refused_while_running_are_told_when_their_place_is_needed(self):
        """Where not even the headers can be read: from the first on, and up to the last."""
        self.log.write(frames(240, 243, boot=8) + frames(1, 7, boot=9))
        with RefusedFrames("00000000"):
            for _ in range(3):
                self.assertIsNone(self.log.peek())
            self.assertEqual(self.losses.told, [])
            self.assertTrue(self.log.drop_oldest())
        self.assertEqual(self.losses.told, [(9, 1, 7, 1), (8, 240, 240, 10)])
        self.assertEqual(self.log.unacknowledged, 0)

    def test_segments_short_of_memory_twice_and_refused_once_lose_nothing(self):
        """Want of memory says nothing about the flash."""
        self.log.write(frames(1, 3))
        read, faults = self.log.files.read, [OSError(5), MemoryError(), MemoryError()]

        def short(position):
            if faults:
                raise faults.pop()
            return read(position)

        self.log.files.read = short
        for _ in range(3):
            self.assertIsNone(self.log.peek())
        self.assertEqual(self.drain(self.log), [1, 2, 3])

    def test_segments_never_readable_are_told_when_their_place_is_needed(self):
        """Each counts as one; the numbers are those between its neighbours, 0 where none are known."""
        self.log.write(frames(1, 35) + frames(40, 60) + frames(80, 90, boot=2))
        self.log.write(frames(100, 110))
        self.assertEqual(self.files(), ["00000000", "00000001", "00000002"])
        for name, told in (("00000001", (1, 1 + 35, 99, 1)), ("00000000", (0, 0, 0, 1))):
            with RefusedFrames(name):
                log = self.opened()
                before = log.unacknowledged
                self.losses.told = []
                for segment in log.segments:
                    if segment.unread:
                        log._drop(segment)
                        break
            self.assertEqual((self.losses.told, log.unacknowledged), ([told], before - 1))

    def test_segments_without_memory_for_a_frame_hold_up_nothing_for_ever(self):
        """It is tried for a while, for memory may come back; then it alone waits for the next start."""
        self.log.write(frames(1, 6))
        undo = self.fail_at(4, MemoryError())
        seqs = self.drain(self.log)
        for _ in range(200):
            self.assertIsNone(self.log.peek())
        undo()
        self.assertEqual(self.log.peek().seq, 4)
        self.log._peeked = None
        self.fail_at(4, MemoryError())
        for _ in range(300):
            self.assertEqual(self.drain(self.log), [])

        self.assertEqual(seqs + self.drain(self.log), [1, 2, 3, 5, 6])
        self.assertEqual((self.log.unacknowledged, self.log.oldest()), (1, (1, 1)))
        self.log.write(frames(7, 7))
        self.assertEqual(self.drain(self.log), [7])
        self.assertIn(4, self.drain(self.opened()))
        self.assertEqual((self.losses.told, self.files()), ([], []))

    def test_segments_given_back_without_memory_wait_for_the_next_start(self):
        """A frame that was under way is no more lost than the others."""
        self.log.write(frames(1, 3))
        self.log.peek()
        self.log.give_back(self.log.take().position, 1)
        self.fail_at(1, MemoryError())
        for _ in range(300):
            self.assertIsNone(self.log.peek())
        self.assertEqual(self.drain(self.log), [2, 3])
        self.assertEqual((self.log.unacknowledged, self.log.oldest()), (1, (1, 1)))

        self.assertIn(1, self.drain(self.opened()))
        self.assertEqual((self.losses.told, self.files()), ([], []))

    def test_segments_without_memory_to_look_where_a_frame_ends_wait(self):
        """While no file can be opened, nothing is passed over."""
        self.log.write(frames(1, 3))
        files = self.log.files
        read, head = files.read, files.head

        def short(position):
            raise MemoryError

        files.read = files.head = short
        for _ in range(1000):
            self.assertIsNone(self.log.peek())
        files.read, files.head = read, head
        self.assertEqual(self.drain(self.log), [1, 2, 3])
        self.assertEqual((self.losses.told, self.files()), ([], []))

    def test_segments_damaged_behind_a_frame_without_memory_lose_only_what_is_damaged(self):
        """What was left for the next start is still there then."""
        self.log.write(frames(1, 5))
        self.flip("00000000", 116 * 3 + 50)
        self.fail_at(2, MemoryError())
        seqs = []
        for _ in range(310):
            seqs += self.drain(self.log)
        self.assertEqual((seqs, [told[1] for told in self.losses.told]), ([1, 3], [4, 5]))
        self.assertEqual((self.log.unacknowledged, self.files()), (1, ["00000000"]))

        self.assertIn(2, self.drain(self.opened()))
        self.assertEqual((self.losses.count, self.files()), (2, []))

    def test_segments_left_for_want_of_memory_are_told_when_their_place_is_needed(self):
        """The file goes: what nobody sent of it is lost."""
        self.log.write(frames(1, 3))
        self.fail_at(2, MemoryError())
        for _ in range(310):
            self.drain(self.log)
        self.assertTrue(self.log.drop_oldest())
        self.assertEqual((self.losses.told, self.log.unacknowledged), ([(1, 1, 3, 1)], 0))

    def test_segments_acknowledged_ahead_are_passed_over_unread(self):
        """A frame that arrived before reading came to it needs no memory, and costs no other."""
        entries = frames(1, 3)
        self.log.write(entries)
        ahead = entries[1]
        self.log.hold(ahead)
        self.log.acknowledge(ahead.position)
        read = self.log.files.read

        def short(position):
            if position == ahead.position:
                raise MemoryError
            return read(position)

        self.log.files.read = short
        self.log.peek()
        self.log.acknowledge(self.log.take().position)

        self.assertEqual(self.log.oldest(), (1, 3))
        self.assertEqual(self.drain(self.log), [3])
        self.assertEqual((self.losses.told, self.log.unacknowledged, self.files()), ([], 0, []))

    def test_segments_held_and_given_back_come_at_their_place(self):
        """One that was never sent is read in order; one that was comes first, and only once."""
        self.log.write(frames(1, 1))
        held = frames(2, 4)
        self.log.write(held + frames(5, 5))
        for entry in held:
            self.log.hold(entry)
        self.log.give_back(held[0].position, 0)
        self.log.give_back(held[1].position, 1)
        self.log.acknowledge(held[2].position)

        self.assertEqual(self.drain(self.log), [3, 1, 2, 5])
        self.assertEqual((self.log.unacknowledged, self.files()), (0, []))

    def test_segments_without_memory_while_writing_stay_readable(self):
        """Nobody knows how the file ends: the next frames go elsewhere."""
        self.log.write(frames(1, 3))
        write = self.log.files._write

        def short(file, entry):
            write(file, entry)
            raise MemoryError

        self.log.files._write = short
        self.assertEqual(self.log.write(frames(4, 5)), 0)
        self.log.files._write = write
        self.assertEqual(self.log.write(frames(4, 5)), 2)

        self.assertEqual(self.drain(self.log), [1, 2, 3, 4, 5])

    def test_segments_that_cannot_be_written_leave_no_file(self):
        """The last frame of a new file finds no memory: what was begun is gone."""
        write = self.log.files._write
        for fault in (MemoryError(), OSError(5)):

            def short(file, entry, fault=fault):
                write(file, entry)
                if entry.seq == 18:
                    raise fault

            self.log.files._write = short
            for _ in range(3):
                self.assertEqual(self.log.write(frames(1, 18)), 0)
                self.assertEqual((self.files(), self.log.unacknowledged), ([], 0))
        self.log.files._write = write
        self.assertEqual(self.log.write(frames(1, 18)), 18)
        self.assertEqual(self.opened().unacknowledged, 18)

    def test_segments_that_can_neither_be_written_nor_deleted_count(self):
        """Flash refuses all: even then there are no more files than the limit allows."""
        write = self.log.files._write

        def refuse(file, entry):
            write(file, entry)
            raise OSError(5)

        self.log.files._write = refuse
        with RefusedFrames("", reads=0, removes=True):
            for _ in range(30):
                self.assertEqual(self.log.write(frames(1, 18)), 0)
        self.assertTrue(len(self.files()) <= 16)
        self.assertEqual(len(self.files()), len(self.log.segments))
        self.assertEqual(self.log.has_undated(2), False)
        self.log.files._write = write
        self.assertEqual(self.log.write(frames(1, 18)), 18)

        self.assertEqual(self.drain(self.log)[-18:], list(range(1, 19)))
        self.assertEqual((self.log.unacknowledged, self.files()), (0, []))

    def test_segments_append_after_restart_to_the_last_file(self):
        """Many short boots do not leave many small files."""
        for boot in range(1, 21):
            self.opened().write(frames(1, 1, boot=boot))
        self.assertEqual(len(self.files()), 1)

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

    def test_segments_never_seen_stand_only_for_the_boots_in_between(self):
        """An unread file keeps no anchor of a boot that cannot be in it."""
        for boot in (2, 4, 5, 8):
            self.log.write(frames(1, 30, boot=boot))
        with RefusedFrames("00000001", "00000002"):
            log = self.opened()
        boots = [boot for boot in range(1, 10) if log.has_undated(boot) is None]
        self.assertEqual(boots, [4, 5, 6, 7, 8])
        with RefusedFrames("00000003"):
            log = self.opened()
        boots = [boot for boot in range(1, 10) if log.has_undated(boot) is None]
        self.assertEqual(boots, [8, 9])

    def test_segments_never_seen_may_hold_the_oldest(self):
        """Until they are looked through, wherever they lie."""
        for which in range(3):
            self.opened().write(frames(1, 100))
            with RefusedFrames(self.files()[which], reads=1):
                log = self.opened()
            self.assertEqual(log.oldest(), (0, 0))
            for seq in range(1, 101):
                log.peek()
                self.assertTrue(log.oldest() <= (1, seq))
                log.acknowledge(log.take().position)
            self.assertIsNone(log.oldest())

    def test_segments_not_listed_may_hold_anything(self):
        """Until the folder is open."""
        self.log.write(frames(1, 3))
        with RefusedFrames("/log", lists=True):
            log = self.opened()
        self.assertEqual((log.oldest(), log.has_undated(7)), ((0, 0), None))
        self.assertTrue(log.open())
        self.assertEqual((log.oldest(), log.has_undated(7)), ((1, 1), False))

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
                lost = (waiting | set(flying)) - {seq for _, seq in stored(log)}
                self.assertEqual(lost, set())
                waiting = {seq for _, seq in stored(log)}
                flying = {}
            self.assertEqual(log.unacknowledged, len(waiting) + len(flying))
            lowest = min(waiting | set(flying)) if waiting or flying else None
            self.assertEqual(log.oldest(), None if lowest is None else (1, lowest))
        self.assertEqual(self.losses.count, 0)
        self.assertEqual((log.faults, log.corrupt), (0, 0))
