"""How often a device has started: a number that only grows, through every power cut."""

import os

from . import contract
from .constant import const
from .copies import Copies

_MOST_REASON = const(64)
_MOST_JUMP = const(0x10000)
# Causes of a start that are no fault of the boot before; "unknown" is a PC, whose process was killed.
_POWER = ("power_on", "brownout", "unknown")


class Boots:
    """The record of starts in `folder`.

    After `begin`: `number` (u32), `clean` (the last boot ended as planned), `reason` (what
    that boot gave as its end, "" if nothing), `failures` (boots in a row before this one that
    neither settled nor ended as planned, power cuts left out), `saved` (False: the flash did
    not take the number).
    """

    def __init__(self, folder: str) -> None:
        self.number = 0
        self.cause = ""
        self.clean = False
        self.reason = ""
        self.failures = 0
        self.saved = False
        self._streak = 0
        self._copies = Copies(folder, "boots")

    def begin(self, cause: str, at_least: int = 0) -> int:
        """Count this start and return its number, above every earlier one and `at_least`.

        The number is in flash before it is used; where flash refuses, `saved` says so. Then, and
        where a copy of the record is damaged, it lies by chance anywhere in the next 65536: the same number
        twice would make two messages one.
        """
        found = self._copies.load()
        damaged = self._copies.damaged  # if only one is, it may have been the newer
        last = found[1] if found else {}
        self.cause = cause
        self.clean = last.get("clean") is True
        reason = last.get("reason")
        self.reason = reason if isinstance(reason, str) else ""
        self.failures = _natural(last.get("failures"))
        if self.failures and cause in _POWER and not self.clean and not self.reason:
            self.failures -= 1
        number = max(_natural(last.get("number")), at_least)
        self.number = _after(number, _chance() if damaged else 1)
        # Counted as a failure until it has settled or ended as planned.
        self._streak = self.failures
        self._write(clean=False, reason="", failures=self.failures + 1)
        if not self.saved:
            self.number = _after(number, _chance())
        return self.number

    def settled(self) -> None:
        """This boot is a good one: it has run for a minute."""
        self._streak = 0
        self._write(clean=False, reason="", failures=0)

    def blame(self, reason: str) -> None:
        """Leave the reason of an end that is not planned, such as a task that stalls."""
        self._write(clean=False, reason=reason, failures=self._streak + 1)

    def ended(self, reason: str) -> None:
        """A planned restart comes now, with everything kept."""
        self._write(clean=True, reason=reason, failures=self._streak)

    def _write(self, *, clean: bool, reason: str, failures: int) -> None:
        record = {
            "number": self.number,
            "clean": clean,
            "reason": reason[:_MOST_REASON],
            "failures": failures,
        }
        try:
            self._copies.save(record)
        except OSError:
            self.saved = False
            return
        self.saved = True


def _after(number: int, step: int) -> int:
    return min(number + step, contract.MAX_U32)


def _chance() -> int:
    return 2 + int.from_bytes(os.urandom(3), "big") % _MOST_JUMP


def _natural(value: object) -> int:
    is_whole = isinstance(value, int) and value is not True and value is not False
    return value if is_whole and value > 0 else 0
