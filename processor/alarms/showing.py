"""What dashboards are shown of the evaluator's state."""

from collections.abc import Iterable

from bridge.live import LiveAlarm, LiveBoiler, LiveReading, LiveSite
from bridge.plant import Plant
from bridge.records import AlarmState
from processor.alarms.compiled import Compiled
from processor.alarms.followed import FollowedDevice
from processor.alarms.machine import Alarm
from processor.alarms.system import SYSTEM_BOILER


def live_system(alarms: Iterable[Alarm], at_us: int) -> LiveSite:
    """The alarms of Steam itself, as boiler `_steam` of site ""."""
    system = LiveBoiler(boiler=SYSTEM_BOILER, readings={}, alarms=live_alarms(alarms), devices=[])
    return LiveSite(site="", at_us=at_us, boilers=[system])


def live_site(
    plant: Plant, compiled: Compiled, devices: Iterable[FollowedDevice], site: str, at_us: int
) -> LiveSite:
    """The newest readings, the alarms and the devices of a site's boilers."""
    of_boiler: dict[str, list[FollowedDevice]] = {}
    for device in devices:
        of_boiler.setdefault(plant.devices[device.watch.name].boiler, []).append(device)
    boilers = []
    for boiler in plant.boilers_of(site):
        watch = compiled.boilers[boiler.name]
        boilers.append(
            LiveBoiler(
                boiler=boiler.name,
                readings={n: LiveReading(*r) for n, r in watch.newest_readings().items()},
                alarms=live_alarms(watch.alarms()),
                devices=[device.live() for device in of_boiler.get(boiler.name, ())],
            )
        )
    return LiveSite(site=site, at_us=at_us, boilers=boilers)


def live_alarms(alarms: Iterable[Alarm]) -> list[LiveAlarm]:
    """Those that are not NORMAL, most urgent first."""
    shown = [alarm for alarm in alarms if alarm.state is not AlarmState.NORMAL]
    shown.sort(key=lambda alarm: (alarm.priority, alarm.since_us, alarm.name))
    return [
        LiveAlarm(
            definition=alarm.name,
            type=alarm.type,
            metric=alarm.metric,
            state=alarm.state,
            priority=alarm.priority,
            since_us=alarm.since_us,
            value=alarm.value,
            setpoint=alarm.setpoint,
            acknowledged_by=alarm.acknowledged_by,
        )
        for alarm in shown
    ]
