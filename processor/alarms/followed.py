"""One device as the evaluator follows it: its messages put in order and judged."""

from collections import deque
from collections.abc import Iterable
from typing import Literal

from bridge.live import LiveDevice
from bridge.messages import MAX_SEQ, Birth, Data, Diag, Event, State
from bridge.records import Rows
from processor.alarms.compiled import DeviceWatch
from processor.alarms.engine import Engine, Hold
from processor.alarms.order import FRONT, HOLD_US, MAX_HELD, DeviceOrder, Gap, Held, Place
from processor.alarms.watch import Condition

_RECENT_BIRTHS = 8


class FollowedDevice:
    """Orders the messages of one device and hands their rows to the engine.

    The engine's `message` and `now_us` are those of the message being taken; `hold` is
    told of every message that must wait.
    """

    def __init__(self, watch: DeviceWatch, engine: Engine, hold: Hold) -> None:
        self.watch = watch
        self.order = DeviceOrder(lambda: engine.remember(self.watch))
        self.live_state: Literal["unknown", "online", "stopped", "offline"] = "unknown"
        self.last_seen_us = 0
        self._engine = engine
        self._hold = hold
        self._firmware = ""
        self._boot = -1
        self._conn = -1
        self._up_ms = 0
        self._newest_us = 0
        self._births: deque[int] = deque(maxlen=_RECENT_BIRTHS)

    # -- messages with a place in the order

    def take(self, message: Data | Event, crc: int, *, hist: bool) -> Place:
        """Take a data, hist or event message; says where it stood."""
        order = self.order
        boot, seq = message.b, message.n
        if boot > order.boot:
            self._go_to_boot(boot, seq)
        place = order.place(boot, seq, crc)
        if place is FRONT:
            if not hist:
                self._up_ms = message.up
                self._newest_us = 1000 * message.t
            if type(message) is Data:
                self._engine.judge(self.watch, message, hist=hist)
            else:
                self._judge(message, hist=hist)
            if order.held:
                self._release()
        elif place is Place.AHEAD and seq not in order.held:
            order.held[seq] = self._held(message, hist=hist)
            if len(order.held) > MAX_HELD:
                self._give_up(self._engine.now_us - HOLD_US)
        elif place is not Place.DUPLICATE:
            self._take_late(message, hist=hist)
        return place

    @property
    def waits(self) -> bool:
        """Whether messages wait for those before them."""
        return bool(self.order.held) or any(gap.held for gap in self.order.gaps)

    def go_on(self) -> None:
        """Stop waiting for what has been missing for 2 s."""
        before_us = self._engine.now_us - HOLD_US
        self._give_up(before_us)
        for gap in list(self.order.gaps):
            while gap.held and (
                min(item.taken_us for item in gap.held.values()) <= before_us
                or len(gap.held) > MAX_HELD
            ):
                self.order.split(gap)
                self._release_late(gap)
        self._shed()

    def _held(self, message: Data | Event, *, hist: bool) -> Held:
        engine = self._engine
        self._hold(engine.message, 1)
        return Held(
            seq=message.n,
            message=message,
            hist=hist,
            number=engine.message,
            taken_us=engine.now_us,
        )

    def _judge(self, message: Data | Event, *, hist: bool) -> None:
        if type(message) is Data:
            self._engine.judge(self.watch, message, hist=hist)
        elif type(message) is Event:
            self._note_event(message)

    def _judge_held(self, item: Held) -> None:
        engine = self._engine
        present, engine.message = engine.message, item.number
        self._judge(item.message, hist=item.hist)
        engine.message = present
        self._hold(item.number, -1)

    def _release(self) -> None:
        while (item := self.order.release()) is not None:
            self._judge_held(item)

    def _give_up(self, before_us: int) -> None:
        while (item := self.order.give_up(before_us)) is not None:
            self._judge_held(item)
            self._release()
        self._shed()

    def _go_to_boot(self, boot: int, seq: int) -> None:
        if self.order.boot < 0:
            self.order.start(boot, seq)
            return
        self._give_up(self._engine.now_us)
        self.order.new_boot(boot)
        self._shed()

    # -- late messages

    def _take_late(self, message: Data | Event, *, hist: bool) -> None:
        gap = self.order.gap_of(message.b, message.n)
        if gap is None or message.n in gap.held:
            self._judge_past(message)
        elif message.n == gap.first:
            self._judge_late(message, gap)
            gap.first += 1
            self._release_late(gap)
        else:
            gap.held[message.n] = self._held(message, hist=hist)
            if len(gap.held) > MAX_HELD:
                self.go_on()

    def _judge_late(self, message: Data | Event, gap: Gap) -> None:
        if type(message) is Data:
            self._engine.judge_late(self.watch, message, gap.memory)
        elif type(message) is Event:
            self._note_event(message)

    def _judge_past(self, message: Data | Event) -> None:
        if type(message) is Data:
            memory = self.order.past_for(message.b, message.n)
            self._engine.judge_late(self.watch, message, memory)
        elif type(message) is Event:
            self._note_event(message)

    def _release_late(self, gap: Gap) -> None:
        while (item := gap.held.pop(gap.first, None)) is not None:
            self._judge_late(item.message, gap)
            self._hold(item.number, -1)
            gap.first += 1
        if gap.filled:
            self._end([gap])

    def _end(self, gaps: Iterable[Gap]) -> None:
        for gap in gaps:
            self.order.remove(gap)
            self._engine.close(gap.memory)

    def _shed(self) -> None:
        """Give up the oldest gaps where there are too many."""
        while (gap := self.order.surplus()) is not None:
            for seq in sorted(gap.held):
                item = gap.held.pop(seq)
                self._judge_past(item.message)
                self._hold(item.number, -1)
            self.order.remove(gap)

    # -- what a device says of itself

    def born(self, birth: Birth, crc: int) -> bool:
        """Take a birth; False where it was taken before.

        A boot below the present one, or a lower connection or uptime in the same boot,
        says that the board lost its counters: what follows is new.
        """
        if crc in self._births:
            return False
        self._births.append(crc)
        order = self.order
        if order.boot >= 0:
            lost_counters = birth.boot == order.boot and (
                birth.up < self._up_ms or (birth.boot == self._boot and birth.conn < self._conn)
            )
            if birth.boot != order.boot or lost_counters:
                self._go_to_boot(birth.boot, 0)
        self._boot, self._conn, self._up_ms = birth.boot, birth.conn, birth.up
        self._firmware = birth.fw
        self.live_state = "online"
        if birth.oldest is not None:
            self._end(order.keeps_from(*birth.oldest))
        return True

    def said_state(self, state: State) -> None:
        """Take a state; one that is older than the last birth is ignored."""
        if (state.boot, state.conn) >= (self._boot, self._conn):
            self.live_state = state.s

    def said_diag(self, diag: Diag) -> None:
        """Take the oldest stored message that a diag names."""
        if diag.oldest is not None and diag.b == self.order.boot:
            self._end(self.order.keeps_from(*diag.oldest))

    def _note_event(self, event: Event) -> None:
        if event.ev != "loss":
            return
        first, last = _seq(event.d.get("from")), _seq(event.d.get("to"))
        boot = _seq(event.d.get("boot", event.b))
        if first is not None and last is not None and boot is not None:
            self._end(self.order.lose(boot, first, last))
            self._shed()

    # -- take-over and change

    @property
    def was_heard(self) -> bool:
        """Whether any message with a place in the order was evaluated."""
        return self.order.boot >= 0

    def is_ahead(self, rows: Rows) -> bool:
        """Tell whether a stored message lies beyond what was evaluated here.

        Of a lower boot it does where its rows are newer: the board was set up anew meanwhile,
        and another evaluator was told so.
        """
        if rows.boot < self.order.boot:
            return rows.times_us[0] > self._newest_us
        return (rows.boot, rows.seq) >= (self.order.boot, self.order.next)

    def resume(self, newest: Rows, taken: set[tuple[int, int]]) -> None:
        """Follow on after a stored message; `taken` are the identities that the rows had."""
        if not self.is_ahead(newest):
            return
        self._let_go(self.order.held)
        self.order.resume(newest.boot, newest.seq + 1, taken)
        if newest.boot < self._boot:
            self._boot, self._conn, self._up_ms = newest.boot, -1, 0

    def forget(self, condition: Condition) -> None:
        """Drop a condition whose definition is gone."""
        self.order.past.forget(condition)
        for gap in self.order.gaps:
            gap.memory.forget(condition)

    def abandon(self) -> None:
        """Let go of what waits; this device is no longer registered."""
        self._let_go(self.order.held)
        for gap in self.order.gaps:
            self._let_go(gap.held)

    def _let_go(self, held: dict[int, Held]) -> None:
        for item in held.values():
            self._hold(item.number, -1)
        held.clear()

    def live(self) -> LiveDevice:
        """The device as dashboards are shown it."""
        return LiveDevice(
            device=self.watch.name,
            state=self.live_state,
            last_seen_us=self.last_seen_us,
            boot=max(self.order.boot, 0),
            seq=max(self.order.next - 1, 0),
            lost=self.order.lost,
            firmware=self._firmware,
        )


def _seq(told: object) -> int | None:
    """A number of a boot or message as a device tells it; None where it can be none."""
    return told if type(told) is int and 0 <= told <= MAX_SEQ else None
