"""Time of a device: milliseconds since its start that never wrap, and UTC where it is known."""

from . import contract
from .constant import const
from .copies import Copies

_FIRST_MS = const(1577836800000)  # 2020-01-01: before that no firmware of Steam was built
_LAST_MS = const(4102444800000)  # 2100-01-01
_DAY_MS = const(86400000)
_MARGIN_MS = const(300000)
_EASED_MS = const(300000)  # rows further ahead are in no store: there a step back hides none
_FLOOR_STEP_MS = const(600000)
_AGREE_MS = const(10000)
_AGREEING = const(3)


class Clock:
    """Time on `board` (steamlink.hal). UTC is uptime plus an offset, so no RTC can move it.

    `floor_ms` (UTC, when the firmware was built) is the hard floor. The time of the last save
    is the soft one: it gives way to NTP that says the same three times, so that one lie about
    the year 2099 does not lock a device out for ever.
    `state` is 0 unknown, 1 set (RTC or command), 2 NTP; `refused` counts impossible times,
    `step_ms` is how far the last setting moved a clock that was known already. `ahead_ms` is what
    is still to be taken back of that: `ease` does it, so that no row is dated before an earlier one
    of its boot.
    """

    def __init__(self, board: object, floor_ms: int = 0) -> None:
        self.state = contract.CLOCK_UNKNOWN
        self.offset_ms = None
        self.refused = 0
        self.step_ms = 0
        self.ahead_ms = 0
        self._board = board
        self._built_ms = max(floor_ms, _FIRST_MS)
        self._floor_ms = self._built_ms
        self._floor_state = contract.CLOCK_SYNCHRONISED
        self._lifted = False  # the RTC holds the floor, which is no time
        self._marked = False  # and flash says so
        self._saved_ms = 0
        self._up_ms = 0
        self._ticks = None
        self._set_up_ms = 0
        self._disagreeing = 0
        self._disagreed_offset = 0

    def begin(self) -> None:
        """Read the saved floor, and take the board's RTC if it is plausible: state 1.

        Not an RTC that `certificate_time` set: it outlives a restart.
        """
        self.up_ms()  # it counts from here
        found = self._copies(self._board.folder).load()
        saved_ms = found[1].get("utc_ms") if found else None
        if isinstance(saved_ms, int) and self._built_ms < saved_ms < _LAST_MS:
            self._floor_ms = self._saved_ms = saved_ms
            if found[1].get("state") == contract.CLOCK_SET:
                self._floor_state = contract.CLOCK_SET
        self._lifted = self._marked = found is not None and found[1].get("lifted") is True
        utc_ms = None if self._lifted else self._board.utc_ms()
        if utc_ms is not None and self._floor_ms <= utc_ms < _LAST_MS:
            self._take(utc_ms, contract.CLOCK_SET)

    def up_ms(self) -> int:
        """Milliseconds since `begin`, or the first call; call it once in half a period of the ticks or more."""
        ticks = self._board.ticks_ms()
        period = self._board.TICKS_PERIOD
        if self._ticks is None:
            self._ticks = ticks
        passed = ticks - self._ticks
        if period:
            passed %= period
            if passed > period // 2:
                return self._up_ms  # a step back: time waits until the ticks are there again
        elif passed < 0:
            passed = 0
        self._ticks = ticks
        self._up_ms += passed
        return self._up_ms

    def utc_ms(self) -> "int | None":
        """UTC in ms since 1970, None while it is unknown."""
        return None if self.offset_ms is None else self.up_ms() + self.offset_ms

    def true_ms(self) -> "int | None":
        """UTC as it was last set: without what `ease` still has to take back. None while unknown."""
        return None if self.offset_ms is None else self.utc_ms() - self.ahead_ms

    def doubt(self) -> None:
        """NTP that has said nothing for a day keeps this clock no longer: others may set it."""
        synchronised = self.state == contract.CLOCK_SYNCHRONISED
        if synchronised and self.up_ms() - self._set_up_ms >= _DAY_MS:
            self.state = contract.CLOCK_SET

    def ease(self, passed_ms: int) -> None:
        """Take back up to half of what lies between one message's rows and the next's."""
        if self.ahead_ms:
            back_ms = min(self.ahead_ms, max(0, passed_ms) // 2)
            self.ahead_ms -= back_ms
            self.offset_ms -= back_ms

    @property
    def floor_ms(self) -> int:
        """UTC ms before which it cannot be now."""
        return self._floor_ms

    def is_possible(self, utc_ms: int) -> bool:
        """Whether it can be now: since the firmware was built and before 2100; else it is counted."""
        if isinstance(utc_ms, int) and self._built_ms <= utc_ms < _LAST_MS:
            return True
        self.refused += 1
        return False

    def set_utc(self, utc_ms: int, state: int) -> bool:
        """Take a time from a command (state 1) or NTP (2); False if it is refused.

        Refused and counted: before the floor or after 2099. Refused: a command within a day
        of NTP. A command that turns a known clock back, by minutes at most, leaves it `ahead_ms`.
        """
        if not self.is_possible(utc_ms):
            return False
        if utc_ms < self._floor_ms and not self._is_repeated(utc_ms):
            self.refused += 1
            return False
        if state < self.state and self.up_ms() - self._set_up_ms < _DAY_MS:
            return False
        self._take(utc_ms, state)
        self._board.set_utc_ms(utc_ms)
        self._lifted = False
        if self._marked:
            self._keep(self._saved_ms, self._floor_state)
        return True

    def certificate_time(self) -> None:
        """Bring the board's own time, by which TLS checks dates, to UTC or at least the floor."""
        board_ms = self._board.utc_ms()
        utc_ms = self.utc_ms()
        if utc_ms is not None:
            if board_ms is None or abs(board_ms - utc_ms) > _MARGIN_MS:
                self._board.set_utc_ms(utc_ms)
        elif board_ms is None or board_ms < self._floor_ms:
            self._board.set_utc_ms(self._floor_ms)
            self._lifted = (self._board.utc_ms() or 0) >= self._floor_ms
        if self._lifted and not self._marked:
            self._keep(self._saved_ms, self._floor_state)

    def save_floor(self) -> bool:
        """Keep the time for the next start; False if there is nothing to keep or no flash.

        Writes at most once in ten minutes. A margin is taken off: an RTC may be slow.
        """
        if self.state == contract.CLOCK_UNKNOWN:
            return False
        floor_ms = self.utc_ms() - _MARGIN_MS
        if floor_ms < self._built_ms or abs(floor_ms - self._saved_ms) < _FLOOR_STEP_MS:
            return False
        if not self._keep(floor_ms, self.state):
            return False  # the older floor is still one
        self._floor_ms = floor_ms
        return True

    def _keep(self, floor_ms: int, state: int) -> bool:
        record = {"utc_ms": floor_ms, "state": state, "lifted": self._lifted}
        try:
            self._copies(self._board.folder).save(record)
        except OSError:
            return False
        self._saved_ms, self._floor_state, self._marked = floor_ms, state, self._lifted
        return True

    def _take(self, utc_ms: int, state: int) -> None:
        up_ms = self.up_ms()
        offset_ms = utc_ms - up_ms
        self.ahead_ms = 0
        if self.offset_ms is not None:
            self.step_ms = offset_ms - self.offset_ms
            if state == contract.CLOCK_SET and -_EASED_MS <= self.step_ms < 0:
                self.ahead_ms = -self.step_ms
        self.offset_ms = offset_ms + self.ahead_ms
        self.state = state
        self._set_up_ms = up_ms
        self._disagreeing = 0

    def _is_repeated(self, utc_ms: int) -> bool:
        """Whether what the saved floor denies is as good as the floor, or said the third time."""
        offset_ms = utc_ms - self.up_ms()
        agrees = self._disagreeing and abs(offset_ms - self._disagreed_offset) <= _AGREE_MS
        if not agrees:
            self._disagreeing = 0
            self._disagreed_offset = offset_ms
        self._disagreeing += 1
        if self._disagreeing < _AGREEING and self._floor_state != contract.CLOCK_SET:
            return False
        self._floor_ms = self._built_ms
        return True

    @staticmethod
    def _copies(folder: str) -> Copies:
        return Copies(folder, "clock_floor")
