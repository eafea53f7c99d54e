"""Which firmware starts, on both interpreters."""

import sys
import unittest

from device.steamlink import slots
from device.steamlink.copies import Copies
from tests.firmware import folders


class TestSlots(unittest.TestCase):
    """A board's folder with firmware in its slots."""

    def setUp(self):
        self.folder = folders.new("slots")
        self._path = list(sys.path)

    def tearDown(self):
        sys.path[:] = self._path
        folders.remove(self.folder)

    def install(self, name):
        """Put a firmware into a slot, as an update does before its trial."""
        folders.make(self.folder + "/" + name)
        folders.write(self.folder + "/" + name + "/firmware.py", "")

    def stage(self, name):
        """An update has come into a slot."""
        self.install(name)
        slots.stage(self.folder, name)

    def boot(self):
        """Start the board: the slot that runs, "" for the flat firmware."""
        sys.path[:] = self._path
        chosen = slots.choose(self.folder)
        if chosen:
            sys.path.insert(0, chosen)
        return chosen[len(self.folder) + 1 :]

    def test_slots_of_a_new_board_start_the_flat_firmware(self):
        """Nothing was ever updated."""
        self.assertEqual([self.boot(), self.boot()], ["", ""])
        self.assertEqual(slots.running(self.folder), "")
        self.assertEqual(slots.idle(self.folder), "a")

    def test_slots_after_an_update_try_the_new_one_and_keep_it_once_confirmed(self):
        """A firmware that came online stays."""
        self.stage("a")

        self.assertEqual(self.boot(), "a")
        self.assertTrue(slots.confirm(self.folder))
        self.assertEqual([self.boot() for _ in range(5)], ["a"] * 5)
        self.assertFalse(slots.confirm(self.folder))
        self.assertEqual(slots.idle(self.folder), "b")

    def test_slots_after_three_failed_trials_go_back_to_the_flat_firmware(self):
        """A first update that never comes online is over after three boots."""
        self.stage("a")

        self.assertEqual([self.boot() for _ in range(6)], ["a", "a", "a", "", "", ""])

    def test_slots_after_three_failed_trials_go_back_to_the_old_slot(self):
        """The firmware before the update is in force again, for good, and says so once."""
        self.stage("a")
        self.boot()
        slots.confirm(self.folder)
        self.stage("b")

        self.assertEqual([self.boot() for _ in range(5)], ["b", "b", "b", "a", "a"])
        self.assertFalse(slots.confirm(self.folder))
        self.assertEqual(slots.take_failure(self.folder), "b")
        self.assertIsNone(slots.take_failure(self.folder))
        self.assertEqual(self.boot(), "a")
        self.assertEqual(slots.idle(self.folder), "b")

    def test_slots_confirmed_at_the_third_trial_are_kept(self):
        """The third boot is still a trial."""
        self.stage("a")
        self.boot()
        self.boot()
        self.boot()

        self.assertTrue(slots.confirm(self.folder))
        self.assertEqual(self.boot(), "a")

    def test_slots_on_trial_are_not_overwritten(self):
        """While an update proves itself the old firmware is the way back."""
        self.stage("a")
        self.boot()

        with self.assertRaises(ValueError):
            slots.idle(self.folder)

    def test_slots_running_cannot_be_staged(self):
        """An update never goes over what runs."""
        self.stage("a")
        self.boot()
        slots.confirm(self.folder)

        with self.assertRaises(ValueError):
            slots.stage(self.folder, "a")

    def test_slots_old_firmware_cannot_confirm_the_new_one(self):
        """Only who was started on trial can prove itself."""
        self.stage("a")

        self.assertFalse(slots.confirm(self.folder))
        self.assertEqual(self.boot(), "a")

    def test_slots_that_update_in_turn_alternate(self):
        """Each update goes where the present one is not."""
        ran = []
        for _ in range(4):
            self.stage(slots.idle(self.folder))
            ran.append(self.boot())
            slots.confirm(self.folder)
            for _ in slots.emptying(self.folder, slots.idle(self.folder)):
                pass

        self.assertEqual(ran, ["a", "b", "a", "b"])

    def test_slots_emptied_are_gone_mark_first(self):
        """A slot without its mark is no slot, whatever is left in it."""
        self.stage("a")
        folders.make(self.folder + "/a/steamlink")
        folders.write(self.folder + "/a/steamlink/x.py", "")

        steps = slots.emptying(self.folder, "a")
        next(steps)

        self.assertEqual(self.boot(), "")
        for _ in steps:
            pass
        self.assertFalse(folders.exists(self.folder + "/a"))

    def test_slots_whose_record_is_lost_try_what_is_whole(self):
        """With both copies gone a whole slot is tried, with a way back to the other."""
        for name in ("a", "b"):
            self.install(name)
            folders.write(self.folder + "/" + name + ".ok", "")

        self.assertEqual([self.boot() for _ in range(5)], ["a", "a", "a", "b", "b"])

    def test_slots_whose_record_is_garbage_still_start(self):
        """Bytes of any kind in the record end in a slot that is there."""
        self.stage("a")
        for garbage in ("", "x", "\x00" * 200, "00000000 1\n{}", '{"run":"b"}'):
            for letter in ("a", "b"):
                folders.write(self.folder + "/slot." + letter, garbage)
            self.assertEqual(self.boot(), "a")

    def test_slots_whose_record_says_nonsense_still_start(self):
        """A record that is whole but means nothing is no record."""
        self.stage("a")
        for nonsense in (
            {},
            {"run": "c"},
            {"run": 5, "trial": [], "tries": "x"},
            {"run": "b", "trial": None},
            {"run": None, "trial": "../x"},
        ):
            Copies(self.folder, "slot").save(nonsense)
            self.assertEqual(self.boot(), "a")

    def fail(self, times):
        """Starts that raise; which ones they were."""
        started = []
        for _ in range(times):
            started.append(self.boot())
            slots.blame(self.folder + "/" + started[-1] if started[-1] else "")
        return started

    def test_slots_that_start_no_longer_give_way_to_the_other(self):
        """Confirmed long ago, then damaged: told once, and the firmware before it is in force."""
        for name in ("a", "b"):
            self.stage(name)
            self.boot()
            slots.confirm(self.folder)

        self.assertEqual(self.fail(slots.MOST_FAILS), ["b"] * slots.MOST_FAILS)
        self.assertEqual([self.boot(), self.boot()], ["a", "a"])
        self.assertEqual(slots.take_failure(self.folder), "b")
        self.assertEqual(slots.idle(self.folder), "b")

    def test_slots_that_start_no_longer_give_way_to_the_flat_firmware(self):
        """Where there is no other: the last resort; an update makes the slot good again."""
        self.stage("a")
        self.boot()
        slots.confirm(self.folder)

        self.assertEqual(self.fail(slots.MOST_FAILS + 2), ["a"] * slots.MOST_FAILS + ["", ""])
        for _ in slots.emptying(self.folder, "a"):
            pass
        self.stage("a")
        self.assertEqual(self.boot(), "a")

    def test_slots_that_settled_between_their_faults_stay(self):
        """Only failed starts in a row condemn a firmware."""
        self.stage("a")
        self.boot()
        slots.confirm(self.folder)
        for _ in range(3):
            self.fail(slots.MOST_FAILS - 1)
            self.boot()
            slots.settled(self.folder)

        self.assertEqual(self.boot(), "a")
        slots.settled(self.folder)

    def test_slots_whose_trial_failed_are_no_resort(self):
        """What never came online is not what a damaged firmware gives way to."""
        self.stage("a")
        self.boot()
        slots.confirm(self.folder)
        self.stage("b")
        for _ in range(4):
            self.boot()
        folders.remove(self.folder + "/a")

        self.assertEqual(self.boot(), "")

    def test_slots_whose_fault_cannot_be_counted_go_on(self):
        """A full flash; the flat firmware has no count."""
        slots.blame(self.folder + "/nowhere/a")
        slots.blame("")

        self.assertEqual(self.boot(), "")

    def test_slots_without_mark_or_folder_are_not_started(self):
        """Half an update is none: the mark is written last."""
        self.stage("a")
        folders.remove(self.folder + "/a")
        self.assertEqual(self.boot(), "")
        self.stage("a")
        folders.remove(self.folder + "/a.ok")

        self.assertEqual(self.boot(), "")

    def test_slots_whose_present_one_vanished_start_the_other(self):
        """Any firmware is better than none."""
        self.stage("a")
        self.boot()
        slots.confirm(self.folder)
        self.stage("b")
        self.boot()
        slots.confirm(self.folder)
        folders.remove(self.folder + "/b")

        self.assertEqual(self.boot(), "a")
        self.assertEqual(slots.idle(self.folder), "b")

    def test_slots_that_cannot_count_a_trial_start_the_old_one(self):
        """A full flash must not make of a trial an endless one."""
        self.stage("a")
        self.boot()
        slots.confirm(self.folder)
        self.stage("b")
        save = Copies.save

        def full(copies, values):
            raise OSError(28)

        def lost(copies, values):
            return

        try:
            for broken in (full, lost):
                Copies.save = broken
                self.assertEqual(self.boot(), "a")
        finally:
            Copies.save = save
        self.assertEqual(self.boot(), "b")

    def test_slots_with_any_fault_in_their_record_still_start(self):
        """Not even a fault of the program keeps a board from starting."""
        self.stage("a")
        load = Copies.load

        def broken(copies):
            raise RuntimeError("a bug")

        try:
            Copies.load = broken
            self.assertEqual(self.boot(), "a")
        finally:
            Copies.load = load

    def test_slots_of_a_folder_that_is_not_there_start_the_flat_firmware(self):
        """An unmounted flash is no reason to stop."""
        self.assertEqual(slots.choose(self.folder + "/nowhere"), "")

    def test_slots_entered_come_first_and_forget_what_was_loaded(self):
        """boot.py: the next import of the package comes from the chosen slot."""
        self.stage("a")
        sys.modules["device.steamlink.slots"] = slots  # an app that ran before has given it back
        loaded = dict(sys.modules)
        try:
            chosen = slots.enter(self.folder)
            forgotten = [name for name in loaded if name not in sys.modules]
        finally:
            sys.modules.update(loaded)

        self.assertEqual(sys.path[0], chosen)
        self.assertEqual(chosen, self.folder + "/a")
        self.assertIn("device.steamlink.slots", forgotten)
        self.assertTrue(all(name.startswith("device.steamlink") for name in forgotten))

    def test_slots_entered_flat_change_nothing(self):
        """A board without updates imports what it has."""
        before = list(sys.path)

        self.assertEqual(slots.enter(self.folder), "")
        self.assertEqual(sys.path, before)
