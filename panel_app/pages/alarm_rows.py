"""Alarms as people read them: titles in their language, values with their unit."""

import msgspec

from bridge.live import LiveAlarm
from bridge.plant import AlarmDefinition, Plant
from panel_app.data.hub import LiveSnapshot
from panel_app.i18n import Translator

SYSTEM_BOILER = "_steam"
"""The boiler under which the evaluator raises alarms about Steam itself."""

_LAGGING = "evaluator_lagging"


class AlarmRow(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm that is not NORMAL; `since` is epoch ms."""

    boiler: str
    boiler_title: str
    definition: str
    title: str
    metric: str
    state: str
    priority: int
    since: int
    reading: str
    acknowledged_by: str
    response: str


def alarm_rows(snapshot: LiveSnapshot, plant: Plant, translator: Translator) -> list[AlarmRow]:
    """Every alarm of the plant that is not NORMAL, system alarms included."""
    return [
        alarm_row(alarm, boiler.boiler, plant, translator)
        for view in snapshot.sites.values()
        for boiler in view.live.boilers
        for alarm in boiler.alarms
    ]


def alarm_row(alarm: LiveAlarm, boiler: str, plant: Plant, translator: Translator) -> AlarmRow:
    """One alarm in the words of a language."""
    definition = definition_of(plant, boiler, alarm.definition)
    response = ""
    if definition is not None:
        response = definition.response_pt if translator.portuguese else definition.response_en
    return AlarmRow(
        boiler=boiler,
        boiler_title=boiler_title(plant, boiler, translator),
        definition=alarm.definition,
        title=alarm_title(plant, boiler, alarm.definition, translator),
        metric=alarm.metric,
        state=alarm.state.value,
        priority=alarm.priority,
        since=alarm.since_us // 1000,
        reading=reading_text(alarm, plant, translator),
        acknowledged_by=alarm.acknowledged_by,
        response=response,
    )


def definition_of(plant: Plant, boiler: str, name: str) -> AlarmDefinition | None:
    """The definition of that name, where the plant still has it."""
    found = plant.boilers.get(boiler)
    alarms = [] if found is None else found.alarms
    return next((alarm for alarm in alarms if alarm.name == name), None)


def boiler_title(plant: Plant, boiler: str, translator: Translator) -> str:
    """A boiler's title, or its name; Steam itself for system alarms."""
    if boiler == SYSTEM_BOILER:
        return translator.texts.system
    found = plant.boilers.get(boiler)
    return boiler if found is None else found.title or found.name


def alarm_title(plant: Plant, boiler: str, name: str, translator: Translator) -> str:
    """An alarm's title in a language; its definition's name where the plant has none."""
    texts = translator.texts
    if boiler == SYSTEM_BOILER:
        kind = next((each for each in texts.system_alarms if name.startswith(each)), None)
        if kind is None:
            return texts.system_other.format(name=name.replace("_", " "))
        return texts.system_alarms[kind].format(about=name.removeprefix(f"{kind}_"))
    definition = definition_of(plant, boiler, name)
    return name if definition is None else definition.title(translator.language)


def reading_text(alarm: LiveAlarm, plant: Plant, translator: Translator) -> str:
    """Such as "9,87 bar > 9,80": the value that caused an alarm, and its limit."""
    metric = plant.metrics.get(alarm.metric)
    if alarm.definition == _LAGGING and alarm.value is not None:
        return f"{translator.number(alarm.value, 1)} s"
    if alarm.type == "STALE":
        seconds = translator.number(alarm.setpoint, 0)
        return translator.texts.stale_reading.format(seconds=seconds)
    if metric is None or alarm.value is None:
        return ""
    value = f"{translator.number(alarm.value, metric.decimals)} {metric.unit}".strip()
    if alarm.setpoint is None:
        return value
    sign = "<" if alarm.type in ("LO", "LOLO") else ">"
    return f"{value} {sign} {translator.number(alarm.setpoint, metric.decimals)}"
