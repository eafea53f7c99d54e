"""What a device counts about itself."""

_MOST_NAMES = 64


class Counters:
    """Whole numbers by name, at most 64 names; what comes later is counted as `other`."""

    def __init__(self) -> None:
        self._counts = {}

    def add(self, name: str, n: int = 1) -> None:
        """Count `n` more of `name`."""
        if name not in self._counts and len(self._counts) >= _MOST_NAMES - 1:
            name = "other"
        self._counts[name] = self._counts.get(name, 0) + n

    def get(self, name: str) -> int:
        """How many of `name` were counted."""
        return self._counts.get(name, 0)

    def snapshot(self) -> "dict[str, int]":
        """A copy of all counts."""
        return dict(self._counts)
