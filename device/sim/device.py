"""One simulated device: a boiler, its sensors, and what the device makes of them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from device.sim.boiler_unit import BoilerUnit
from device.sim.burner import BurnerState
from device.sim.design import DESIGNS, individual
from device.sim.faults import Effects, Fault, FaultScript
from device.sim.outbox import Message
from device.sim.sensors import SensorBank, sensors
from device.sim.session import Identity, MetricDescription, Session
from device.steamlink import contract

_MOST_UNDATED = 3600
_DIAG_EVERY_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceConfig:
    """One device and the boiler it watches.

    `design` names one of `design.DESIGNS`. A message holds `rows_per_message` rows, a row is
    read each `period_ms`. Without `clock_known` the device has no time until it gets the
    command `time`, and keeps its rows till then. `boot` None: seconds since 2020, so that
    no start uses the numbers of an earlier one.
    """

    device: str
    site: str = "plant"
    design: str = "fire_tube_10"
    username: str | None = None
    password: str | None = None
    period_ms: int = 1000
    rows_per_message: int = 1
    boot: int | None = None
    clock_known: bool = True
    demand_scale: float = 1.0
    reset_after_s: float | None = 300.0

    def __post_init__(self) -> None:
        contract.topic(self.site, self.device, "data")
        if self.design not in DESIGNS:
            raise ValueError(
                f"device {self.device}: design {self.design!r} is unknown; "
                f"known: {', '.join(sorted(DESIGNS))}"
            )
        if not 1 <= self.rows_per_message <= contract.MAX_ROWS:
            raise ValueError(
                f"device {self.device}: rows_per_message {self.rows_per_message}; "
                f"1 to {contract.MAX_ROWS}"
            )
        if self.period_ms < 10:
            raise ValueError(f"device {self.device}: period_ms {self.period_ms}; 10 or more")


@dataclass(slots=True)
class _Row:
    up_ms: int
    skew_ms: int
    values: list[float | None]
    codes: dict[int, int]


class SimulatedDevice:
    """A device that watches one simulated boiler; knows no network.

    `step` reads one row and returns what is to be published now; `down` says that the device
    is restarting and publishes nothing. The same seed, start and script give the same messages.
    """

    def __init__(
        self, config: DeviceConfig, *, seed: int, start_ms: int, faults: Iterable[Fault] = ()
    ) -> None:
        self.config = config
        rng = Random(f"{seed}/{config.site}/{config.device}")
        design = individual(DESIGNS[config.design], rng)
        self.unit = BoilerUnit(
            design,
            Random(rng.random()),
            epoch_s=start_ms / 1000,
            demand_scale=config.demand_scale,
            reset_after_s=config.reset_after_s,
        )
        bank = sensors(design.pmta_bar, design.capacity_t_h)
        self._bank = SensorBank(bank, Random(rng.random()))
        self._dice = Random(rng.random())
        self._script = FaultScript(faults, config.device)
        self._metrics = [sensor.metric for sensor in bank]
        boot = config.boot if config.boot is not None else _boot_of(start_ms)
        self.session = Session(
            Identity(
                site=config.site,
                device=config.device,
                metrics=[
                    MetricDescription(
                        name=sensor.metric,
                        unit=sensor.unit,
                        decimals=sensor.decimals,
                        low=sensor.low,
                        high=sensor.high,
                        period_ms=config.period_ms,
                    )
                    for sensor in bank
                ],
            ),
            boot=boot,
            offset_ms=start_ms if config.clock_known else None,
        )
        self.down = False
        self.drops = 0
        self._start_ms = start_ms
        self._elapsed_ms = 0
        self._rows: list[_Row] = []
        self._undated_events: list[tuple[int, int, str, dict[str, object]]] = []
        self._codes: dict[int, int] = {}
        self._locked_out = False
        self._lost: list[int] = []
        self._lost_silently = False
        self._held: list[tuple[float, Message]] = []

    def begin(self, start_ms: int) -> None:
        """Say that the first period begins now, not when the device was made (UTC ms)."""
        with self.session.lock:
            self.session.up_ms += start_ms - self._start_ms
            self._start_ms = start_ms

    def step(self) -> list[Message]:
        """Let one period pass; what is to be published, in order of sending."""
        self._elapsed_ms += self.config.period_ms
        at_s = self._elapsed_ms / 1000
        effects = self._script.effects(at_s)
        self.unit.step(self.config.period_ms / 1000, effects)
        with self.session.lock:
            if self._is_down(effects):
                return []
            self.session.up_ms += self.config.period_ms
            self.session.skew_ms = round(1000 * effects.skew_s)
            self._read(effects)
            made = self._flush()
            return self._disturb(made, effects, at_s)

    @property
    def diag_due(self) -> bool:
        """Whether the row just read was the first of a minute since the start."""
        minute, rest_ms = divmod(self.session.up_ms, _DIAG_EVERY_MS)
        return not self.down and minute > 0 and rest_ms < self.config.period_ms

    def diag(self, *, backlog: int, oldest: tuple[int, int] | None, reconnects: int) -> Message:
        """The device's own health, with the figures of its link."""
        return self.session.diag(
            backlog=backlog, oldest=oldest, drops=self.drops, reconnects=reconnects
        )

    def lost(self, numbers: Iterable[tuple[int, int]]) -> None:
        """Take note of (boot, seq) given up for want of room; an event will tell of them."""
        with self.session.lock:
            for boot, seq in numbers:
                self.drops += 1
                if boot == self.session.boot:
                    self._lost.append(seq)

    def flush(self) -> list[Message]:
        """What is left in an unfinished message: to be published before the end."""
        with self.session.lock:
            return [*self._encode_rows(1), *(message for _, message in self._held)]

    def _is_down(self, effects: Effects) -> bool:
        """Go down and come up again as the script says; True while down."""
        if effects.down:
            if not self.down:
                self.down = True
                # Rows not yet in a message lived in memory only.
                self._rows.clear()
                self._undated_events.clear()
            return True
        if self.down:
            self.down = False
            self._lost.clear()
            # Only a clock that runs on by itself survives the restart.
            now_ms = self._start_ms + self._elapsed_ms - self.config.period_ms
            self.session.restart("watchdog", now_ms if self.config.clock_known else None)
            self._event("reset", {"reason": "watchdog"})
        return False

    def _read(self, effects: Effects) -> None:
        values, codes = self._bank.read(self.unit.truth(), effects)
        session = self.session
        self._rows.append(_Row(session.up_ms, session.skew_ms, values, codes))
        if len(self._rows) > _MOST_UNDATED:
            del self._rows[0]
            self.drops += 1
        if codes != self._codes:
            self._tell_sensor_faults(codes)
        locked_out = self.unit.burner.state is BurnerState.LOCKOUT
        if locked_out is not self._locked_out:
            self._locked_out = locked_out
            details: dict[str, object] = {"alarm": "lockout", "active": locked_out}
            if locked_out:
                details["cause"] = self.unit.burner.cause
            self._event("alarm_edge", details)

    def _tell_sensor_faults(self, codes: dict[int, int]) -> None:
        for index in sorted(codes.keys() | self._codes.keys()):
            code = codes.get(index, contract.GOOD)
            if code != self._codes.get(index, contract.GOOD):
                self._event("sensor_fault", {"metric": self._metrics[index], "code": code})
        self._codes = codes

    def _event(self, event: str, details: dict[str, object]) -> None:
        session = self.session
        self._undated_events.append((session.up_ms, session.skew_ms, event, details))

    def _flush(self) -> list[Message]:
        """Encode what is complete; nothing while there is no clock to date it by."""
        if self.session.offset_ms is None:
            return []
        return [*self._encode_events(), *self._encode_rows(self.config.rows_per_message)]

    def _encode_events(self) -> list[Message]:
        offset = self.session.offset_ms or 0
        made = [
            self.session.event(event, details, up_ms=up_ms, utc_ms=up_ms + offset + skew_ms)
            for up_ms, skew_ms, event, details in self._undated_events
        ]
        self._undated_events.clear()
        return made

    def _encode_rows(self, least: int) -> list[Message]:
        """Encode rows in messages of the configured size, or shorter where the clock jumped."""
        made: list[Message] = []
        most = self.config.rows_per_message
        while self._rows and self.session.offset_ms is not None:
            skew_ms = self._rows[0].skew_ms
            count = 0
            while count < min(most, len(self._rows)) and self._rows[count].skew_ms == skew_ms:
                count += 1
            jumped = count < len(self._rows) and count < most
            if count < least and not jumped:
                break
            made.append(self._encode(self._rows[:count]))
            del self._rows[:count]
        return made

    def _encode(self, rows: list[_Row]) -> Message:
        first = rows[0]
        return self.session.data(
            self._metrics,
            [[row.up_ms - first.up_ms, *row.values] for row in rows],
            up_ms=first.up_ms,
            utc_ms=first.up_ms + first.skew_ms + (self.session.offset_ms or 0),
            quality=[
                (index, column, code)
                for index, row in enumerate(rows)
                for column, code in row.codes.items()
            ],
        )

    def _disturb(self, made: list[Message], effects: Effects, at_s: float) -> list[Message]:
        """Lose, double and delay messages as the script says."""
        sent = list(made)
        if effects.loss_share == 0 and self._lost:
            sent.extend(self._tell_losses())
        if not effects.quiet:
            sent = self._lose(sent, effects)
            sent = self._delay(sent, effects, at_s)
            share = effects.duplicate_share
            sent = [copy for message in sent for copy in self._copies(message, share)]
        if self._held:
            sent.extend(message for due_s, message in self._held if due_s <= at_s)
            self._held = [held for held in self._held if held[0] > at_s]
        return sent

    def _tell_losses(self) -> list[Message]:
        lost, self._lost = self._lost, []
        if self._lost_silently:
            return []
        utc_ms = self.session.utc_ms()
        if utc_ms is None:
            self._lost = lost
            return []
        details: dict[str, object] = {"from": min(lost), "to": max(lost), "count": len(lost)}
        return [self.session.event("loss", details, up_ms=self.session.up_ms, utc_ms=utc_ms)]

    def _lose(self, messages: list[Message], effects: Effects) -> list[Message]:
        kept = []
        for message in messages:
            if message.seq is not None and self._dice.random() < effects.loss_share:
                self._lost.append(message.seq)
                self._lost_silently = effects.loss_silent
                self.drops += 1
                self.session.forget(message)
            else:
                kept.append(message)
        return kept

    def _delay(self, messages: list[Message], effects: Effects, at_s: float) -> list[Message]:
        kept = []
        for message in messages:
            if self._dice.random() < effects.late_share:
                self._held.append((at_s + effects.late_by_s, message))
            else:
                kept.append(message)
        return kept

    def _copies(self, message: Message, share: float) -> tuple[Message, ...]:
        return (message, message) if self._dice.random() < share else (message,)


def _boot_of(start_ms: int) -> int:
    """A boot number that only grows: seconds since 2020-01-01."""
    return max(1, math.floor(start_ms / 1000) - 1_577_836_800)
