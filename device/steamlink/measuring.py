"""From the sensors of a device to its numbered rows and events."""

from . import sensors
from .constant import const
from .gathering import Gathering
from .sampler import Sampler

_HEAD = const(128)  # bytes of a message, beside its names and rows
_ROW = const(12)  # beside its values
_VALUE = const(24)  # with its quality


def open_sensors(app, values) -> "Measuring | None":
    """Make what the configuration `values` names; None where nothing of it measures.

    What is wrong in it is told and costs nothing but itself.
    """
    drivers, faults = sensors.make_all(values, app.board)
    for fault in faults:
        app.log.note(fault)
        app.counters.add("sensors_refused")
        app.session.event("config", {"fault": fault[:200]})
    return Measuring(app, drivers, values) if drivers else None


class Measuring:
    """Samples `drivers` and hands what comes of it to the session of `app`, the device."""

    def __init__(self, app, drivers, values) -> None:
        sampling, store = values["sampling"], values["store"]
        self.sampler = Sampler(
            drivers,
            app.clock,
            period_ms=sampling["period_ms"],
            on_row=self.take_row,
            limits=values["limits"],
            on_edge=self._take_edge,
            on_fault=self._take_fault,
            counters=app.counters,
        )
        self.gathering = Gathering(
            self.sampler.names,
            rows=min(sampling["rows"], _rows_in(256 * store["ring_kib"], self.sampler.names)),
            publish_ms=sampling["publish_ms"],
            heartbeat_ms=sampling["heartbeat_ms"],
            deadbands=self.sampler.deadbands,
            hold_ms=1000 * min(store["spill_s"], store["commit_s"] // 2),
        )
        self._app = app
        self._checkin = None
        self._urgent = False
        app.session.describe(self.sampler.metrics)

    async def run(self, checkin) -> None:
        """Sample for ever; each row is a sign of life."""
        self._checkin = checkin
        await self.sampler.run()

    def take_row(self, up_ms: int, values, codes) -> None:
        """A row of the sampler: values by column, codes of those not good."""
        if self._checkin is not None:
            self._checkin.ok()
        urgent, self._urgent = self._urgent, False
        self.gathering.add(up_ms, values, codes, urgent)
        self.put_rows_if_due(up_ms)

    def put_rows_if_due(self, up_ms: int) -> None:
        """Make a message of the rows that wait, if it is time."""
        if self.gathering.due(up_ms, self._live()):
            self.put_rows()

    def put_rows(self) -> bool:
        """Make messages of the rows that wait; False where there is no memory for it now."""
        while True:
            try:
                up_ms, rows, quality = self.gathering.take()
            except MemoryError:
                self._app.counters.add("rows_waiting")
                return False
            if not rows:
                return True
            self._put(up_ms, rows, quality)

    def _put(self, up_ms: int, rows, quality) -> None:
        app, live = self._app, self._live()
        seq = app.session.seq
        try:
            app.session.rows(self.sampler.names, up_ms, rows, quality, live=live)
        except (ValueError, MemoryError) as fault:
            if app.session.seq == seq:  # it has no number yet
                app.session.give_up()
            app.counters.add("rows_refused", len(rows))
            app.log.note("rows not kept: {}".format(fault))
        if live:
            app.link.wake()

    def count(self, counts) -> None:
        """Add to the counts of a diag."""
        counts["late_ms"] = max(self.sampler.jitter or [0])
        counts["rows_unmoved"] = self.gathering.skipped
        counts["rows_dropped"] = self.gathering.dropped

    def _live(self) -> bool:
        return self._app.link is not None and self._app.link.connected

    def _take_edge(self, details) -> None:
        self._urgent = True
        self._event("alarm_edge", details)

    def _take_fault(self, details) -> None:
        self._event("sensor_fault", details)

    def _event(self, event: str, details) -> None:
        live = self._live()
        self._app.session.event(event, details, live=live)
        if live:
            self._app.link.wake()


def _rows_in(size: int, names) -> int:
    """How many rows of these columns a message of `size` bytes holds, at least 1."""
    head = _HEAD + sum([len(name) + 3 for name in names])
    return max(1, (size - head) // (_ROW + _VALUE * len(names)))
