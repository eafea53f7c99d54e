"""Rows into messages: what did not move is left out, what waits is bounded."""

from . import contract


class Gathering:
    """Collects rows until a message is due.

    names: the columns. rows: how many make a message. publish_ms: how long a row waits at most
    while the device is online. heartbeat_ms: a row is kept at least this often, moved or not.
    deadbands: how far a metric must move to count, by name (none: any change counts).
    hold_ms: how long a row waits at most in any case, for it is only in memory here.

    `skipped` counts rows in which nothing moved, `dropped` those that found no room.
    """

    def __init__(self, names, rows, publish_ms, heartbeat_ms, deadbands=None, hold_ms=30000):
        self.names = names
        self.skipped = 0
        self.dropped = 0
        self._deadbands = [(deadbands or {}).get(name) or 0 for name in names]
        self._most = min(max(rows, 1), contract.MAX_ROWS)
        self._publish_ms = min(publish_ms, hold_ms)
        self._heartbeat_ms = heartbeat_ms
        self._hold_ms = hold_ms
        self._last_up_ms = None
        self._last_values = ()
        self._last_codes = ()
        self._urgent = False
        self._rows = []
        self._codes = []

    def add(self, up_ms, values, codes, urgent=False):
        """Take a row in: values by column, codes {column: OPC code} of those not good.

        An urgent row is kept even if nothing moved, and makes the message due at once.
        """
        last = self._last_up_ms
        if last is not None:
            if up_ms <= last:
                # Rows strictly increase (message contract); a clock that stood still made two.
                self.dropped += 1
                return
            if not urgent and up_ms - last < self._heartbeat_ms and not self._moved(values, codes):
                self.skipped += 1
                return
        if len(self._rows) >= contract.MAX_ROWS:
            self._rows.pop(0)
            self._codes.pop(0)
            self.dropped += 1
        row = [up_ms]
        row.extend(values)
        self._rows.append(row)
        self._codes.append(codes)
        self._last_up_ms = up_ms
        self._last_values = values
        self._last_codes = codes
        self._urgent = self._urgent or urgent

    def _moved(self, values, codes):
        if codes != self._last_codes:
            return True
        before = self._last_values
        for column, deadband in enumerate(self._deadbands):
            new, old = values[column], before[column]
            if new is None or old is None:
                if new is not old:
                    return True
            elif not old - deadband <= new <= old + deadband:
                return True
        return False

    def due(self, up_ms, online):
        """Tell whether `take` should be called now."""
        rows = self._rows
        if not rows:
            return False
        if len(rows) >= self._most:
            return True
        if online and self._urgent:
            return True
        return up_ms - rows[0][0] >= (self._publish_ms if online else self._hold_ms)

    def take(self):
        """Hand over the first rows of a message: (up_ms of row 0, rows [dt_ms, value...], quality).

        Quality lists (row, column, code). With nothing waiting: (None, [], []). MemoryError leaves
        all of it waiting.
        """
        most = self._most
        rows, codes = self._rows[:most], self._codes[:most]
        if not rows:
            return None, [], []
        later = self._rows[most:], self._codes[most:]
        start_ms = rows[0][0]
        quality = []
        for number, found in enumerate(codes):
            quality.extend([(number, column, found[column]) for column in sorted(found)])
        offsets = [row[0] - start_ms for row in rows]
        taken = start_ms, rows, quality
        # Nothing below needs memory: until here what failed has changed nothing.
        self._rows, self._codes = later
        self._urgent = self._urgent and bool(self._rows)
        for number in range(len(offsets)):
            rows[number][0] = offsets[number]
        return taken
