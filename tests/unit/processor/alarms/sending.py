"""A small plant and a device that sends rows to an evaluation, under a clock of its own."""

import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta

from bridge.clock import from_us, to_us
from bridge.live import AcknowledgeAlarm
from bridge.messages import Birth, Data, Event, State
from bridge.plant import AlarmDefinition, AlarmType, Boiler, Device, Plant, PlantFile, Site
from bridge.records import AlarmEvent, AlarmState, Rows
from bridge.topics import Kind, Topic
from processor.alarms.takeover import Records
from processor.evaluation import Evaluation, Taken

START_MS = 1_795_392_000_000
START = from_us(START_MS * 1000)
PRESSURE = "steam_pressure"
LEVEL = "water_level"


def definition(name="hi", metric=PRESSURE, type_="HI", setpoint=10.0, **more) -> AlarmDefinition:
    """A definition of an alarm."""
    return AlarmDefinition(
        name=name, metric=metric, type=AlarmType(type_), setpoint=setpoint, **more
    )


def plant_with(*alarms: AlarmDefinition, devices: Iterable[str] = ("d1",)) -> Plant:
    """A plant of one site and one boiler with these alarms, watched by these devices."""
    return Plant(
        PlantFile(
            sites=[Site(name="mill")],
            boilers=[Boiler(name="b1", site="mill", alarms=list(alarms))],
            devices=[Device(name=name, site="mill", boiler="b1") for name in devices],
        )
    )


def us(seconds: float) -> int:
    """The moment `seconds` after the start, in epoch µs."""
    return START_MS * 1000 + round(seconds * 1_000_000)


def row_us(seconds: float, seq: int) -> int:
    """The time of a row sent with this seq `seconds` after the start (epoch µs)."""
    return us(seconds) + seq % 1000


def data(
    seq: int,
    *rows: tuple[float | None, ...],
    at: float | None = None,
    boot: int = 1,
    metrics: tuple[str, ...] = (PRESSURE,),
    quality: dict[str, int] | None = None,
    step_s: float = 1.0,
) -> Data:
    """A data message; its rows are a second apart, the first `at` s (the seq) from the start."""
    first = seq if at is None else at
    return Data(
        v=1,
        b=boot,
        n=seq,
        up=seq * 1000,
        t=START_MS + round(first * 1000),
        ts=2,
        k=metrics,
        r=[[round(index * step_s * 1000), *values] for index, values in enumerate(rows)],
        q=quality,
    )


def birth(boot=1, conn=1, up=0, clock=2, oldest=None, firmware="1.0", t=None) -> Birth:
    """A birth."""
    return Birth(
        v=1,
        id="d1",
        fw=firmware,
        board="esp32",
        boot=boot,
        conn=conn,
        reset="power",
        clock=clock,
        up=up,
        t=t,
        oldest=oldest,
    )


def loss(seq: int, first: int, last: int, boot: int = 1, of_boot: int | None = None) -> Event:
    """A loss event, of messages of its own boot or of another."""
    body = {"from": first, "to": last, "count": last - first + 1}
    if of_boot is not None:
        body["boot"] = of_boot
    return Event(v=1, b=boot, n=seq, up=0, t=START_MS + seq * 1000, ev="loss", d=body)


