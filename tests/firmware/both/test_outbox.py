"""The outbox: what waits for its acknowledgement, on both interpreters."""

import json
import os
import random
import unittest

from device.steamlink import codec, dating, frames, times
from device.steamlink.losses import Losses
from device.steamlink.outbox import Outbox
from tests.firmware import folders
from tests.firmware.refused_frames import RefusedFrames
from tests.firmware.stored_frames import stored

START = 1790000000000
LIMIT = 131072


class Device:
    """One device over several boots: numbers messages and puts them, as the session does."""

    def __init__(self, folder, **bounds):
        self.folder = folder
        self.bounds = bounds
        self.bounds.setdefault("limit_bytes", LIMIT)
        self.boot = 0
        self.now = 0
        self.start()

    def start(self, after_ms=0):
        """A boot: the uptime begins anew."""
        self.boot += 1
        self.now = after_ms
        self.seq = 0
        self.offset = None
        self.box = Outbox(self.folder, boot=self.boot, up_ms=lambda: self.now, **self.bounds)
        self.box.open()
        return self.box

    def sync(self, start_utc_ms):
        """The clock is set."""
        self.offset = start_utc_ms
        self.box.set_anchor(self.boot, start_utc_ms)

    def wait(self, seconds):
        """Time passes, with the tick of each second."""
        for _ in range(seconds):
            self.now += 1000
            self.box.tick()

    def data(self, live=False, size=0, age_ms=0):
        """One message of one row, `size` bytes longer than it needs to be."""
        self.seq += 1
        up_ms = max(0, self.now - age_ms)
        payload = codec.encode_data(
            boot=self.boot,
            seq=self.seq,
            up_ms=up_ms,
            utc_ms=0 if self.offset is None else up_ms + self.offset,
            clock=1,
            metrics=["level"],
            rows=[[0, 1.5]],
        )
        payload = payload[:-1] + b" " * size + payload[-1:]
        self.box.put("data", self.seq, payload, self.offset is not None, live)
        return self.seq

    def event(self, live=False, details=None):
        """One event."""
        self.seq += 1
        payload = codec.encode_event(
            boot=self.boot,
            seq=self.seq,
            up_ms=self.now,
            utc_ms=0 if self.offset is None else self.now + self.offset,
            event="alarm_edge",
            details=details or {"n": self.seq},
        )
        self.box.put("event", self.seq, payload, self.offset is not None, live)
        return self.seq

    def sent(self, acknowledge=True):
        """Everything of the backlog that comes now, as entries."""
        entries = []
        while True:
            entry = self.box.next_backlog()
            if entry is None:
                return entries
            entries.append(entry)
            if acknowledge:
                self.box.acknowledge(entry)

    def files(self):
        """How many segments of data there are."""
        return len(os.listdir(self.folder + "/data"))


def ids(entries):
    """The identities of entries."""
    return [(entry.boot, entry.seq) for entry in entries]


def utc(entry):
    """The time in the payload of an entry."""
    return json.loads(entry.payload)["t"]


class OutboxCase(unittest.TestCase):
    """A device with a folder of its own."""

    def setUp(self):
        self.folder = folders.new("outbox")
        self.device = Device(self.folder)

    def tearDown(self):
        folders.remove(self.folder)


