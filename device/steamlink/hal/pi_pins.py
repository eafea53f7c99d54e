"""Pins of Linux through gpiod: inputs, and pulses counted by the kernel."""

from datetime import timedelta

from .fields import choice, flag, whole

_MOST_PIN = 53
_MOST_DEBOUNCE_US = 1000000
_EVENTS = 1024
_WRAP = 1 << 32
# Labels of the chip that has the 40-pin header: Pi 5, Pi 4, Pi 3 and Zero.
_LABELS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")
_CHIPS = 16


def _header() -> str:
    """The GPIO chip of the header: its number differs between kernels, its label does not."""
    import gpiod

    for number in range(_CHIPS):
        path = "/dev/gpiochip{}".format(number)
        if not gpiod.is_gpiochip_device(path):
            continue
        with gpiod.Chip(path) as chip:
            if chip.get_info().label in _LABELS:
                return path
    raise OSError('gpio: no chip of a Raspberry Pi\'s header; name one: chip "/dev/gpiochip0"')


def _request(cfg, **settings) -> object:
    from gpiod import LineSettings, request_lines
    from gpiod.line import Bias, Direction

    pull = choice(cfg, "pull", ("up", "down"))
    bias = {"up": Bias.PULL_UP, "down": Bias.PULL_DOWN, None: Bias.AS_IS}[pull]
    line = LineSettings(
        direction=Direction.INPUT, bias=bias, active_low=flag(cfg, "inverted"), **settings
    )
    return request_lines(
        cfg.get("chip") or _header(),
        consumer="steam",
        config={whole(cfg, "pin", 0, _MOST_PIN): line},
        event_buffer_size=_EVENTS,
    )


class Pin:
    """A digital input; `pin` is the BCM number."""

    def __init__(self, cfg) -> None:
        self._pin = cfg.get("pin")
        self._line = _request(cfg)

    def value(self) -> int:
        """0 or 1."""
        return self._line.get_value(self._pin).value


class Pulse:
    """Counts by the kernel's number of each event, which goes on where its buffer overflows.

    docs.kernel.org/userspace-api/gpio/gpio-v2-line-event-read.html: the oldest are discarded,
    so the number of the newest is the count, however long nobody asked.
    """

    def __init__(self, cfg) -> None:
        from gpiod.line import Edge

        edge = choice(cfg, "edge", ("rising", "falling"), "rising")
        steady_us = whole(cfg, "debounce_us", 0, _MOST_DEBOUNCE_US, 0)
        self._line = _request(
            cfg,
            edge_detection=Edge.RISING if edge == "rising" else Edge.FALLING,
            debounce_period=timedelta(microseconds=steady_us),
        )
        self._last = 0
        self._total = 0

    def count(self) -> int:
        """Pulses since the start; the kernel's number is of 32 bits."""
        while self._line.wait_edge_events(0):
            events = self._line.read_edge_events(_EVENTS)
            if not events:
                break
            newest = events[-1].line_seqno
            self._total += (newest - self._last) % _WRAP
            self._last = newest
        return self._total
