"""The count of starts, on both interpreters."""

import unittest

from device.steamlink.boots import Boots
from device.steamlink.copies import Copies
from tests.firmware import cuts, folders
from tests.firmware.failing_files import FailingFiles, PowerCut, flash


class TestBoots(unittest.TestCase):
    """The boots of a device with one folder."""

    def setUp(self):
        self.folder = folders.new("boots")

    def tearDown(self):
        folders.remove(self.folder)

    def start(self, at_least=0, cause="watchdog"):
        """The device starts."""
        boots = Boots(self.folder)
        boots.begin(cause, at_least)
        return boots

    def test_boots_of_a_new_device_begin_at_1(self):
        """The first boot was not preceded by a clean one."""
        boots = self.start()

        self.assertEqual((boots.number, boots.clean, boots.reason), (1, False, ""))
        self.assertEqual((boots.failures, boots.saved), (0, True))

    def test_boots_count_one_up_each_time(self):
        """Whatever else happens in between."""
        numbers = []
        for turn in range(6):
            boots = self.start()
            numbers.append(boots.number)
            if turn % 2:
                boots.settled()
            if turn % 3:
                boots.ended("restart")

        self.assertEqual(numbers, [1, 2, 3, 4, 5, 6])

    def test_boots_begin_above_what_the_store_has_seen(self):
        """A board reflashed, or moved to another name, does not use a number again."""
        self.assertEqual(self.start(3600000).number, 3600001)
        self.assertEqual(self.start(7).number, 3600002)

    def test_boots_with_a_planned_end_are_clean_once(self):
        """The reason is for the next boot only."""
        self.start().ended("update")
        second, third = self.start(), self.start()

        self.assertEqual((second.clean, second.reason), (True, "update"))
        self.assertEqual((third.clean, third.reason), (False, ""))

    def test_boots_that_a_power_cut_ended_are_no_failures(self):
        """A mains that comes and goes must not end in safe mode, where nothing is sampled."""
        for cause in ("power_on", "brownout", "unknown"):
            for _ in range(3):
                boots = self.start(cause=cause)

            self.assertEqual(boots.failures, 0)

    def test_boots_that_were_blamed_are_failures_whatever_cut_the_power(self):
        """A firmware that named its own fault is not excused by a reset that looks like power."""
        for _ in range(3):
            boots = self.start(cause="unknown")
            boots.blame("crash: ValueError")

        self.assertEqual(self.start(cause="unknown").failures, 3)

    def test_boots_that_do_not_settle_are_failures_in_a_row(self):
        """Five of them are the supervisor's safe mode."""
        for cause in ("watchdog", "soft"):
            self.tearDown()
            self.setUp()
            failures = [self.start(cause=cause).failures for _ in range(6)]
            self.assertEqual(failures, [0, 1, 2, 3, 4, 5])

    def test_boots_that_settle_end_the_row_of_failures(self):
        """A minute of life is enough, even if it ends badly."""
        self.start()
        third = (self.start(), self.start())[1]
        third.settled()

        self.assertEqual((third.failures, self.start().failures), (2, 0))

    def test_boots_with_a_planned_end_before_they_settle_are_no_failure(self):
        """A row of failures neither grows nor ends with them."""
        self.start()
        self.start()
        self.start().ended("config")

        self.assertEqual(self.start().failures, 2)

    def test_boots_that_blame_a_stalled_task_leave_its_name_and_stay_failures(self):
        """The watchdog's reset finds out why."""
        self.start().blame("stalled sampling")
        boots = self.start()

        self.assertEqual(
            (boots.clean, boots.reason, boots.failures), (False, "stalled sampling", 1)
        )

    def test_boots_after_garbage_in_one_copy_still_grow(self):
        """Numbers may be skipped, never one used twice."""
        for letter in ("a", "b"):
            self.tearDown()
            self.setUp()
            numbers = [self.start().number for _ in range(4)]
            folders.write(self.folder + "/boots." + letter, "\x00\x00junk")
            boots = self.start(at_least=numbers[-1])
            self.assertTrue(numbers[-1] < boots.number < 66000)

    def test_boots_with_one_copy_damaged_never_give_a_number_twice(self):
        """It may have been the newer one, and the store may be empty."""
        for letter in ("a", "b"):
            self.tearDown()
            self.setUp()
            numbers = [self.start().number for _ in range(4)]
            folders.write(self.folder + "/boots." + letter, "\x00\x00junk")
            self.assertTrue(self.start().number > numbers[-1])

    def test_boots_after_garbage_in_both_copies_begin_above_the_store_s(self):
        """What waits in the store knows the last number."""
        for _ in range(4):
            self.start()
        for letter in ("a", "b"):
            folders.write(self.folder + "/boots." + letter, "")

        numbers = set()
        for _ in range(8):
            number = self.start(at_least=4).number
            self.assertTrue(5 < number < 66000)
            numbers.add(number)
            for letter in ("a", "b"):
                folders.write(self.folder + "/boots." + letter, "")
        self.assertEqual(len(numbers), 8)  # what the broker had taken is not in the store

    def test_boots_with_nonsense_in_a_whole_copy_begin_all_the_same(self):
        """A record of another make gives no exception."""
        for record in ({}, {"number": "7"}, {"number": -3, "failures": True}, {"reason": 5}):
            Copies(self.folder, "boots").save(record)
            boots = self.start()
            self.assertEqual((boots.number, boots.failures, boots.reason), (1, 0, ""))

    def test_boots_stop_at_the_largest_u32(self):
        """The wire has 32 bits."""
        self.assertEqual(self.start(4294967295).number, 4294967295)

    def test_boots_with_the_power_cut_at_every_step_never_use_a_number_twice(self):
        """A number that was given out is never given out again, wherever the power goes."""
        for point in ("begin", "settled", "ended"):
            at = 0
            cut = True
            while cut:
                self.tearDown()
                self.setUp()
                self.start()
                self.start()
                cut, used = self.live_with_cut(point, at)
                following = self.start()
                self.assertTrue(following.number > used >= 2)
                self.assertTrue(following.number <= 4)
                at += 1
            self.assertTrue(at > 3)

    def live_with_cut(self, point, at):
        """One boot whose power is cut in `point`: (whether it was, the last number given out)."""
        boots = Boots(self.folder)
        used = 2
        if point != "begin":
            used = boots.begin("power_on")
        with FailingFiles(at):
            try:
                if point == "begin":
                    used = boots.begin("power_on")
                elif point == "settled":
                    boots.settled()
                else:
                    boots.ended("restart")
            except PowerCut:
                return True, used
        return False, used

    def test_boots_on_a_flash_that_refuses_say_so_and_go_on(self):
        """The device measures all the same, and no number is given out twice."""
        self.start()
        numbers = set()
        for _ in range(8):
            boots = Boots(self.folder)
            with FailingFiles(0, OSError(28)):
                number = boots.begin("power_on")
            self.assertFalse(boots.saved)
            self.assertTrue(number > 2)
            numbers.add(number)

        self.assertEqual(len(numbers), 8)
        boots.settled()
        self.assertTrue(boots.saved)
        self.assertEqual(self.start().number, number + 1)

    def test_boots_keep_a_reason_short(self):
        """A long text does not grow the record."""
        self.start().ended("x" * 5000)

        self.assertEqual(len(self.start().reason), 64)


class TestBootsOnFlash(unittest.TestCase):
    """On the real littlefs where the interpreter has it."""

    def setUp(self):
        self.flash = flash()

    def tearDown(self):
        self.flash.close()

    def test_boots_on_flash_cut_at_every_erase_and_program_never_use_a_number_twice(self):
        """A whole life, begin to end, with the power cut anywhere in it."""
        used, at, cut = 0, 1, True
        while cut:
            self.flash.cut_at(at)
            boots = Boots(self.flash.folder)
            try:
                number = boots.begin("power_on")
                self.assertTrue(number > used)
                if boots.saved:
                    used = number
                boots.settled()
                boots.ended("restart")
                cut = self.flash.operations >= at
            except (cuts.PowerCut, OSError):
                cut = True
            self.flash.again()
            number = Boots(self.flash.folder).begin("power_on")
            self.assertTrue(used < number)
            used = number
            at += 1
        self.assertTrue(at > 9)


if __name__ == "__main__":
    unittest.main()