class TestOutbox(OutboxCase):
    """RAM while online, flash otherwise, nothing lost on the way."""

    def padded(self, count, size):
        """So many events of some size."""
        for _ in range(count):
            self.device.event(details={"n": "x" * size})

    def test_outbox_frame_behind_what_is_read_goes_into_a_file_of_its_own(self):
        """An event given back and a live one of a file that came and went hide no later one."""
        for live in (False, True):
            self.tearDown()
            self.setUp()
            device = self.device
            device.sync(START)
            self.padded(11, 260)
            box = device.box
            box.connected(True)
            flying = device.sent(acknowledge=False)
            for entry in flying:
                entry.tries = 1
            for entry in flying[:-1]:
                box.acknowledge(entry)
            box.connected(False)
            box.give_back(flying[-1:])
            box.connected(True)
            device.event(live=True, details={"n": "x" * 320})
            box.acknowledge(box.next_live())
            device.event(live=live, details={})

            if live:
                box.acknowledge(box.next_live())
            self.assertEqual(ids(device.sent()), [(1, 11)] if live else [(1, 11), (1, 13)])
            self.assertEqual((box.backlog, box.oldest()), (0, None))
            self.assertEqual(os.listdir(self.folder + "/events"), [])

    def test_outbox_frame_without_memory_hides_no_later_event(self):
        """It waits for the next start; what comes after it goes out in this one."""
        device = self.device
        device.sync(START)
        self.padded(11, 260)
        box = device.box
        box.connected(True)
        for _ in range(10):
            box.acknowledge(box.next_backlog())
        read = box._events.files.read

        def short(_):
            raise MemoryError

        box._events.files.read = short
        for _ in range(300):
            box.next_backlog()
        box._events.files.read = read
        device.event(live=True, details={"n": "x" * 320})
        box.acknowledge(box.next_live())
        box.connected(False)
        device.event(details={})
        box.connected(True)
        self.assertEqual(ids(device.sent()), [(1, 13)])

        device.start()

        self.assertIn((1, 11), ids(device.sent()))

    def test_outbox_online_writes_no_data_to_flash(self):
        """Live rows leave RAM with their acknowledgement; flash is not touched."""
        device = self.device
        device.sync(START)
        device.box.connected(True)
        for _ in range(200):
            device.data(live=True)
            device.wait(2)
            entry = device.box.next_live()
            self.assertEqual((entry.kind, entry.live, entry.seq), ("data", True, device.seq))
            self.assertIsNone(device.box.next_live())
            device.box.acknowledge(entry)
        self.assertEqual((device.files(), device.box.backlog, device.box.drops), (0, 0, 0))
        self.assertIsNone(device.box.oldest())

    def test_outbox_offline_spills_after_the_time(self):
        """Nothing is written for 30 s; then all is, and after a restart all is there."""
        device = self.device
        device.sync(START)
        device.box.connected(True)
        device.box.connected(False)
        for _ in range(5):
            device.data()
        device.wait(29)
        self.assertEqual(device.files(), 0)
        device.wait(1)
        self.assertEqual((device.files(), device.box.backlog), (1, 5))

        device.start()

        self.assertEqual(device.box.backlog, 5)
        self.assertEqual(ids(device.sent()), [(1, seq) for seq in range(1, 6)])

    def test_outbox_killed_at_any_second_has_lost_only_the_last_minute(self):
        """Rows of 60 s ago are in flash at any time, offline or on a link that does not answer."""
        random.seed(5)
        for case in range(12):
            device = Device(folders.new("outbox"), limit_bytes=1 << 20)
            device.sync(START)
            device.box.connected(case % 2 == 0)
            made = []
            for _ in range(random.randrange(100, 600)):
                device.wait(1)
                if random.randrange(6) == 0:
                    age_ms = random.randrange(30000)
                    device.data(live=case % 2 == 0, age_ms=age_ms)
                    made.append((device.now - age_ms, device.seq))
            killed_at = device.now
            device.start()
            kept = set(ids(device.sent()))
            for row_ms, seq in made:
                if row_ms <= killed_at - 60000:
                    self.assertIn((1, seq), kept)
            folders.remove(device.folder)

    def test_outbox_commits_offline_once_a_minute(self):
        """Slow rows do not wear the flash: a minute passes between two writes."""
        device = self.device
        device.sync(START)
        device.wait(31)
        written = []
        path = self.folder + "/data/00000000"
        size = 0
        for second in range(600):
            if second % 6 == 0:
                device.data()
            device.wait(1)
            now = os.stat(path)[6] if device.files() else 0
            if now != size:
                size = now
                written.append(second)
        self.assertTrue(9 <= len(written) <= 12)

    def test_outbox_commits_when_enough_bytes_wait(self):
        """Fast rows are written in pieces of some 4 KiB."""
        device = self.device
        device.sync(START)
        device.wait(31)
        device.data()
        for _ in range(6):
            device.data(size=1000)
        self.assertEqual(device.files(), 1)
        self.assertTrue(device.box.backlog == 7)

    def test_outbox_ring_that_fills_while_online_spills(self):
        """A link that is up but slow does not cost a message."""
        device = self.device
        device.sync(START)
        device.box.connected(True)
        for _ in range(40):
            device.data(live=True, size=800)
        self.assertTrue(device.files() > 0)
        self.assertEqual(device.box.drops, 0)
        seen = ids(device.sent())
        while True:
            entry = device.box.next_live()
            if entry is None:
                break
            seen.append((entry.boot, entry.seq))
            device.box.acknowledge(entry)
        self.assertEqual(sorted(seen), [(1, seq) for seq in range(1, 41)])

    def test_outbox_spilling_what_is_under_way_still_takes_its_acknowledgement(self):
        """A live entry that went into flash meanwhile is done with its PUBACK, and not sent again."""
        device = self.device
        device.sync(START)
        device.box.connected(True)
        device.data(live=True)
        device.data(live=True)
        entry = device.box.next_live()
        device.box.flush()
        self.assertEqual(ids(device.sent()), [(1, 2)])

        device.box.acknowledge(entry)

        self.assertEqual((device.box.backlog, device.files(), device.box.oldest()), (0, 0, None))

    def test_outbox_flush_keeps_all_over_a_planned_restart(self):
        """Also what was under way comes again."""
        device = self.device
        device.sync(START)
        device.box.connected(True)
        for _ in range(5):
            device.data(live=True)
        device.box.next_live()
        self.assertTrue(device.box.flush())
        device.start()
        self.assertEqual(ids(device.sent()), [(1, seq) for seq in range(1, 6)])

    def test_outbox_given_back_becomes_backlog_with_its_tries(self):
        """After a lost connection what was live is hist, oldest first, tries kept."""
        device = self.device
        device.sync(START)
        device.box.connected(True)
        for _ in range(4):
            device.data(live=True)
        flying = [device.box.next_live() for _ in range(3)]
        for entry in flying:
            entry.tries += 1
        device.box.acknowledge(flying[1])

        device.box.give_back([flying[0], flying[2]])
        device.box.connected(False)

        self.assertIsNone(device.box.next_live())
        self.assertEqual(device.box.backlog, 3)
        again = device.sent()
        self.assertEqual(ids(again), [(1, 1), (1, 3), (1, 4)])
        self.assertEqual([entry.tries for entry in again], [1, 1, 0])
        self.assertEqual([entry.live for entry in again], [False] * 3)

    def test_outbox_given_back_from_flash_comes_first_with_the_same_bytes(self):
        """What was sent and not acknowledged comes again before the rest."""
        device = self.device
        device.sync(START)
        for _ in range(10):
            device.data()
        device.box.flush()
        flying = [device.box.next_backlog() for _ in range(4)]
        for entry in flying:
            entry.tries += 1
        device.box.acknowledge(flying[0])
        device.box.give_back(flying[1:])
        self.assertEqual(device.box.oldest(), (1, 2))
        again = device.sent()
        self.assertEqual(ids(again), [(1, seq) for seq in range(2, 11)])
        self.assertEqual([e.payload for e in again[:3]], [e.payload for e in flying[1:]])
        self.assertEqual([entry.tries for entry in again], [1, 1, 1] + [0] * 6)

    def test_outbox_acknowledged_twice_counts_once(self):
        """A late or doubled PUBACK changes nothing."""
        device = self.device
        device.sync(START)
        device.data()
        device.data()
        device.box.flush()
        entry = device.box.next_backlog()
        device.box.acknowledge(entry)
        device.box.acknowledge(entry)
        device.box.give_back([entry])
        self.assertEqual(device.box.backlog, 1)

    def test_outbox_events_are_in_flash_at_once(self):
        """An event outlasts a kill right after it was put; events come before data."""
        device = self.device
        device.sync(START)
        device.data()
        device.box.flush()
        device.event()
        device.event(live=True)
        device.start()
        entries = device.sent()
        self.assertEqual(ids(entries), [(1, 2), (1, 3), (1, 1)])
        self.assertEqual([entry.kind for entry in entries], ["event", "event", "data"])

    def test_outbox_live_event_goes_out_live_and_once(self):
        """It is in flash and in RAM, and goes out of RAM; the acknowledgement ends both."""
        device = self.device
        device.sync(START)
        device.box.connected(True)
        device.event(live=True)
        self.assertEqual(device.box.backlog, 0)
        self.assertIsNone(device.box.next_backlog())
        entry = device.box.next_live()
        self.assertEqual((entry.kind, entry.seq), ("event", 1))
        device.box.acknowledge(entry)
        self.assertEqual((device.sent(), device.box.backlog), ([], 0))
        self.assertEqual(os.listdir(self.folder + "/events"), [])

    def test_outbox_live_event_without_memory_for_the_ring_is_backlog(self):
        """Flash has it: it is neither lost nor held up."""
        device = self.device
        device.sync(START)
        device.box.connected(True)
        add = device.box._ring.add

        def short(entry):
            raise MemoryError

        device.box._ring.add = short
        device.event(live=True)
        with self.assertRaises(MemoryError):
            device.data(live=True)
        device.box._ring.add = add

        self.assertIsNone(device.box.next_live())
        self.assertEqual(ids(device.sent()), [(1, 1)])
        self.assertEqual((device.box.backlog, device.box.drops), (0, 0))

    def test_outbox_live_event_that_was_not_sent_is_backlog_after_the_link(self):
        """When the link goes it is read from flash again."""
        device = self.device
        device.sync(START)
        device.box.connected(True)
        device.event(live=True)
        device.event(live=True)
        entry = device.box.next_live()
        entry.tries = 1
        device.box.give_back([entry])
        device.box.connected(False)
        self.assertEqual(device.box.backlog, 2)
        self.assertEqual(ids(device.sent()), [(1, 1), (1, 2)])

    def test_outbox_data_never_pushes_events_out(self):
        """The logs are apart: data that is dropped costs no event."""
        device = self.device
        device.sync(START)
        for _ in range(20):
            device.event()
        for _ in range(400):
            device.data(size=900)
            device.wait(1)
        self.assertTrue(device.box.drops > 0)
        entries = device.sent()
        self.assertEqual([e.seq for e in entries if e.kind == "event"], list(range(1, 21)))

    def test_outbox_full_drops_the_oldest_and_tells(self):
        """Each message is either still there or told as lost."""
        device = self.device
        device.sync(START)
        for _ in range(500):
            device.data(size=900)
            device.wait(1)
        device.box.flush()
        losses = device.box.take_losses()
        seqs = [seq for _, seq in ids(device.sent())]
        self.assertEqual(losses, [(1, 1, seqs[0] - 1, seqs[0] - 1)])
        self.assertEqual(seqs, list(range(seqs[0], 501)))
        self.assertEqual((device.box.drops, device.box.take_losses()), (seqs[0] - 1, []))

    def test_outbox_dropping_what_is_under_way_keeps_it_in_ram(self):
        """A segment that goes while its frames fly costs them nothing."""
        device = self.device
        device.sync(START)
        for _ in range(100):
            device.data(size=900)
            device.wait(1)
        device.box.flush()
        flying = [device.box.next_backlog() for _ in range(4)]
        for _ in range(300):
            device.data(size=900)
            device.wait(1)
        device.box.acknowledge(flying[0])
        device.box.give_back(flying[1:])
        device.box.flush()
        lost = sum([loss[3] for loss in device.box.take_losses()])
        seqs = sorted([seq for _, seq in ids(device.sent())])
        self.assertEqual(seqs[:3], [2, 3, 4])
        self.assertEqual(len(seqs) + lost, 399)

    def test_outbox_losses_of_many_boots_are_counted_and_bounded(self):
        """Ranges of one boot are joined; beyond 32 boots the count still grows."""
        losses = Losses()
        for boot in range(100):
            losses.add(boot, 5, 6, 2)
            losses.add(boot, 9, 9, 1)
        self.assertEqual(losses.count, 300)
        told = losses.take()
        self.assertEqual((len(told), told[0], losses.take()), (32, (0, 5, 9, 3), []))

    def test_outbox_message_too_long_is_lost_and_told(self):
        """What no frame can hold does not stop the rest."""
        self.device.box.put("data", 1, b"x" * 70000, True, False)
        self.assertEqual(self.device.box.take_losses(), [(1, 1, 1, 1)])

    def test_outbox_without_flash_keeps_the_newest_in_ram(self):
        """The ring is bounded; what does not fit is told, the faults are counted."""
        device = Device("/nowhere")
        device.sync(START)
        for _ in range(100):
            device.data(size=900)
            device.wait(1)
        device.event()
        box = device.box
        entries = device.sent()
        box.connected(True)
        lost = sum([loss[3] for loss in box.take_losses()])
        self.assertTrue(len(entries) > 10)
        self.assertEqual(len(entries) + lost, 101)
        self.assertEqual(entries[-1].kind, "event")
        self.assertTrue(0 < box.faults < 60)

    def tell(self, device):
        """What the device does each second: an event for each loss; how many it told."""
        count = 0
        for boot, first, last, lost in device.box.take_losses():
            device.event(details={"boot": boot, "from": first, "to": last, "count": lost})
            count += lost
        return count

    def test_outbox_without_flash_keeps_the_place_of_data(self):
        """Hours away with a flash that refuses: losses are one event, and that comes at the end."""
        device = Device("/nowhere")
        device.sync(START)
        for _ in range(3 * 3600 // 6):
            device.data(live=False, size=200)
            device.wait(6)
            self.assertEqual(self.tell(device), 0)
        kinds = [entry.kind for entry in device.box._ring.entries]
        self.assertEqual(kinds.count("event"), 0)
        self.assertTrue(kinds.count("data") > 30)
        drops = device.box.drops
        self.assertEqual(drops + kinds.count("data"), 1800)

        device.box.connected(True)

        self.assertEqual(self.tell(device), drops)
        self.assertEqual([e.kind for e in device.box._ring.entries].count("event"), 1)

    def test_outbox_without_flash_tells_one_loss_at_a_time(self):
        """On a link too slow for the rows the events of losses do not pile up."""
        device = Device("/nowhere")
        device.sync(START)
        told = 0
        device.box.connected(True)
        for _ in range(1000):
            device.data(live=True, size=200)
            device.wait(1)
            told += self.tell(device)
            kinds = [entry.kind for entry in device.box._ring.entries]
            self.assertTrue(kinds.count("event") <= 1)
        self.assertTrue(told > 0)
        sent = device.sent()
        self.assertEqual([entry.kind for entry in sent], ["event"])
        told += self.tell(device)
        self.assertEqual(told, device.box.drops)

    def test_outbox_without_flash_gives_events_a_quarter_of_the_ring(self):
        """Neither data pushes events out nor events data, whichever came first."""
        for data_first in (True, False):
            device = Device("/nowhere")
            device.sync(START)
            for what in (device.data, device.event) if data_first else (device.event, device.data):
                for _ in range(300):
                    what()
            sizes = {"data": 0, "event": 0}
            for entry in device.box._ring.entries:
                sizes[entry.kind] += len(entry.payload) + 96
            self.assertTrue(3000 <= sizes["event"] <= 4096)
            self.assertTrue(11000 <= sizes["data"] <= 13400)

    def test_outbox_losses_of_boots_in_turn_are_joined(self):
        """A boot has one range, in whatever order its losses come."""
        losses = Losses()
        for number in range(100):
            losses.add(number % 2, number, number, 1)
        self.assertEqual(losses.take(), [(0, 0, 98, 50), (1, 1, 99, 50)])

    def test_outbox_flash_that_comes_back_is_used_again(self):
        """What waited in RAM is written once the flash takes it."""
        path = self.folder + "/later"
        device = Device(path)
        device.sync(START)
        device.event()
        for _ in range(5):
            device.data()
        device.wait(60)
        os.mkdir(path)
        device.wait(30)
        device.start()
        self.assertEqual(len(device.sent()), 6)

    def unusable(self, name):
        """A new device of which a folder of the store refuses everything."""
        os.rmdir(self.folder + "/" + name)
        folders.write(self.folder + "/" + name, "a file in its place")
        self.device.boot -= 1
        self.device.start()
        self.device.sync(START)
        return self.device

    def test_outbox_without_a_folder_for_events_keeps_data_in_flash(self):
        """Twenty minutes offline: events stay in RAM, and no data is lost or kept out of flash."""
        device = self.unusable("events")
        device.event()
        for _ in range(400):
            device.wait(3)
            device.data(size=100)
        self.assertFalse(device.box.flush())
        self.assertEqual((device.box.backlog, device.box.drops), (401, 0))

        device.start()

        self.assertEqual(ids(device.sent()), [(1, seq) for seq in range(2, 402)])

    def test_outbox_without_a_folder_for_data_keeps_events_in_flash(self):
        """The newest data stays in RAM, what is lost of it is told, and no event is."""
        device = self.unusable("data")
        for _ in range(100):
            device.wait(6)
            device.data(size=300)
            device.event()
        device.box.connected(True)
        losses = device.box.take_losses()
        self.assertTrue(0 < losses[0][3] < 100)
        self.assertEqual(device.box.backlog, 200 - losses[0][3])
        device.start()
        self.assertEqual([entry.kind for entry in device.sent()], ["event"] * 100)

    def writes(self, device, seconds):
        """How often a file of data changed while a message came every two seconds."""
        before = None
        count = 0
        for second in range(seconds):
            if second % 2 == 0:
                device.data()
            device.wait(1)
            path = self.folder + "/data"
            now = [(name, os.stat(path + "/" + name)[6]) for name in sorted(os.listdir(path))]
            count += now != before
            before = now
        return count

    def test_outbox_with_events_refused_writes_data_no_more_often(self):
        """Data still goes once a minute; beside a ring full of events, by quarters of the ring."""
        for count, most in ((1, 13), (300, 20)):
            self.tearDown()
            self.setUp()
            device = self.unusable("events")
            for _ in range(count):
                device.event()

            self.assertTrue(9 <= self.writes(device, 600) <= most)
            self.assertTrue(device.box._events.faults < 200)

    def test_outbox_with_events_refused_for_long_gives_data_its_place(self):
        """Events that fill the ring go before data is lost, and are told."""
        device = self.unusable("events")
        for _ in range(300):
            device.event()
        for _ in range(50):
            device.data(size=900)
            device.wait(1)
        device.box.flush()
        kinds = [entry.kind for entry in device.box._ring.entries]
        self.assertEqual(kinds, ["event"] * len(kinds))
        self.assertTrue(len(kinds) >= 20)
        self.assertEqual(device.box.backlog + device.box.drops, 350)
        self.assertEqual(len([e for e in device.sent() if e.kind == "data"]), 50)

    def test_outbox_with_events_refused_loses_none_while_data_could_go_to_flash(self):
        """Online or not: the data that fills the ring goes to flash before an event is lost."""
        for online in (True, False):
            self.tearDown()
            self.setUp()
            self.device.bounds["ring_bytes"] = 16384
            device = self.unusable("events")
            device.box.connected(online)
            for _ in range(100):
                device.wait(1)
                if device.seq % 5 == 0:
                    device.event()
                device.data(live=online, size=220)
            self.assertEqual(device.box.drops, 0)
            device.box.connected(False)
            self.assertEqual(device.box.backlog, device.seq)

    def test_outbox_with_anchors_refused_keeps_data_in_flash(self):
        """A link that waits for them keeps nothing else out of it."""
        device = self.device
        device.data()
        device.box.flush()
        os.mkdir(self.folder + "/anchors.new")
        device.sync(START)
        device.box.connected(True)
        for _ in range(120):
            device.data(live=True)
            device.now += 1000
            self.assertIsNone(device.box.next_backlog())
            device.box.tick()
        device.start()
        self.assertTrue(device.box.backlog > 60)

    def test_outbox_oldest_is_the_lowest_anywhere(self):
        """RAM, flash and what is under way count."""
        device = self.device
        device.sync(START)
        device.data()
        device.box.flush()
        device.event()
        device.data()
        self.assertEqual(device.box.oldest(), (1, 1))
        entry = None
        for expected in ((1, 1), (1, 2), (1, 3), None):
            self.assertEqual(device.box.oldest(), expected)
            for entry in [device.box.next_backlog() for _ in range(3)]:
                if entry is not None and (entry.boot, entry.seq) == expected:
                    device.box.acknowledge(entry)
                elif entry is not None:
                    device.box.give_back([entry])


class TestOutboxTimes(OutboxCase):
    """What was made without a clock gets one time, the same for ever."""

    def undated_boot(self, messages, seconds=60):
        """A boot that never knows the time."""
        self.device.start()
        for index in range(messages):
            self.device.wait(seconds)
            if index % 3 == 2:
                self.device.event()
            else:
                self.device.data()
        self.device.box.flush()

    def test_outbox_undated_waits_for_the_clock(self):
        """Nothing without a time goes out, live or not; then all of it does, dated."""
        device = self.device
        device.box.connected(True)
        device.wait(1)
        device.data(live=True)
        device.event(live=True)
        device.data()
        self.assertIsNone(device.box.next_live())
        self.assertEqual(device.sent(), [])

        device.sync(START)

        live = [device.box.next_live(), device.box.next_live()]
        self.assertEqual([utc(entry) for entry in live], [START + 1000] * 2)
        self.assertEqual([utc(entry) for entry in device.sent()], [START + 1000])

    def test_outbox_undated_in_flash_is_dated_by_the_kept_anchor(self):
        """The anchor outlasts the boot: what it dated keeps its bytes after restarts."""
        device = self.device
        for _ in range(6):
            device.wait(10)
            device.data()
        device.box.flush()
        device.sync(START)
        first = [entry.payload for entry in device.sent(acknowledge=False)]
        for start_utc_ms in (START + 900000, START + 1900000):
            device.start()
            device.sync(start_utc_ms)
            self.assertEqual([entry.payload for entry in device.sent(acknowledge=False)], first)
        self.assertEqual(json.loads(first[0])["t"], START + 10000)

    def test_outbox_anchor_set_before_anything_is_sent_is_kept(self):
        """A kill right after the clock was set does not lose the time of what is in flash."""
        device = self.device
        device.wait(10)
        device.data()
        device.box.flush()
        device.sync(START)
        device.start()
        device.sync(START + 700000)
        self.assertEqual([utc(entry) for entry in device.sent()], [START + 10000])

    def test_outbox_undated_whose_writing_failed_waits_for_the_anchor(self):
        """What may be in flash all the same has one time, also if the flash then takes no anchor."""
        device = self.device
        device.data()
        device.box.flush()
        device.wait(5)
        device.data()
        device.event()
        settle = frames.settle

        def refuse(file):
            settle(file)
            raise OSError(5)

        frames.settle = times.settle = refuse
        try:
            self.assertFalse(device.box.flush())
            device.now += 11000
            device.sync(START)
            device.box.connected(True)
            early = {(entry.boot, entry.seq): entry.payload for entry in device.sent(False)}
        finally:
            frames.settle = times.settle = settle
        device.start()
        device.sync(START + 3600000)
        later = device.sent()

        self.assertEqual(ids(later)[-1], (1, 2))
        for entry in later:
            identity = entry.boot, entry.seq
            self.assertEqual(early.get(identity, entry.payload), entry.payload)

    def test_outbox_knows_the_highest_boot_that_left_anything(self):
        """A boot that begins above it takes no identity twice, though its own record is gone."""
        device = self.device
        self.assertEqual(device.box.highest_boot(), 0)
        for leave in (device.data, device.event):
            leave()
            device.box.flush()
            left = device.boot
            device.start()
            self.assertEqual(device.box.highest_boot(), left)

        device.sync(START)
        device.box.connected(True)
        device.sent()
        device.boot += 7
        device.start()
        device.data()
        device.box.flush()
        device.sync(START)
        device.box.next_backlog()
        left = device.boot
        device.start()
        self.assertEqual(device.box.highest_boot(), left)

    def test_outbox_highest_boot_counts_names_and_anchors_too(self):
        """They may stay longer than the messages."""
        device = self.device
        device.box.begin(40)
        device.box.named("mill", "dev1")
        device.start()
        self.assertEqual(device.box.highest_boot(), 40)

        device.box.begin(50)
        device.box._times.waiting = True
        device.box.set_anchor(50, START)
        device.start()
        self.assertEqual(device.box.highest_boot(), 50)

    def test_outbox_opened_before_its_boot_is_known_dates_that_boot(self):
        """`begin` is in time after `open`."""
        device = self.device
        device.box = Outbox(self.folder, boot=0, up_ms=lambda: device.now, limit_bytes=LIMIT)
        device.box.open()
        device.boot = 9
        device.box.begin(9)
        device.data()
        device.box.flush()
        device.sync(START)

        self.assertEqual([(e.boot, utc(e)) for e in device.sent()], [(9, START)])

    def test_outbox_anchor_that_has_dated_a_message_counts_for_ever(self):
        """The same message never goes out with two times."""
        device = self.device
        device.wait(10)
        device.data()
        device.data()
        device.box.flush()
        device.sync(START)
        first = device.box.next_backlog()
        device.box.set_anchor(1, START + 5000)
        device.box.give_back([first])
        self.assertEqual([utc(entry) for entry in device.sent()], [START + 10000] * 2)

    def test_outbox_anchor_that_has_dated_nothing_gives_way_to_a_better_one(self):
        """One lie of NTP, put right before anything was sent, also over a restart."""
        for restarts in (False, True):
            self.tearDown()
            self.setUp()
            device = self.device
            device.wait(10)
            device.data()
            device.box.flush()
            device.sync(START + 2000000000000)
            device.box.set_anchor(device.boot, START)
            if restarts:
                device.start()
                device.sync(START + 60000)
            self.assertEqual([utc(entry) for entry in device.sent()], [START + 10000])

    def test_outbox_learns_the_start_from_a_dated_message(self):
        """A boot whose rows have a time dates those that it made before."""
        device = self.device
        device.wait(10)
        device.data()
        device.box.flush()
        device.offset = START
        device.data()
        self.assertEqual([utc(entry) for entry in device.sent()], [START + 10000] * 2)

    def test_outbox_boots_without_clock_end_right_before_the_next(self):
        """Earlier boots follow each other without overlap, and their readings are uncertain."""
        for _ in range(3):
            self.undated_boot(5)
        device = self.device
        device.start()
        device.sync(START)

        entries = device.sent()

        by_id = sorted([(entry.boot, entry.seq, utc(entry)) for entry in entries])
        times = [item[2] for item in by_id]
        self.assertEqual(len(times), 15)
        self.assertEqual(times, sorted(times))
        self.assertEqual(by_id[-1][2], START - 1)
        self.assertEqual(by_id[9][2], START - 1 - 300000 - 1)
        for entry in entries:
            if entry.kind == "data":
                self.assertEqual(json.loads(entry.payload)["q"], {"0,0": 64})

    def test_outbox_estimates_stay_when_draining_stops_and_restarts(self):
        """Handed out under an estimate: the same bytes after any number of restarts."""
        random.seed(8)
        for _ in range(4):
            self.undated_boot(6)
        device = self.device
        seen = {}
        start_utc_ms = START
        for turn in range(40):
            device.start()
            start_utc_ms += 10000000
            device.sync(start_utc_ms)
            entries = []
            for _ in range(random.randrange(1, 7) if turn < 38 else 24):
                entry = device.box.next_backlog()
                if entry is None:
                    break
                entries.append(entry)
                identity = (entry.boot, entry.seq)
                self.assertEqual(seen.setdefault(identity, entry.payload), entry.payload)
            for entry in entries:
                if random.randrange(2) or turn == 38:
                    device.box.acknowledge(entry)
        self.assertEqual(len(seen), 24)

    def test_outbox_dated_boot_in_between_dates_the_one_before(self):
        """A later boot with a clock is enough, also when this one has none."""
        self.undated_boot(2)
        device = self.device
        device.start()
        device.offset = START
        device.wait(5)
        device.data()
        device.box.flush()
        device.start()

        entries = device.sent()

        self.assertEqual(ids(entries), [(2, 1), (2, 2), (3, 1)])
        self.assertEqual(utc(entries[1]), START - 1)

    def test_outbox_long_boot_without_clock_is_dated_by_few_reads(self):
        """A store that it filled does not stop the loop: where it begins and ends is all that counts."""
        device = self.device
        for _ in range(300):
            device.now += 10000
            device.data(size=250)
        device.box.flush()
        device.start()
        device.sync(START)
        self.assertTrue(device.files() >= 6)

        with RefusedFrames("", reads=0) as flash:
            entry = device.box.next_backlog()

        self.assertEqual((entry.seq, utc(entry)), (1, START - 1 - 299 * 10000))
        self.assertTrue(flash.opened <= 4)

    def test_outbox_boot_whose_clock_came_late_is_dated_by_itself(self):
        """The lost anchor is found again at its first message with a time, in the middle of a segment."""
        device = self.device
        for number in range(100):
            device.offset = None if number < 60 else START
            device.now += 1000
            device.data(size=250)
        device.box.flush()
        os.remove(self.folder + "/anchors")
        device.start()
        device.sync(START + 10000000)

        self.assertEqual([utc(e) for e in device.sent()], [START + n * 1000 for n in range(1, 101)])

    def test_outbox_end_of_a_boot_that_cannot_be_read_is_estimated_by_what_can(self):
        """The last frame is damaged: the segment before tells when the boot ended."""
        device = self.device
        for _ in range(100):
            device.now += 1000
            device.data(size=250)
        device.box.flush()
        device.start()
        device.sync(START)
        path = self.folder + "/data/" + max(os.listdir(self.folder + "/data"))
        with open(path, "rb") as file:
            content = bytearray(file.read())
        content[-1] ^= 1
        with open(path, "wb") as file:
            file.write(content)

        entries = device.sent()

        self.assertTrue(START - 1 - 98000 <= utc(entries[0]) < START - 80000)
        self.assertEqual(len(entries) + device.box.drops, 100)

    def test_outbox_message_that_found_no_memory_is_told_by_its_own_number(self):
        """It counts as lost; one that is here in spite of it does not."""
        box = self.device.box
        self.device.data()
        box.lose(1)
        box.lose(2)
        self.assertEqual((box.take_losses(), box.drops), ([(1, 2, 2, 1)], 1))

    def short_of_memory(self, seq, times):
        """Let the dating of a message find no memory so often; returns what undoes it."""
        date = dating.date
        mark = b'"n":%d,' % seq
        left = [times]

        def short(kind, payload, *anchor):
            if mark in payload and left[0]:
                left[0] -= 1
                raise MemoryError
            return date(kind, payload, *anchor)

        def undo():
            dating.date = date

        dating.date = short
        return undo

    def test_outbox_without_memory_for_the_time_of_one_sends_it_later(self):
        """It is tried again at the next turn, and nothing is skipped."""
        self.undated_boot(6)
        self.device.box.set_anchor(self.device.boot, START)
        undo = self.short_of_memory(4, 5)
        try:
            entries = []
            for _ in range(10):
                entries += self.device.sent()
        finally:
            undo()
        self.assertEqual([entry.seq for entry in entries], [3, 6, 1, 2, 4, 5])
        self.assertEqual((self.device.box.backlog, self.device.box.drops), (0, 0))

    def test_outbox_never_memory_for_the_time_of_one_leaves_only_that_for_the_next_start(self):
        """After a while the others go on; a restart sends it, with the time that it has."""
        device = self.device
        self.undated_boot(6)
        device.box.set_anchor(device.boot, START)
        undo = self.short_of_memory(4, 1000)
        try:
            entries = []
            for _ in range(310):
                entries += device.sent()
        finally:
            undo()
        self.assertEqual([entry.seq for entry in entries], [3, 6, 1, 2, 5])
        self.assertEqual((device.box.backlog, device.box.drops), (1, 0))
        boot = device.boot
        device.start()
        device.sync(START + 900000)

        again = {(entry.boot, entry.seq): utc(entry) for entry in device.sent()}

        self.assertEqual(again[(boot, 4)], START + 4 * 60000)
        self.assertEqual((device.box.backlog, device.box.drops, device.files()), (0, 0, 0))

    def test_outbox_without_memory_for_a_time_still_writes_to_flash(self):
        """What waits in RAM goes to flash as it is, and gets the same time there."""
        device = self.device
        device.data()
        device.data()
        device.box.set_anchor(1, START)
        undo = self.short_of_memory(1, 1000)
        try:
            self.assertTrue(device.box.flush())
        finally:
            undo()
        device.start()
        device.box.set_anchor(2, START + 99999)

        self.assertEqual([(e.seq, utc(e)) for e in device.sent()], [(1, START), (2, START)])

    def test_outbox_with_an_unread_file_dates_hundreds_of_boots(self):
        """A file that flash refuses holds up only what is in it."""
        device = self.device
        for _ in range(300):
            device.start(after_ms=1000)
            device.data(size=160)
            device.box.flush()
        names = sorted(os.listdir(self.folder + "/data"))
        self.assertTrue(len(names) >= 4)
        with RefusedFrames("/data/" + names[-1]):
            device.start()
            device.sync(START)
            entries = []
            for _ in range(10):
                entries += device.sent()
            self.assertEqual(device.box.backlog, 1)
        device.start()
        device.sync(START + 100000)

        self.assertEqual(ids(entries + device.sent()), [(boot, 1) for boot in range(2, 302)])

    def test_outbox_undatable_does_not_hold_up_dated_events(self):
        """Without any clock nothing is made up."""
        self.undated_boot(3)
        self.device.start()
        self.assertEqual(self.device.sent(), [])
        self.assertEqual(self.device.box.backlog, 3)

    def test_outbox_of_hundreds_of_boots_keeps_few_anchors(self):
        """A boot loop without a clock: all is sent in order, the anchors stay few."""
        device = self.device
        for _ in range(150):
            device.start()
            device.wait(3)
            device.event()
            device.data()
            device.box.flush()
        device.start()
        device.sync(START)
        largest = 0
        entries = []
        while True:
            entry = device.box.next_backlog()
            if entry is None:
                break
            entries.append((entry.boot, entry.seq, utc(entry)))
            device.box.acknowledge(entry)
            largest = max(largest, len(device.box._times.anchors._records) // 13)
        self.assertEqual(len(entries), 300)
        self.assertTrue(largest <= 256)
        times = [item[2] for item in sorted(entries)]
        self.assertEqual(times, sorted(times))

    def test_outbox_of_a_finished_file_that_flash_keeps_has_the_same_time_again(self):
        """What comes once more after a restart has its bytes, though anchors were kept meanwhile."""
        device = self.device
        device.data(size=17000)
        device.box.flush()
        device.sync(START)
        device.start()
        device.data()
        device.box.flush()
        self.assertEqual(device.files(), 2)
        device.start()
        device.sync(START + 600000)
        with RefusedFrames("/data/00000000", reads=0, removes=True):
            first = device.sent()
        device.start()
        device.sync(START + 900000)

        again = device.sent()

        self.assertEqual(ids(first), [(1, 1), (2, 1)])
        self.assertEqual([entry.payload for entry in again], [first[0].payload])

    def test_outbox_not_listed_at_the_start_keeps_the_anchors_of_what_is_in_it(self):
        """They are needed once the folder can be read."""
        device = self.device
        device.wait(10)
        device.data()
        device.box.flush()
        device.sync(START)
        with RefusedFrames("/data", lists=True):
            device.start()
            device.data()
            device.sync(START + 900000)
        self.assertTrue(device.box.flush())

        self.assertEqual([utc(entry) for entry in device.sent()], [START + 10000, START + 900000])

    def test_outbox_with_a_file_unread_for_good_holds_up_no_later_boot(self):
        """Hundreds of boots that knew their time late, then one that never did: its messages go out."""
        device = self.device
        for refused in (
            RefusedFrames("/data/00000000"),
            RefusedFrames("/data", lists=True),
        ):
            device.data()
            device.box.flush()
            with refused:
                for _ in range(300):
                    device.start()
                    device.event()
                    device.sync(START)
                    self.assertEqual(len(device.sent()), 1)
                self.assertTrue(len(device.box._times.anchors._records) <= 13 * 130)
                device.start()
                device.event()
                device.start()
                device.event()
                device.sync(START + 900000)

                self.assertEqual(len(device.sent()), 2)

    def test_outbox_behind_a_boot_without_clock_sends_hundreds_that_had_one(self):
        """The anchors of later boots do not take the place of the estimate that lets them go out."""
        for put in (self.device.event, self.device.data):
            for number in range(300):
                self.device.start()
                put()
                self.device.box.flush()
                if number:
                    self.device.sync(START + number * 60000)

            self.assertEqual(len(self.device.sent()), 300)

    def test_outbox_of_a_small_store_sends_the_events_of_many_boots_without_clock(self):
        """As many as a segment of events holds, with the smallest segments of data."""
        device = Device(self.folder, limit_bytes=32768)
        for _ in range(150):
            device.start()
            device.event()
            device.box.flush()
        device.sync(START)
        self.assertEqual(len(device.sent()), 150)

    def test_outbox_anchors_that_flash_gives_at_the_second_try_are_used(self):
        """Else messages that the broker has already would come once more, with other times."""
        device = self.device
        device.wait(10)
        device.data()
        device.box.flush()
        device.sync(START)
        refusals = [OSError(5), OSError(5)]

        def refusing(path, mode):
            if path.endswith("/anchors") and refusals:
                raise refusals.pop()
            return open(path, mode)

        times.open = refusing
        try:
            device.start()
        finally:
            del times.open
        device.sync(START + 800000)
        self.assertEqual([utc(entry) for entry in device.sent()], [START + 10000])

    def test_outbox_damaged_anchors_are_estimated_anew(self):
        """A broken file of anchors stops nothing."""
        device = self.device
        device.wait(10)
        device.data()
        device.box.flush()
        device.sync(START)
        with open(self.folder + "/anchors", "wb") as file:
            file.write(b"garbage")
        device.start()
        device.sync(START + 800000)
        self.assertEqual([utc(entry) for entry in device.sent()], [START + 799999])


class TestOutboxNames(OutboxCase):
    """A device that gets another name with messages of the old one in its store."""

    def boot(self, site, device, messages=2):
        """A boot under a name, with some data and an event that are kept."""
        box = self.device.start()
        box.named(site, device)
        self.device.sync(START + 1000000 * self.device.boot)
        for _ in range(messages):
            self.device.data()
        self.device.event()
        box.flush()
        return box

    def origins(self):
        """(boot, origin) of all that comes now."""
        entries = self.device.sent()
        return sorted({(entry.boot, self.device.box.origin(entry) or ()) for entry in entries})

    def test_outbox_after_another_name_tells_the_old_one(self):
        """Each message is known under the name it was made under, after any number of restarts."""
        for name in (("mill", "dev1"), ("mill", "dev1"), ("mill", "dev2"), ("port", "dev2")):
            self.boot(*name)
        self.boot("mill", "dev2")

        found = self.origins()

        self.assertEqual(
            found,
            [
                (2, ("mill", "dev1")),
                (3, ("mill", "dev1")),
                (4, ()),
                (5, ("port", "dev2")),
                (6, ()),
            ],
        )

    def test_outbox_made_before_any_name_belongs_to_the_first(self):
        """What a device made before the portal named it goes out under its name."""
        self.boot("", "")
        self.boot("mill", "dev1")
        self.assertEqual(self.origins(), [(2, ()), (3, ())])

    def test_outbox_unread_at_the_start_tells_the_old_name(self):
        """One refusal of flash forgets neither the name nor that something is there."""
        for refused in (
            RefusedFrames("/data/00000000", reads=1),
            RefusedFrames("/data", lists=True),
        ):
            self.boot("mill", "old")
            self.device.sent()
            self.device.data()
            self.device.box.flush()
            left = self.device.boot, self.device.seq
            with refused:
                self.device.start()
                self.device.box.named("mill", "new")
            self.assertTrue(self.device.box.oldest() <= left)
            self.device.event()
            self.device.data()
            self.device.box.flush()

            self.assertEqual(self.origins()[0], (left[0], ("mill", "old")))

    def test_outbox_with_a_file_unread_at_the_start_keeps_all_names(self):
        """It may hold what was written again behind newer messages, when its place was needed."""
        self.boot("mill", "dev1", messages=1)
        self.device.start().named("mill", "dev2")
        self.device.sync(START + 9000000)
        event, entry = self.device.sent(acknowledge=False)
        self.device.box.acknowledge(event)
        self.assertTrue(self.device.box._data.drop_oldest())
        self.device.data()
        self.device.box.flush()
        self.device.box.give_back([entry])
        self.device.box.flush()
        with RefusedFrames("/data/00000002", reads=1):
            self.device.start().named("mill", "dev3")

        self.assertEqual(self.origins(), [(2, ("mill", "dev1")), (3, ("mill", "dev2"))])

    def test_outbox_forgets_names_of_which_nothing_is_left(self):
        """The list of names stays short, and without a change nothing is written."""
        for number in range(60):
            self.boot("mill", "dev{}".format(number))
            self.device.sent()
        self.device.start().named("mill", "dev59")
        self.assertEqual(len(self.device.box._origins._names), 1)
        before = folders.read(self.folder + "/origins.a"), folders.read(self.folder + "/origins.b")
        self.device.start().named("mill", "dev59")
        after = folders.read(self.folder + "/origins.a"), folders.read(self.folder + "/origins.b")
        self.assertEqual(after, before)

    def test_outbox_of_many_names_is_bounded(self):
        """Beyond sixteen names the messages of the oldest are lost, and told; never misnamed."""
        for number in range(20):
            self.boot("mill", "dev{}".format(number), messages=1)
        found = self.origins()
        self.assertEqual(len(self.device.box._origins._names), 16)
        self.assertEqual(found[0], (7, ("mill", "dev5")))
        self.assertEqual(self.device.box.drops, 10)

    def test_outbox_disowned_name_is_lost_and_told(self):
        """Where the broker takes nothing under the old name, the rest goes on; a restart is no news."""
        self.boot("mill", "dev1", messages=50)
        self.boot("mill", "dev2")
        box = self.device.start()
        box.named("mill", "dev2")
        entries = [box.next_backlog() for _ in range(3)]
        self.assertEqual(ids(entries), [(2, 51), (3, 3), (2, 1)])

        box.disown(entries[0])
        box.give_back(entries[1:])
        box = self.device.start()
        box.named("mill", "dev2")
        came = self.device.sent() + self.device.sent()

        self.assertEqual(ids(came), [(3, 3), (3, 1), (3, 2)])
        self.assertEqual(box.take_losses(), [(2, 1, 51, 51)])
        self.assertEqual((box.backlog, box.oldest()), (0, None))

    def test_outbox_without_flash_for_names_knows_them_in_this_boot(self):
        """A record that cannot be written stops nothing."""
        device = Device("/nowhere")
        device.box.named("mill", "dev1")
        device.sync(START)
        device.data()
        self.assertEqual([device.box.origin(entry) for entry in device.sent()], [None])


class Ledger:
    """Uses a device in random order, and writes down what must come and what did."""

    def __init__(self, case, device):
        self.case = case
        self.device = device
        self.start_utc_ms = START
        self.seen = {}  # identity -> bytes on the wire
        self.made = set()
        self.done = set()
        self.flying = []
        self.up = False

    def step(self):
        """One random thing happens."""
        dice = random.randrange(1000)
        for chance, happens in (
            (300, self.put_data),
            (330, self.put_event),
            (500, self.wait),
            (700, self.send),
            (900, self.acknowledge),
            (950, self.change_link),
            (970, self.sync),
            (975, self.device.box.flush),
            (980, self.kill),
        ):
            if dice < chance:
                happens()
                break
        left = self.made - self.done
        self.case.assertEqual(self.device.box.oldest(), min(left) if left else None)

    def put_data(self):
        self.device.data(live=self.up, size=random.choice((0, 300)))
        self.made.add((self.device.boot, self.device.seq))

    def put_event(self):
        self.device.event(live=bool(random.randrange(2)))
        self.made.add((self.device.boot, self.device.seq))

    def wait(self):
        self.device.wait(random.randrange(1, 20))

    def send(self):
        if self.up and len(self.flying) < 4:
            entry = self.device.box.next_live() or self.device.box.next_backlog()
            if entry is not None:
                entry.tries += 1
                self.look_at(entry)
                self.flying.append(entry)

    def look_at(self, entry):
        """It did not come before, or it has the same bytes."""
        identity = (entry.boot, entry.seq)
        self.case.assertFalse(identity in self.done)
        self.case.assertFalse(identity in ids(self.flying))
        self.case.assertTrue(utc(entry) > 0)
        self.case.assertEqual(self.seen.setdefault(identity, entry.payload), entry.payload)

    def acknowledge(self):
        if self.flying:
            entry = self.flying.pop(random.randrange(len(self.flying)))
            self.device.box.acknowledge(entry)
            self.done.add((entry.boot, entry.seq))

    def change_link(self):
        if self.up:
            self.device.box.give_back(self.flying)
            self.flying = []
        self.up = not self.up
        self.device.box.connected(self.up)

    def sync(self):
        if self.device.offset is None:
            self.start_utc_ms += 100000000
            self.device.sync(self.start_utc_ms)

    def kill(self):
        """RAM is gone; of segments that were not acknowledged as a whole all frames come again."""
        device = self.device
        only_in_ram = [e for e in device.box._ring.entries if e.position is None]
        self.made -= set(ids(only_in_ram))
        self.start_utc_ms += device.now
        box = device.start(random.randrange(1000))
        for log in (box._data, box._events):
            self.done -= set(stored(log))
        self.flying = []
        self.up = False

    def finish(self):
        """The link and the clock are there until all is sent."""
        box = self.device.box
        box.give_back(self.flying)
        self.flying = []
        self.sync()
        while True:
            entry = box.next_live() or box.next_backlog()
            if entry is None:
                break
            self.look_at(entry)
            box.acknowledge(entry)
            self.done.add((entry.boot, entry.seq))
        self.case.assertEqual(self.made, self.done)
        self.case.assertEqual((box.backlog, box.drops, box.faults, box.corrupt), (0, 0, 0, 0))


class TestOutboxAtRandom(OutboxCase):
    """Anything in any order beside a plain ledger."""

    def test_outbox_in_random_use_loses_and_changes_nothing(self):
        """Boots, clocks, links, kills: what was committed comes, each with one set of bytes."""
        random.seed(77)
        self.device.bounds["limit_bytes"] = 1 << 20
        self.device.start()
        ledger = Ledger(self, self.device)
        for _ in range(3000):
            ledger.step()
        ledger.finish()
