"""Raspberry Pi Pico W with MicroPython: pulses counted by a PIO state machine each."""

from .fields import choice, whole
from .micro import Micro
from .micro_wires import input_pin

_MACHINES = 4  # of PIO 0; the radio of the Pico W has one of PIO 1
_HZ = 1000000
_WRAP = 1 << 32
_CYCLES = 2


class Board(Micro):
    """A Pico W. After its watchdog and after `restart` it says "watchdog" (micropython#19409)."""

    name = "pico_w"
    # 24 bits of half microseconds: ports/rp2/machine_wdt.c, micropython#9078
    WATCHDOG_MS = 8388
    AP_SECURITY = 0x00400004  # CYW43_AUTH_WPA2_AES_PSK of cyw43-driver
    _machines = 0

    def pulse(self, cfg) -> object:
        """The next free state machine."""
        if self._machines >= _MACHINES:
            raise ValueError("pulse: this board counts {} inputs at most".format(_MACHINES))
        counter = Pulse(cfg, self._machines)
        self._machines += 1
        return counter


class Pulse:
    """Counts in hardware what was steadily low, then steadily high; X counts down from 0.

    A pulse has both edges, so `edge` makes no difference here. `debounce_us` is how long a
    level must last, up to 1 s. docs.micropython.org/en/latest/library/rp2.StateMachine.html
    """

    def __init__(self, cfg, number: int) -> None:
        choice(cfg, "edge", ("rising", "falling"), "rising")
        steady_us = whole(cfg, "debounce_us", 0, _HZ, 0)
        from rp2 import StateMachine

        from .rp2_pulse import program

        pin = input_pin(cfg)
        machine = self._machine = StateMachine(number, program(), freq=_HZ, jmp_pin=pin)
        machine.put(steady_us // _CYCLES)
        machine.exec("pull()")
        machine.exec("set(x, 0)")
        machine.active(1)
        self._last = 0
        self._total = 0

    def count(self) -> int:
        """Pulses since the start; X wraps after 2**32."""
        self._machine.exec("mov(isr, x)")
        self._machine.exec("push()")
        now = -self._machine.get() % _WRAP
        self._total += (now - self._last) % _WRAP
        self._last = now
        return self._total
