"""A chip for tests: MicroPython finds this `machine` before the one that is built in.

A test wires it: `LEVELS` of pins, chips on SPI by the number of their cs pin, on I2C by bus and
address, answers on serial ports. What the firmware did to it is kept beside.
"""

LEVELS = {}
PULLS = {}
SPI_CHIPS = {}  # cs pin: object with transfer(bytes) -> bytes
SPI_MODES = []  # (id, settings) of each init
I2C_CHIPS = {}  # (id, address): object with write(bytes), read(n) -> bytes
UART_ANSWERS = {}  # id: callable(bytes) -> bytes
DIRECTIONS = []  # (pin, level) of each output
CAUSE = [1]
RTC_SET = []
RESETS = []
DOGS = []
COUNTERS = []
LAST_FEED = [None]

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = 1, 2, 3, 4, 5

_SELECTED = [None]


class Reset(BaseException):
    """The chip was reset: nothing of the program goes on."""


def reset():
    RESETS.append("reset")
    raise Reset("reset")


def reset_cause():
    return CAUSE[0]


def unique_id():
    return b"\x24\x0a\xc4\x01\x02\x03"


class Pin:
    IN, OUT, PULL_UP, PULL_DOWN = 1, 3, 2, 1

    def __init__(self, number, mode=None, pull=None, value=None):
        self.number = number
        if mode == Pin.IN:
            PULLS[number] = pull
        if value is not None:
            self.value(value)

    def value(self, level=None):
        if level is None:
            return LEVELS.get(self.number, 1 if PULLS.get(self.number) == Pin.PULL_UP else 0)
        LEVELS[self.number] = level
        DIRECTIONS.append((self.number, level))
        if level == 0 and self.number in SPI_CHIPS:
            _SELECTED[0] = SPI_CHIPS[self.number]
        elif level == 1 and _SELECTED[0] is SPI_CHIPS.get(self.number):
            _SELECTED[0] = None
        return None


class SPI:
    def __init__(self, number, baudrate, polarity, phase, sck, mosi, miso):
        self.id = number
        self.init(baudrate=baudrate, polarity=polarity, phase=phase)

    def init(self, baudrate, polarity, phase):
        SPI_MODES.append((self.id, baudrate, polarity, phase))

    def write_readinto(self, data, taken):
        chip = _SELECTED[0]
        taken[:] = chip.transfer(bytes(data)) if chip is not None else b"\xff" * len(data)


class I2C:
    def __init__(self, number, scl, sda, freq):
        self.id = number
        self.freq = freq

    def _chip(self, address):
        if (self.id, address) not in I2C_CHIPS:
            raise OSError(19)
        return I2C_CHIPS[(self.id, address)]

    def writeto(self, address, data, stop=True):
        self._chip(address).write(bytes(data))
        return len(data)

    def readfrom(self, address, n):
        return self._chip(address).read(n)


class UART:
    def __init__(self, number, baudrate, bits, parity, stop, tx, rx, timeout, rxbuf):
        self.id = number
        self.settings = (baudrate, bits, parity, stop, timeout)
        self.pending = b""
        self._busy = 3

    def write(self, data):
        taken = bytes(data[:5])  # a transmit buffer that is almost full
        answer = UART_ANSWERS.get(self.id)
        if answer is not None:
            self.pending += answer(taken)
        return len(taken)

    def any(self):
        return len(self.pending)

    def read(self, n=None):
        n = len(self.pending) if n is None else min(n, 3)
        taken, self.pending = self.pending[:n], self.pending[n:]
        return taken or None

    def txdone(self):
        self._busy -= 1
        return self._busy < 0


class Counter:
    RISING, FALLING = 1, 2

    def __init__(self, unit, src, edge, filter_ns):
        self.pulses = 0
        self.settings = (unit, src.number, edge, filter_ns)
        COUNTERS.append(self)

    def value(self):
        return self.pulses


class RTC:
    def datetime(self, fields):
        RTC_SET.append(fields)


class WDT:
    """Counts feeds; that of the number LAST_FEED is a Ctrl-C at the board's prompt."""

    def __init__(self, timeout):
        self.timeout = timeout
        self.feeds = 0
        DOGS.append(self)

    def feed(self):
        self.feeds += 1
        if self.feeds == LAST_FEED[0]:
            raise KeyboardInterrupt
