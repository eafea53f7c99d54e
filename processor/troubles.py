"""What a process finds wrong with Steam itself, on its way to the evaluator, which raises alarms."""

import threading
import time
from collections.abc import Callable
from typing import Annotated, Protocol

import msgspec
import structlog

from bridge.clock import Clock, to_us
from processor.results import PublishFailed

log = structlog.get_logger(__name__)

TELL_EVERY_S = 10.0
"""How often a trouble that stands is told again; see OVER_S in processor/alarms/system.py."""

_LOOK_EVERY_S = 1.0
_MOMENT_S = 30.0
_MOST = 100
_RESERVED = 20
_MOST_NOTE = 500

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,95}$")]


class Trouble(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One trouble: the name of its system alarm, what is the matter, and when (epoch µs)."""

    name: Name
    note: str
    at_us: int


TROUBLES = msgspec.json.Decoder(list[Trouble])
"""How troubles are read where they travel as a message."""


class TroublesOut(Protocol):
    """Brings troubles to the evaluator."""

    def tell(self, troubles: list[Trouble]) -> None:
        """Hand them over; raises PublishFailed, then they are told again."""


class TroubleBook:
    """What is wrong in this process at this moment; safe from any thread.

    Holds at most a hundred names, eighty of what happened: others are left out until one of
    these has ended, since each is in the log as well.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._entries: dict[str, tuple[str, float]] = {}

    def stand(self, name: str, note: str) -> None:
        """Note a trouble that stands until it is cleared."""
        self._put(name, note, float("inf"), _MOST)

    def happen(self, name: str, note: str) -> None:
        """Note something that happened; it stands for half a minute."""
        self._put(name, note, self._monotonic() + _MOMENT_S, _MOST - _RESERVED)

    def clear(self, name: str) -> None:
        """End a trouble, if it stands."""
        with self._lock:
            self._entries.pop(name, None)

    def standing(self) -> dict[str, str]:
        """The notes of what stands, by name."""
        now = self._monotonic()
        with self._lock:
            self._entries = {n: each for n, each in self._entries.items() if each[1] > now}
            return {name: note for name, (note, _) in self._entries.items()}

    def _put(self, name: str, note: str, until: float, most: int) -> None:
        with self._lock:
            if name in self._entries or len(self._entries) < most:
                self._entries[name] = (note[:_MOST_NOTE], until)


class Telling:
    """Tells the evaluator what stands in the book: what is new at once, all of it every 10 s.

    Nobody is told of an end: the evaluator lets the alarm return once it hears no more of it,
    so that a process which is gone leaves no alarm behind.
    """

    def __init__(
        self,
        book: TroubleBook,
        out: TroublesOut,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._book = book
        self._out = out
        self._clock = clock
        self._monotonic = monotonic
        self._told: set[str] = set()
        self._again_at = 0.0
        self._fault = ""

    def run(self, stopping: threading.Event) -> None:
        """Tell until told to stop."""
        while not stopping.wait(_LOOK_EVERY_S):
            self.turn()

    def turn(self) -> None:
        """Tell what is due."""
        standing = self._book.standing()
        self._told &= standing.keys()
        now = self._monotonic()
        is_again = now >= self._again_at
        due = [name for name in standing if is_again or name not in self._told]
        if is_again:
            self._again_at = now + TELL_EVERY_S
        if not due:
            return
        at_us = to_us(self._clock())
        try:
            self._out.tell([Trouble(name=name, note=standing[name], at_us=at_us) for name in due])
        except PublishFailed as error:
            if str(error) != self._fault:
                self._fault = str(error)
                log.warning("system alarms not told, trying again", reason=self._fault)
            return
        self._fault = ""
        self._told.update(due)
