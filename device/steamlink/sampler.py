"""Rows on an absolute schedule, whatever the sensors, the link and the store are doing."""

from array import array

from . import contract
from .chain import Chain
from .constant import const
from .sensors import sleep_ms as _sleep_ms
from .turn import Turn

_JITTERS = const(256)
_MOST_JITTER_MS = const(65535)
_MOST_SETTLE_MS = const(500)
_QUIET_MS = const(
    10000
)  # an event is written to flash: a loose wire must not write ten a minute more
_OLD_SPANS = const(2)
_LOST_SPANS = const(5)
_STALE_ROWS = const(2)  # so many are old because the loop stood still, not for the sensor's fault


class Sampler:
    """Reads sensors each `period_ms` of up time and hands out rows.

    on_row(up_ms, values by column, codes {column: OPC code} of those not good) comes after
    on_edge(details) and on_fault(details) of the same row; what they raise is counted, and
    sampling goes on. `limits` as in the configuration: metric, type, setpoint, deadband.
    `names` are the columns, `metrics` what a birth tells of them, `deadbands` those of the
    configuration by name. `sleep_ms` is for tests. What goes wrong with one metric or one limit is
    counted and costs nothing but itself: its value is DEVICE_FAILURE.

    A row is closed when all sensors whose turn it was have ended, at most half a period (500 ms)
    after its time; what comes later is in the next row.
    """

    def __init__(
        self,
        sensors,
        clock,
        *,
        period_ms,
        on_row,
        limits=(),
        on_edge=None,
        on_fault=None,
        counters=None,
        sleep_ms=None,
    ):
        self.clock = clock
        self.period_ms = period_ms
        self.names = []
        self.metrics = []
        self.deadbands = {}
        self._on_row = on_row
        self._on_edge = on_edge
        self._on_fault = on_fault
        self._counters = counters
        self._sleep_ms = sleep_ms or _sleep_ms
        self._settle_ms = min(period_ms // 2, _MOST_SETTLE_MS)
        self._turns = []
        self._columns = []
        self._limits = []
        self._open_ms = None
        self._wake_ms = 0  # when it meant to go on
        self._jitter = array("H", [0] * _JITTERS)
        self._jitters = 0
        for driver in sensors:
            self._place(driver)
        self._watch(limits)

    def _place(self, driver):
        chains = getattr(driver, "chains", None)
        columns = {}
        turn = Turn(self, driver, columns, self.period_ms)
        special = driver.cfg.get("chain") or {}
        for number, (name, unit, decimals, low, high) in enumerate(driver.metrics()):
            if name in self.names:
                raise ValueError("metric {!r} is measured by two sensors".format(name))
            chain = chains[number] if chains else Chain({"low": low, "high": high})
            # Filters forget when the value itself is gone, however seldom it is read.
            chain.allow(_LOST_SPANS * turn.span_ms)
            columns[name] = len(self.names)
            self._columns.append(_Column(name, chain, decimals, turn.span_ms))
            self.names.append(name)
            self.metrics.append((name, unit, decimals, low, high, turn.span_ms))
            deadband = (special.get(name) or driver.cfg).get("deadband")
            if deadband is None:
                deadband = driver.cfg.get("deadband")
            if deadband:
                self.deadbands[name] = deadband
        self._turns.append(turn)

    def _watch(self, limits):
        for cfg in limits:
            from .limits import Limit

            if cfg["metric"] in self.names:
                self._limits.append((Limit(cfg), self.names.index(cfg["metric"])))
            else:
                self.count("limits_without_metric")

    @property
    def jitter(self):
        """How late the last 256 rows were begun, in ms, in no order."""
        return list(self._jitter[: min(self._jitters, _JITTERS)])

    async def run(self):
        """Sample until cancelled."""
        self._wake_ms = now_ms = self.clock.up_ms()
        due_ms = (now_ms // self.period_ms + 1) * self.period_ms
        for column in self._columns:
            column.told_ms = now_ms
        for turn in self._turns:
            turn.plan(due_ms)
        try:
            while True:
                now_ms = await self._wait(due_ms)
                late_ms = now_ms - due_ms
                self._jitter[self._jitters % _JITTERS] = min(late_ms, _MOST_JITTER_MS)
                self._jitters += 1
                self._begin_row(now_ms)
                missed = late_ms // self.period_ms
                if missed:
                    self.count("periods_missed", missed)
                due_ms += (1 + missed) * self.period_ms
        finally:
            for turn in self._turns:
                turn.task.cancel()

    async def _wait(self, due_ms):
        """Wait for `due_ms`, and meanwhile begin, expire and close what is due before it."""
        while True:
            now_ms = self.clock.up_ms()
            late_ms = now_ms - self._wake_ms
            wake_ms = due_ms
            if self._open_ms is not None:
                close_ms = self._open_ms + self._settle_ms
                if now_ms >= close_ms:
                    self._close_row()
                else:
                    wake_ms = min(wake_ms, close_ms)
            for turn in self._turns:
                at_ms = turn.advance(now_ms, late_ms)
                if at_ms is not None and at_ms < wake_ms:
                    wake_ms = at_ms
            if now_ms >= due_ms:
                self._wake_ms = now_ms
                return now_ms
            self._wake_ms = wake_ms
            await self._sleep_ms(wake_ms - now_ms)

    def _begin_row(self, now_ms):
        if self._open_ms is not None:
            self._close_row()
        self._open_ms = now_ms
        for turn in self._turns:
            turn.trigger(now_ms)
        self.settled()

    def settled(self):
        """A sensor has ended its turn: close the row if it was the last."""
        if self._open_ms is None:
            return
        for turn in self._turns:
            if turn.pending:
                return
        self._close_row()

    def put(self, column, value, code, text, up_ms):
        """A reading of a column, or why there is none."""
        self._columns[column].put(value, code, text, up_ms)

    def count(self, name, number=1):
        """Add to a counter of the device."""
        if self._counters is not None:
            self._counters.add(name, number)

    def _close_row(self):
        up_ms, self._open_ms = self._open_ms, None
        values = []
        codes = {}
        for number, column in enumerate(self._columns):
            try:
                column.settle(up_ms)
            except Exception as fault:  # noqa: BLE001 - of this metric; the row has others
                column.fail(type(fault).__name__)
                self.count("sensor_exceptions")
            values.append(column.value)
            if column.code != contract.GOOD:
                codes[number] = column.code
        for limit, number in self._limits:
            try:
                self._judge(limit, self._columns[number], up_ms)
            except Exception:  # noqa: BLE001 - of this limit; the row has others
                self.count("events_failed")
        for column in self._columns:
            if column.changed(up_ms):
                self._tell(self._on_fault, column.details)
        try:
            self._on_row(up_ms, values, codes)
        except Exception:  # noqa: BLE001 - of whoever takes rows
            # Whatever becomes of a row, the next one is read in time.
            self.count("rows_failed")

    def _judge(self, limit, column, up_ms):
        held = limit.held
        if limit.feed(column.plausible, up_ms):
            self._tell(self._on_edge, limit.details, column.shown)
        elif limit.held > held:
            self.count("edges_held")

    def _tell(self, listener, details, *of):
        if listener is None:
            return
        try:
            listener(details(*of))
        except Exception:  # noqa: BLE001 - of whoever listens
            self.count("events_failed")


class _Column:
    """A metric from reading to reading: its chain, what it gives, and what was told of it."""

    def __init__(self, name, chain, decimals, span_ms):
        self.name = name
        self.value = None
        self.code = contract.WAITING_FOR_INITIAL_DATA
        self.plausible = None
        self.told_ms = 0
        self._chain = chain
        self._decimals = decimals
        self._span_ms = span_ms
        self._told_good = True
        self._fresh = False
        self._stale = 0
        self._raw = None
        self._raw_code = contract.WAITING_FOR_INITIAL_DATA
        self._text = ""
        self._up_ms = None

    def put(self, value, code, text, up_ms):
        self._raw, self._raw_code, self._text, self._up_ms = value, code, text, up_ms
        self._fresh = True

    def shown(self, value):
        """A value with the decimals of the metric."""
        return round(value, self._decimals) if self._decimals else round(value)

    def settle(self, up_ms):
        """Have the value and code that the row of `up_ms` shows."""
        self.plausible = None
        if self._fresh:
            self._fresh = False
            self._stale = 0
            value, self.code, self.plausible = self._chain.feed(
                self._raw, self._raw_code, self._up_ms
            )
            self.value = None if value is None else self.shown(value)
        elif self._up_ms is not None and up_ms - self._up_ms > _OLD_SPANS * self._span_ms:
            self._stale += 1
            if self.value is None:
                pass  # why is told already
            elif up_ms - self._up_ms > _LOST_SPANS * self._span_ms:
                self.value, self.code = None, contract.COMMUNICATION_FAILURE
            else:
                self.code = min(self.code, contract.LAST_USABLE)

    def fail(self, text):
        """Have no value in this row, because of a fault of the device's own."""
        self.value = self.plausible = None
        self.code = contract.DEVICE_FAILURE
        self._text = text

    def changed(self, up_ms):
        """Tell whether it became good or not good and nothing was told of it just before."""
        good = self.code == contract.GOOD
        if good is self._told_good or up_ms - self.told_ms < _QUIET_MS:
            return False
        if 0 < self._stale <= _STALE_ROWS:
            return False
        self._told_good = good
        self.told_ms = up_ms
        return True

    def details(self):
        """The details of a sensor_fault event."""
        text = self._text
        if not text:
            from .quality_words import WORDS

            text = WORDS.get(self.code, "")
        return {"metric": self.name, "code": self.code, "text": text}
