"""Uptime and UTC on both interpreters; time is the fake board's."""

import unittest

from device.steamlink.clock import Clock
from device.steamlink.copies import Copies
from device.steamlink.hal import fake
from tests.firmware import folders
from tests.firmware.failing_files import FailingFiles

NOW_MS = 1795000000000  # 2026-11-18
BUILT_MS = 1790000000000
DAY_MS = 86400000
YEAR_MS = 365 * DAY_MS


class TestClock(unittest.TestCase):
    """A clock on a fake board."""

    def setUp(self):
        self.folder = folders.new("clock")
        self.board = fake.Board(self.folder)

    def tearDown(self):
        folders.remove(self.folder)

    def clock(self, floor_ms=BUILT_MS):
        """A clock that has begun."""
        clock = Clock(self.board, floor_ms)
        clock.begin()
        return clock

    # -- uptime

    def test_clock_ticks_that_wrap_at_2_30_give_an_uptime_that_grows(self):
        """A hundred days pass eight wraps, and every hour is an hour long."""
        self.board.ticks = (1 << 30) - 5000
        clock = self.clock()
        seen = [clock.up_ms()]
        for _ in range(100 * 24):
            self.board.advance(3600000)
            seen.append(clock.up_ms())

        self.assertEqual(seen, [hour * 3600000 for hour in range(100 * 24 + 1)])

    def test_clock_ticks_that_wrap_between_two_looks_are_not_negative(self):
        """One millisecond before the wrap and one after are two apart."""
        self.board.ticks = (1 << 30) - 1
        clock = self.clock()
        clock.up_ms()
        self.board.advance(2)

        self.assertEqual(self.board.ticks_ms(), 1)
        self.assertEqual(clock.up_ms(), 2)

    def test_clock_ticks_a_step_back_never_turn_uptime_back(self):
        """Time waits until the ticks are there again."""
        clock = self.clock()
        clock.up_ms()
        self.board.advance(1000)
        clock.up_ms()
        self.board.ticks -= 300
        stepped = clock.up_ms()
        self.board.advance(500)

        self.assertEqual((stepped, clock.up_ms()), (1000, 1200))

    def test_clock_ticks_without_a_period_count_on(self):
        """On Linux ticks do not wrap; a step back counts as nothing."""
        self.board.TICKS_PERIOD = 0
        self.board.ticks = 1 << 40
        clock = self.clock()
        clock.up_ms()
        self.board.advance(1 << 31)
        far = clock.up_ms()
        self.board.ticks -= 10000
        back = clock.up_ms()
        self.board.advance(5)

        self.assertEqual((far, back, clock.up_ms()), (1 << 31, 1 << 31, (1 << 31) + 5))

    # -- UTC

    def test_clock_of_a_board_without_a_clock_is_unknown(self):
        """State 0, and no UTC."""
        clock = self.clock()

        self.assertEqual((clock.state, clock.utc_ms(), clock.offset_ms), (0, None, None))

    def test_clock_of_a_board_with_a_plausible_rtc_is_set(self):
        """State 1, from either epoch."""
        for epoch in (1970, 2000):
            self.board = fake.Board(self.folder, utc_ms=NOW_MS, epoch=epoch)
            clock = self.clock()
            self.board.advance(1500)
            self.assertEqual((clock.state, clock.utc_ms()), (1, NOW_MS + 1500))

    def test_clock_of_a_board_that_counts_from_2000_and_is_unset_is_unknown(self):
        """An ESP32 that has just got power says the 1st of January 2000."""
        self.board.epoch = 2000
        self.board.rtc_ns = 5 * 1000000000

        self.assertEqual(self.clock().state, 0)

    def test_clock_with_an_rtc_before_the_floor_is_unknown(self):
        """It cannot be earlier than when the firmware was built."""
        self.board.set_utc_ms(BUILT_MS - 1)

        self.assertEqual(self.clock().state, 0)

    def test_clock_whose_rtc_jumps_goes_on_by_its_uptime(self):
        """UTC is uptime plus an offset; the RTC is read once."""
        self.board.set_utc_ms(NOW_MS)
        clock = self.clock()
        self.board.advance(1000)
        for jump in (NOW_MS + 9 * YEAR_MS, NOW_MS - 2000, 946684800000):
            self.board.set_utc_ms(jump)
            self.assertEqual(clock.utc_ms(), NOW_MS + 1000)

    def test_clock_set_sets_the_board_too(self):
        """TLS looks at the board's own time."""
        self.board.epoch = 2000
        clock = self.clock()

        self.assertTrue(clock.set_utc(NOW_MS, 2))
        self.assertEqual((clock.state, clock.utc_ms()), (2, NOW_MS))
        self.assertEqual(self.board.utc_ms(), NOW_MS)

    def test_clock_refuses_what_cannot_be_and_counts_it(self):
        """Before the floor, from 2100 on, or no number."""
        clock = self.clock()
        lies = (0, -1, BUILT_MS - 1, 946684800000, 4102444800000, 1 << 70, None, "now")
        for state in (1, 2):
            self.assertEqual([clock.set_utc(lie, state) for lie in lies], [False] * len(lies))
        self.assertEqual((clock.state, clock.refused), (0, 16))
        self.assertEqual(self.board.utc_ms(), None)

    def test_clock_takes_times_after_2036_and_2038(self):
        """Milliseconds are whole numbers of any size, never 32 bits."""
        clock = self.clock()
        for utc_ms in (2085978497000, 2147483648000, 4102444799999):
            self.assertTrue(clock.set_utc(utc_ms, 2))
            self.board.advance(7)
            self.assertEqual(clock.utc_ms(), utc_ms + 7)

    def test_clock_of_ntp_is_not_replaced_by_a_command_within_a_day(self):
        """The processor's time came through a broker; after a day without NTP it is welcome."""
        clock = self.clock()
        clock.set_utc(NOW_MS, 2)
        self.board.advance(DAY_MS - 1)
        early = clock.set_utc(NOW_MS + 5000, 1)
        self.board.advance(1)
        late = clock.set_utc(NOW_MS + 5000 + DAY_MS, 1)

        self.assertEqual((early, late, clock.state), (False, True, 1))
        self.assertEqual((clock.utc_ms(), clock.refused), (NOW_MS + 5000 + DAY_MS, 0))

    def test_clock_of_a_command_is_replaced_by_ntp_at_once(self):
        """A better clock always wins; how far it stepped is told."""
        clock = self.clock()
        clock.set_utc(NOW_MS, 1)
        clock.set_utc(NOW_MS - 1234, 2)

        self.assertEqual((clock.state, clock.step_ms), (2, -1234))
        self.assertEqual(clock.utc_ms() - clock.up_ms(), clock.offset_ms)

    def test_clock_turned_back_by_a_command_comes_down_between_rows(self):
        """16 s ahead: what is true is known at once, and no row is dated before an earlier one."""
        clock = self.clock()
        clock.set_utc(NOW_MS, 1)
        self.assertTrue(clock.set_utc(NOW_MS - 16000, 1))
        self.assertEqual((clock.utc_ms(), clock.true_ms()), (NOW_MS, NOW_MS - 16000))

        dated = clock.utc_ms()
        for _ in range(200):
            self.board.advance(1000)
            clock.ease(1000)
            self.assertTrue(clock.utc_ms() > dated)
            dated = clock.utc_ms()

        self.assertEqual((dated, clock.ahead_ms), (NOW_MS - 16000 + 200000, 0))
        self.assertEqual(clock.true_ms(), dated)

    def test_clock_that_ntp_left_a_day_ago_may_be_set_by_others(self):
        """Before that it is the better one; then it drifts like one that nobody keeps."""
        clock = self.clock()
        clock.set_utc(NOW_MS, 2)
        states = []
        for hours in (23, 1):
            self.board.advance(hours * 3600000)
            clock.up_ms()
            clock.doubt()
            states.append(clock.state)

        self.assertEqual(states, [2, 1])
        self.assertTrue(clock.set_utc(clock.utc_ms() + 60000, 1))

    def test_clock_of_rows_that_do_not_follow_each_other_does_not_come_down(self):
        """Nothing lies between them, or less than nothing."""
        clock = self.clock()
        clock.set_utc(NOW_MS, 1)
        clock.set_utc(NOW_MS - 16000, 1)
        for passed_ms in (0, 1, -5000):
            clock.ease(passed_ms)

        self.assertEqual(clock.ahead_ms, 16000)

    def test_clock_steps_where_no_row_is_hidden_by_it(self):
        """Forward; back by more than the store takes ahead; and what comes after a correction."""
        clock = self.clock()
        clock.set_utc(NOW_MS, 1)
        for step_ms in (40000, -300001):
            clock.set_utc(clock.utc_ms() + step_ms, 1)
            self.assertEqual((clock.step_ms, clock.ahead_ms), (step_ms, 0))
        before_ms = clock.utc_ms()
        clock.set_utc(before_ms - 300000, 1)
        self.assertEqual((clock.ahead_ms, clock.utc_ms()), (300000, before_ms))

        clock.set_utc(before_ms + 1, 1)
        self.assertEqual((clock.ahead_ms, clock.utc_ms()), (0, before_ms + 1))

    # -- the floor

    def test_clock_certificate_time_is_at_least_the_floor(self):
        """With no clock at all, certificates are judged by the floor."""
        clock = self.clock()
        clock.certificate_time()

        self.assertEqual(self.board.utc_ms(), BUILT_MS)
        self.assertEqual(clock.state, 0)

    def test_clock_certificate_time_lifts_a_board_that_is_before_the_floor(self):
        """A plausible date that is too early is none."""
        self.board.set_utc_ms(BUILT_MS - DAY_MS)
        clock = self.clock()
        clock.certificate_time()

        self.assertEqual((clock.state, self.board.utc_ms()), (0, BUILT_MS))

    def test_clock_certificate_time_repairs_a_board_that_jumped(self):
        """A known UTC is put back where the RTC went astray, and left where it did not."""
        clock = self.clock()
        clock.set_utc(NOW_MS, 2)
        for jump, after in ((946684800000, NOW_MS), (NOW_MS + 2000, NOW_MS + 2000)):
            self.board.set_utc_ms(jump)
            clock.certificate_time()
            self.assertEqual(self.board.utc_ms(), after)

    def test_clock_saved_floor_is_the_next_start_s(self):
        """A board without RTC starts from its last save, less a margin."""
        clock = self.clock()
        clock.set_utc(NOW_MS, 2)
        self.assertTrue(clock.save_floor())
        self.board = fake.Board(self.folder)
        later = self.clock()

        self.assertEqual((later.state, later.floor_ms), (0, NOW_MS - 300000))
        self.assertFalse(later.set_utc(NOW_MS - 300001, 1))
        self.assertTrue(later.set_utc(NOW_MS - 300000, 1))

    def test_clock_without_time_saves_no_floor(self):
        """There is nothing to save."""
        self.assertFalse(self.clock().save_floor())
        self.assertIsNone(Copies(self.folder, "clock_floor").load())

    def test_clock_saves_its_floor_at_most_once_in_ten_minutes(self):
        """A task that asks each second wears no flash."""
        clock = self.clock()
        clock.set_utc(NOW_MS, 2)
        saves = 0
        for _ in range(3600):
            self.board.advance(1000)
            saves += clock.save_floor()

        self.assertEqual(saves, 6)

    def test_clock_floor_is_not_lost_when_flash_refuses(self):
        """The older floor stays in force."""
        clock = self.clock()
        clock.set_utc(NOW_MS, 2)
        with FailingFiles(0, OSError(28), once=True):
            self.assertFalse(clock.save_floor())

        self.assertTrue(clock.save_floor())

    def test_clock_floor_file_of_garbage_leaves_the_build_time(self):
        """Whatever is in the file, a clock begins."""
        for values in ({}, {"utc_ms": "x"}, {"utc_ms": 1 << 60}, {"utc_ms": -5}, {"utc_ms": 1.5}):
            Copies(self.folder, "clock_floor").save(values)
            self.assertEqual(self.clock().floor_ms, BUILT_MS)
        folders.write(self.folder + "/clock_floor.a", "junk")
        folders.write(self.folder + "/clock_floor.b", "junk")
        self.assertEqual(self.clock().floor_ms, BUILT_MS)

    def test_clock_locked_out_by_a_lie_of_2099_comes_back_after_ntp_says_the_same_thrice(self):
        """One lie that was saved does not refuse the truth for 70 years."""
        clock = self.clock()
        clock.set_utc(NOW_MS + 70 * YEAR_MS, 2)
        clock.save_floor()
        self.board = fake.Board(self.folder)
        clock = self.clock()
        taken = []
        for _ in range(3):
            self.board.advance(15000)
            taken.append(clock.set_utc(NOW_MS + clock.up_ms(), 2))

        self.assertEqual(taken, [False, False, True])
        self.assertEqual((clock.utc_ms(), clock.floor_ms), (NOW_MS + 45000, BUILT_MS))
        self.assertTrue(clock.save_floor())
        self.board = fake.Board(self.folder)
        self.assertEqual(self.clock().floor_ms, NOW_MS + 45000 - 300000)

    def test_clock_floor_stands_against_times_that_contradict_each_other(self):
        """Different times below the floor are lies, whoever tells them."""
        Copies(self.folder, "clock_floor").save({"utc_ms": NOW_MS, "state": 2})
        clock = self.clock()
        for lie in (1, 2, 3, 4):
            self.assertFalse(clock.set_utc(NOW_MS - lie * DAY_MS, 2))
            self.assertFalse(clock.set_utc(NOW_MS - lie * YEAR_MS // 100, 1))
        self.assertEqual((clock.state, clock.refused), (0, 8))

    def test_clock_floor_of_ntp_gives_way_to_a_command_repeated_thrice(self):
        """A plant without NTP any more is not locked out by one lie of it."""
        Copies(self.folder, "clock_floor").save({"utc_ms": NOW_MS + YEAR_MS, "state": 2})
        clock = self.clock()
        taken = []
        for _ in range(3):
            self.board.advance(15000)
            taken.append(clock.set_utc(NOW_MS + clock.up_ms(), 1))

        self.assertEqual((taken, clock.state), ([False, False, True], 1))

    def test_clock_floor_that_a_command_made_gives_way_to_the_next_command_at_once(self):
        """One `time` a year ahead, then a restart: the next one is no worse than that one was."""
        clock = self.clock()
        clock.set_utc(NOW_MS + YEAR_MS, 1)
        clock.save_floor()
        self.board = fake.Board(self.folder)
        clock = self.clock()

        self.assertEqual((clock.state, clock.set_utc(NOW_MS, 1), clock.utc_ms()), (0, True, NOW_MS))
        self.assertTrue(clock.save_floor())
        self.board = fake.Board(self.folder)
        self.assertEqual(self.clock().floor_ms, NOW_MS - 300000)

    def test_clock_whose_rtc_holds_the_floor_for_certificates_is_unknown_after_a_restart(self):
        """An RTC outlives a restart, and the floor is days in the past: no row is dated by it."""
        clock = self.clock()
        clock.certificate_time()
        for _ in range(3):
            self.board.advance(90000)
            clock = self.clock()  # restarts
            self.assertEqual((clock.state, clock.utc_ms()), (0, None))
            clock.certificate_time()
        self.assertTrue(self.board.utc_ms() >= BUILT_MS + 270000)

        clock.set_utc(NOW_MS, 1)
        self.board.advance(500)
        self.assertEqual((self.clock().state, self.clock().utc_ms()), (1, NOW_MS + 500))

    def test_clock_lifted_for_certificates_keeps_its_floor(self):
        """The mark and the floor share their file."""
        Copies(self.folder, "clock_floor").save({"utc_ms": NOW_MS, "state": 2})
        self.clock().certificate_time()

        self.assertEqual((self.clock().floor_ms, self.board.utc_ms()), (NOW_MS, NOW_MS))
        self.assertEqual(self.clock().state, 0)

    def test_clock_that_is_not_ours_to_set_is_not_marked(self):
        """On Linux the system's clock is taken once it is right."""
        self.board.set_utc_ms(BUILT_MS - DAY_MS)
        self.board.set_utc_ms = lambda ms: None
        self.clock().certificate_time()

        self.assertIsNone(Copies(self.folder, "clock_floor").load())

    def test_clock_lifted_on_a_flash_that_refuses_is_marked_later(self):
        """Certificates are judged all the same."""
        clock = self.clock()
        with FailingFiles(0, OSError(28)):
            clock.certificate_time()
        self.assertEqual(self.board.utc_ms(), BUILT_MS)
        clock.certificate_time()

        self.assertEqual(self.clock().state, 0)

    def test_clock_build_time_stands_against_ntp_that_agrees(self):
        """No server can say that it is before the firmware was built."""
        clock = self.clock()
        self.assertEqual([clock.set_utc(BUILT_MS - 5, 2) for _ in range(9)], [False] * 9)


if __name__ == "__main__":
    unittest.main()