class Sender:
    """Sends to an evaluation under its own clock and gathers every event that comes out."""

    def __init__(self, plant: Plant, evaluation: Evaluation | None = None) -> None:
        self.now = START
        self.evaluation = evaluation or Evaluation(plant, self.now)
        self.events: list[AlarmEvent] = []
        self.commands = 0

    def send(self, message, kind=None, crc=None, device="d1", at: float | None = None) -> Taken:
        """Send one message; its crc is its content's unless given."""
        if at is not None:
            self.now = START + timedelta(seconds=at)
        if kind is None:
            kinds = {Data: Kind.DATA, Event: Kind.EVENT, Birth: Kind.BIRTH, State: Kind.STATE}
            kind = kinds[type(message)]
        crc = zlib.crc32(repr(message).encode()) if crc is None else crc
        taken = self.evaluation.take(Topic("mill", device, kind), message, crc, self.now)
        self.events += taken.events
        return taken

    def hist(self, message, **more) -> Taken:
        """Send a message as one of an outage."""
        return self.send(message, Kind.HIST, **more)

    def readings(self, *values: float | None, first: int = 1) -> "Sender":
        """Send one row a second, `first` s after the start, with time passing."""
        for seq, value in enumerate(values, start=first):
            self.send(data(seq, (value,)), at=seq)
        return self

    def tick(self, at: float | None = None, lag_s: float = 0.0) -> list[AlarmEvent]:
        """Let time pass."""
        if at is not None:
            self.now = START + timedelta(seconds=at)
        events = list(self.evaluation.tick(self.now, lag_s))
        self.events += events
        return events

    def acknowledge(
        self,
        name="hi",
        boiler="b1",
        at: float | None = None,
        note="",
        given: float | None = None,
        command: str = "",
    ):
        """Acknowledge an alarm as operator ana, by a command given now or at that second."""
        if at is not None:
            self.now = START + timedelta(seconds=at)
        self.commands += 1
        at_us = to_us(self.now) if given is None else us(given)
        identity = command or f"c{self.commands}"
        asked = AcknowledgeAlarm(
            id=identity, boiler=boiler, definition=name, by="ana", at_us=at_us, note=note
        )
        done = self.evaluation.acknowledge(asked, self.now)
        self.events += done.events
        return done

    @property
    def log(self) -> list[tuple[str, AlarmState, int]]:
        """(definition, state, time in µs since the start) of every event so far."""
        return [(e.definition, e.state, e.at_us - START_MS * 1000) for e in self.events]

    def state(self, name="hi") -> AlarmState:
        """The present state that dashboards are shown."""
        for boiler in self.evaluation.live("mill", self.now).boilers:
            for alarm in boiler.alarms:
                if alarm.definition == name:
                    return alarm.state
        return AlarmState.NORMAL

    def device(self, name="d1"):
        """A device as dashboards are shown it."""
        boilers = self.evaluation.live("mill", self.now).boilers
        return next(d for b in boilers for d in b.devices if d.device == name)


def moment(seconds: float) -> datetime:
    """The moment `seconds` after the start."""
    return START + timedelta(seconds=seconds)


def stored(message: Data, device="d1") -> list[Rows]:
    """The rows of a message as the store gives them back: one each, metrics by name."""
    codes, rows = message.quality(), []
    for index, at_us in enumerate(message.times_us()):
        cells = {}
        for column, metric in enumerate(message.k):
            value, code = message.r[index][column + 1], codes.get((index, column), 192)
            if value is not None or code != 192:
                cells[metric] = (value, code)
        names = tuple(sorted(cells))
        quality = {(0, at): cells[name][1] for at, name in enumerate(names) if cells[name][1] < 192}
        rows.append(
            Rows(
                site="mill",
                boiler="b1",
                device=device,
                boot=message.b,
                seq=message.n,
                metrics=names,
                times_us=[at_us],
                values=[[cells[name][0] for name in names]],
                quality=quality,
            )
        )
    return rows


def records(events: Iterable[AlarmEvent], messages: Iterable[Data] = ()) -> Records:
    """What the store gives back of these events and messages."""
    heads: dict[str, AlarmEvent] = {}
    newest: dict[tuple[str, str], AlarmEvent] = {}
    known = sorted(events, key=lambda event: (event.boiler, event.recorded_at_us))
    for event in known:
        heads[event.boiler] = event
        if not event.retroactive:
            newest[event.boiler, event.definition] = event
    return Records(
        heads=heads,
        open_alarms=[each for each in newest.values() if each.state is not AlarmState.NORMAL],
        rows=[row for message in messages for row in stored(message)],
        events=known,
    )
