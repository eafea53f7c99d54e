"""The last lines of a device's log, in memory only."""

from .constant import const

_MOST_LETTERS = const(120)


class LogRing:
    """The newest `size` lines; a line said again is counted, and moves to the end."""

    def __init__(self, clock: object, size: int = 32) -> None:
        self._clock = clock
        self._size = size
        self._notes = []

    def note(self, text: str) -> None:
        """Keep one line, cut at 120 characters."""
        line = "".join([max(letter, " ") for letter in text[:_MOST_LETTERS]])
        times = 1
        for index, kept in enumerate(self._notes):
            if kept[1] == line:
                times += kept[2]
                del self._notes[index]
                break
        if len(self._notes) >= self._size:
            del self._notes[0]
        self._notes.append((self._clock.up_ms(), line, times))

    def lines(self) -> "list[str]":
        """Oldest first: "up_ms text", with " (x3)" after what was said three times."""
        lines = []
        for up_ms, line, times in self._notes:
            text = "{} {}".format(up_ms, line)
            lines.append(text if times == 1 else "{} (x{})".format(text, times))
        return lines
