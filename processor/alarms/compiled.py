"""The plant compiled for judging: boilers with their alarms, devices with their columns."""

import msgspec

from bridge.plant import Plant
from bridge.records import AlarmState
from processor.alarms.machine import Alarm
from processor.alarms.watch import Band, BoilerWatch, Condition, Watch

Columns = tuple[str, ...]
MAX_WATCHES = 64
"""How many different column lists of a device are kept compiled."""
NEVER_US = 2**62


class DeviceWatch:
    """What is watched through one device: its conditions, bands and columns.

    `watches` are those of its present boiler, which it watches since `since_us`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.since_us = 0
        self.conditions: dict[tuple[str, str], Condition] = {}
        self.bands: dict[tuple[str, str], Band] = {}
        self.watches: dict[Columns, Watch] = {}
        self.earlier: dict[tuple[str, Columns], Watch] = {}


class Replaced(msgspec.Struct, frozen=True):
    """What a changed plant takes away.

    `gone` are the conditions that are no more, `left` the (boiler, definition) of those
    among them whose device does not watch the boiler any more.
    """

    gone: list[Condition]
    left: set[tuple[str, str]]


class Compiled:
    """The plant's boilers and devices as the engine sees them.

    `strayed` is set when a row from before a device was moved makes a condition at the
    boiler that it watched then.
    """

    def __init__(self, plant: Plant, now_us: int) -> None:
        self.plant = plant
        self.boilers: dict[str, BoilerWatch] = {}
        self.devices: dict[str, DeviceWatch] = {}
        self.strayed = False
        self._build(plant, now_us)

    def _build(self, plant: Plant, now_us: int) -> None:
        self.plant = plant
        boilers, self.boilers = self.boilers, {}
        for boiler in plant.file.boilers:
            watch = self.boilers[boiler.name] = BoilerWatch(boiler)
            watch.build(now_us, boilers.get(boiler.name))
        devices, self.devices = self.devices, {}
        for name in plant.devices:
            device = self.devices[name] = devices.get(name) or DeviceWatch(name)
            device.since_us = plant.watched_since_us(name)

    def replace(self, plant: Plant, now_us: int) -> Replaced:
        """Follow a changed plant, or the present one once a device has moved."""
        before = [(name, device.conditions) for name, device in self.devices.items()]
        self._build(plant, now_us)
        kept: set[Condition] = set()
        for device in self.devices.values():
            boiler = plant.boiler_of(device.name, now_us)
            device.conditions = {
                key: condition
                for key, condition in device.conditions.items()
                if key[0] == boiler and self._is_current(key, condition)
            }
            kept |= set(device.conditions.values())
            device.bands.clear()
            device.watches.clear()
            device.earlier.clear()
        gone = [each for _, conditions in before for each in conditions.values()]
        gone = [condition for condition in gone if condition not in kept]
        for condition in gone:
            condition.watched.conditions.remove(condition)
        left = {
            key
            for name, conditions in before
            for key in conditions
            if name not in self.devices or plant.boiler_of(name, now_us) != key[0]
        }
        return Replaced(gone, left)

    def next_move_us(self, now_us: int) -> int:
        """When (epoch µs) the next device goes to another boiler, as plant.yaml says ahead."""
        moves = (device.since_us for device in self.devices.values())
        return min((at_us for at_us in moves if at_us > now_us), default=NEVER_US)

    def begin_blind(self, now_us: int) -> None:
        """Count nothing as stale from before now: what was read until then is not known."""
        for boiler in self.boilers.values():
            for staleness in boiler.stale.values():
                staleness.blind_us = now_us

    def unwatched(self, now_us: int) -> set[str]:
        """The boilers that no device watches."""
        watched = {self.plant.boiler_of(name, now_us) for name in self.devices}
        return self.boilers.keys() - watched

    def _is_current(self, key: tuple[str, str], condition: Condition) -> bool:
        boiler = self.boilers.get(key[0])
        return boiler is not None and boiler.watched.get(key[1]) is condition.watched

    def without_definition(self, plant: Plant) -> list[Alarm]:
        """The alarms that are not NORMAL and have no definition in another plant."""
        names = {
            (boiler.name, definition.name)
            for boiler in plant.file.boilers
            for definition in boiler.alarms
        }
        return [
            alarm
            for boiler in self.boilers.values()
            for alarm in boiler.alarms()
            if alarm.state is not AlarmState.NORMAL and (alarm.boiler, alarm.name) not in names
        ]

    def watch_of(self, device: DeviceWatch, metrics: Columns, at_us: int) -> Watch:
        """The watch of a device's row with these columns at a moment (epoch µs)."""
        if at_us >= device.since_us:
            watch = device.watches.get(metrics)
            if watch is None:
                boiler = self.plant.boiler_of(device.name, at_us)
                watch = self._watch(device, boiler, metrics)
                device.watches[metrics] = watch
            return watch
        boiler = self.plant.boiler_of(device.name, at_us)
        watch = device.earlier.get((boiler, metrics))
        if watch is None:
            watch = self._watch(device, boiler, metrics)
            device.earlier[boiler, metrics] = watch
        return watch

    def _watch(self, device: DeviceWatch, boiler: str, metrics: Columns) -> Watch:
        if len(device.watches) + len(device.earlier) >= MAX_WATCHES:
            self._drop_watches(device)
        placed = self.boilers[boiler]
        numbered = list(enumerate(metrics, start=1))
        bands = [(index, self._band(device, placed, name)) for index, name in numbered]
        watch = Watch(
            placed,
            tuple((index, band) for index, band in bands if band is not None),
            tuple((index, name) for index, name in numbered if name in self.plant.metrics),
        )
        placed.watches.append(watch)
        return watch

    def _drop_watches(self, device: DeviceWatch) -> None:
        """Forget the columns of a device that names them ever anew."""
        dropped = {*device.watches.values(), *device.earlier.values()}
        for boiler in {watch.boiler for watch in dropped}:
            boiler.keep_readings()
            boiler.watches = [watch for watch in boiler.watches if watch not in dropped]
        device.watches.clear()
        device.earlier.clear()

    def _band(self, device: DeviceWatch, boiler: BoilerWatch, metric: str) -> Band | None:
        name = boiler.boiler.name
        band = device.bands.get((name, metric))
        if band is None:
            conditions = [
                self._condition(device, name, watched.definition.name)
                for watched in boiler.by_metric.get(metric, ())
            ]
            stale = [each for each in boiler.stale.values() if each.definition.metric == metric]
            if not conditions and not stale:
                return None
            band = device.bands[name, metric] = Band(conditions, stale)
            boiler.bands.setdefault(metric, []).append(band)
        return band

    def _condition(self, device: DeviceWatch, boiler: str, definition: str) -> Condition:
        condition = device.conditions.get((boiler, definition))
        if condition is None:
            condition = Condition(self.boilers[boiler].watched[definition])
            self.strayed |= self.plant.devices[device.name].boiler != boiler
            device.conditions[boiler, definition] = condition
        return condition
