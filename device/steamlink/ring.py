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
        """Whether it is more than three quarters full."""
        return self._size() * 4 > self._limit * 3

    def victim(self, kind: str) -> "Entry | None":
        """What goes first when an entry of `kind` does not fit: the oldest that is not under way.

        Data goes while events fill less than a quarter of the ring, so that neither pushes the
        other out.
        """
        events = sum([_of(entry) for entry in self.entries if entry.kind == "event"])
        crowded = events * 4 > self._limit - (_OVERHEAD * 4 if kind == "event" else 0)
        found = None
        for entry in self.entries:
            if not entry.flying:
                if (entry.kind == "event") == crowded:
                    return entry
                found = found or entry
        return found

    def has_unwritten_event(self) -> bool:
        """Whether an event is in RAM only, because the flash refused it."""
        return any(e.kind == "event" and e.position is None for e in self.entries)

    def waiting_bytes(self) -> int:
        """Payload that is in RAM only, in bytes."""
        return sum([len(entry.payload) for entry in self.entries if entry.position is None])

    def oldest_at(self) -> "int | None":
        """The uptime from which the oldest entry that is in RAM only counts its age."""
        ages = [entry.at for entry in self.entries if entry.position is None]
        return min(ages) if ages else None

    def _size(self) -> int:
        return sum([_of(entry) for entry in self.entries])


def _of(entry: Entry) -> int:
    return len(entry.payload) + _OVERHEAD
