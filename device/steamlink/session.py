"""One device as the broker sees it: its birth, state, diag, and its numbered data and events."""

from . import contract, messages

VERSION = "0.2.0"


class Session:
    """The messages of one boot: numbers them, dates them if it can, hands them to the outbox.

    `metrics` are (name, unit, decimals, low, high, period_ms) as a birth says them.
    """

    def __init__(self, *, site, device, board, boot, reset, clock, outbox, metrics=()) -> None:
        self.device = device
        self.boot = boot
        self.reset = reset
        self.seq = 0
        self._board = board
        self._clock = clock
        self._outbox = outbox
        self._metrics = metrics
        self._last_row_ms = 0
        self.topics = {kind: contract.topic(site, device, kind) for kind in contract.KINDS}

    def describe(self, metrics) -> None:
        """Say in births from now on which metrics there are."""
        self._metrics = metrics

    def rows(self, names, up_ms: int, rows, quality, *, live: bool) -> int:
        """Number and store rows `[dt_ms, value...]` counted from `up_ms`; returns their seq."""
        clock = self._clock
        clock.ease(up_ms - self._last_row_ms)
        self._last_row_ms = up_ms + rows[-1][0]
        offset_ms = clock.offset_ms
        dated = offset_ms is not None
        payload = messages.encode_data(
            boot=self.boot,
            seq=self.seq + 1,
            up_ms=up_ms,
            utc_ms=up_ms + offset_ms if dated else 0,
            clock=max(clock.state, contract.CLOCK_SET),
            metrics=names,
            rows=rows,
            quality=quality,
        )
        return self._put("data", payload, dated, live)

    def give_up(self) -> None:
        """Use up the number of a message that cannot be made: it counts as lost."""
        self.seq += 1
        self._outbox.lose(self.seq)

    def event(self, event: str, details, *, live: bool = False) -> int:
        """Number and store an event; it is in flash when this returns. Returns its seq."""
        up_ms = self._clock.up_ms()
        offset_ms = self._clock.offset_ms
        dated = offset_ms is not None
        payload = messages.encode_event(
            boot=self.boot,
            seq=self.seq + 1,
            up_ms=up_ms,
            utc_ms=up_ms + offset_ms if dated else 0,
            event=event,
            details=details,
        )
        return self._put("event", payload, dated, live)

    def birth(self, conn: int) -> bytes:
        """Who this is. `oldest` says what is still here: what is below it and never came is lost."""
        return messages.encode_birth(
            device=self.device,
            firmware=VERSION,
            board=self._board.name,
            boot=self.boot,
            conn=conn,
            reset=self.reset,
            clock=self._clock.state,
            up_ms=self._clock.up_ms(),
            utc_ms=self._clock.utc_ms(),
            oldest=self.oldest(),
            metrics=self._metrics,
        )

    def state(self, state: str, conn: int) -> bytes:
        """Online, stopped, or the will offline."""
        return messages.encode_state(state=state, boot=self.boot, conn=conn)

    def diag(self, counts, reconnects: int) -> bytes:
        """How the device is; `counts` are whole numbers by name."""
        return messages.encode_diag(
            boot=self.boot,
            up_ms=self._clock.up_ms(),
            utc_ms=self._clock.utc_ms(),
            heap=self._board.heap_free(),
            rssi=self._board.network.rssi(),
            backlog=self._outbox.backlog,
            oldest=self.oldest(),
            drops=self._outbox.drops,
            reconnects=reconnects,
            counts=counts,
        )

    def oldest(self) -> "tuple[int, int]":
        """The lowest (boot, seq) that is still here, or the one that will be made next."""
        return self._outbox.oldest() or (self.boot, self.seq + 1)

    def still_here(self, boot: "int | None", first: int, last: int) -> "tuple[int, int]":
        """How many of these messages of a boot (None: this one) are here, at most, and how many not."""
        oldest_boot, oldest_seq = self.oldest()
        asked = self.boot if boot is None else boot
        if asked < oldest_boot or asked > self.boot:
            return 0, last - first + 1
        lowest = oldest_seq if asked == oldest_boot else 1
        highest = self.seq if asked == self.boot else last
        here = max(0, min(last, highest) - max(first, lowest) + 1)
        return here, last - first + 1 - here

    def identity(self) -> "dict[str, object]":
        """What `identify` answers."""
        return {
            "device": self.device,
            "board": self._board.name,
            "fw": VERSION,
            "boot": self.boot,
            "up": self._clock.up_ms(),
            "id": self._board.unique_id(),
            "address": self._board.network.address(),
        }

    def _put(self, kind: str, payload: bytes, dated: bool, live: bool) -> int:
        self.seq += 1
        try:
            self._outbox.put(kind, self.seq, payload, dated, live)
        except MemoryError:
            self._outbox.lose(self.seq)
            raise
        return self.seq
