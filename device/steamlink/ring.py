"""Messages in RAM, in the order in which they were made."""

from .constant import const
from .frames import Entry

_OVERHEAD = const(96)  # an Entry and its place in the list


class Ring:
    """Entries sorted by (boot, seq); their owner keeps them below `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self.entries = []
        self._limit = limit

    def add(self, entry: Entry) -> None:
        """Put an entry at its place, which is nearly always the end."""
        entries = self.entries
        index = len(entries)
        while index and (entries[index - 1].boot, entries[index - 1].seq) > (entry.boot, entry.seq):
            index -= 1
        entries.insert(index, entry)

    def remove(self, entry: Entry) -> bool:
        """Take an entry out; False if it is not here."""
        for index, known in enumerate(self.entries):
            if known is entry:
                self.entries.pop(index)
                return True
        return False

    def has_room(self, more: int) -> bool:
        """Whether a payload of `more` bytes fits."""
        return self._size() + more + _OVERHEAD <= self._limit

    def filled(self) -> bool:
        """Whether it is more than three quarters full, and not by events."""
        return self._size() * 4 > self._limit * 3 and not self.crowded("event")

    def victim(self, kind: str) -> "Entry | None":
        """What goes first when an entry of `kind` does not fit: the oldest that is not under way.

        Data goes while events fill less than a quarter of the ring, so that neither pushes the
        other out.
        """
        crowded = self.crowded("event", _OVERHEAD if kind == "event" else 0)
        found = None
        for entry in self.entries:
            if not entry.flying:
                if (entry.kind == "event") == crowded:
                    return entry
                found = found or entry
        return found

    def waiting(self, kind: str) -> "list[Entry]":
        """The entries of a kind that are in RAM only."""
        return [entry for entry in self.entries if entry.kind == kind and entry.position is None]

    def crowded(self, kind: str, more: int = 0) -> bool:
        """Whether the entries of a kind, with `more` bytes, fill more than a quarter."""
        size = sum([_of(entry) for entry in self.entries if entry.kind == kind])
        return (size + more) * 4 > self._limit

    def _size(self) -> int:
        return sum([_of(entry) for entry in self.entries])


def _of(entry: Entry) -> int:
    return len(entry.payload) + _OVERHEAD
