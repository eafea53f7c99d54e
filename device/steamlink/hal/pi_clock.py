"""Whether Linux's clock is to be believed: a Pi without an RTC starts where it stopped."""

import ctypes

_UNSYNCHRONISED = 5  # TIME_ERROR of adjtimex(2)
_TIMEX_BYTES = 512  # more than any struct timex has; zeros only ask
_FROM_RTC = "/sys/class/rtc/rtc0/hctosys"


def is_believable() -> bool:
    """The kernel says that something keeps it synchronised, or its clock came from an RTC."""
    try:
        if ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)) in range(
            _UNSYNCHRONISED
        ):
            return True
    except (OSError, AttributeError):  # another C library: the RTC is asked
        pass
    try:
        with open(_FROM_RTC, encoding="ascii") as file:
            return file.read().strip() == "1"
    except OSError:
        return False
