"""A plant that does not exist, and what its instruments would show at any moment.

Everything is a pure function of time, so tests and screenshots can be repeated and the
history of any span can be made up on the spot.
"""

import math
from pathlib import Path

from bridge.plant import Plant, parse_plant

_ALARMS = """
      - {name: low-water, metric: water_level, type: LOLO, setpoint: 25, deadband: 2, on_delay_s: 3, priority: 1, title_pt: Nível muito baixo, title_en: Very low water, response_pt: Confira o visor de nível e a bomba., response_en: Check the gauge glass and the pump.}
      - {name: level-low, metric: water_level, type: LO, setpoint: 35, deadband: 2, on_delay_s: 10, priority: 2, title_pt: Nível baixo, title_en: Low water}
      - {name: level-high, metric: water_level, type: HI, setpoint: 70, deadband: 2, on_delay_s: 10, priority: 3, title_pt: Nível alto, title_en: High water}
      - {name: pressure-very-high, metric: steam_pressure, type: HIHI, setpoint: 9.8, deadband: 0.2, on_delay_s: 2, priority: 1, title_pt: Pressão próxima da PMTA, title_en: Pressure near the MAWP}
      - {name: pressure-high, metric: steam_pressure, type: HI, setpoint: 9.2, deadband: 0.2, on_delay_s: 10, priority: 2, title_pt: Pressão alta, title_en: High pressure}
      - {name: stack-hot, metric: flue_gas_temperature, type: HI, setpoint: 260, deadband: 5, on_delay_s: 60, priority: 3, title_pt: Chaminé quente, title_en: Hot stack}
      - {name: oxygen-low, metric: oxygen, type: LO, setpoint: 1.5, deadband: 0.3, on_delay_s: 30, priority: 2, title_pt: Oxigênio baixo, title_en: Low oxygen}
      - {name: oxygen-high, metric: oxygen, type: HI, setpoint: 6, deadband: 0.3, on_delay_s: 120, priority: 4, title_pt: Excesso de ar, title_en: Excess air}
      - {name: no-pressure, metric: steam_pressure, type: STALE, setpoint: 30, priority: 2, title_pt: Sem leitura de pressão, title_en: No pressure reading}
"""

_INSTRUMENTS = """
      - {{metric: steam_pressure, tag: PT-{n}01, normal: [7.2, 8.6]}}
      - {{metric: water_level, tag: LT-{n}01, normal: [42, 62]}}
      - {{metric: steam_flow, tag: FT-{n}01, normal: [1.5, {high}]}}
      - {{metric: feedwater_flow, tag: FT-{n}02, normal: [1.5, {high}]}}
      - {{metric: feedwater_temperature, tag: TT-{n}02, normal: [85, 105]}}
      - {{metric: oxygen, tag: AT-{n}01, normal: [2.5, 4.5]}}
      - {{metric: flue_gas_temperature, tag: TT-{n}01, normal: [180, 240]}}
      - {{metric: carbon_monoxide, tag: AT-{n}02, normal: [0, 100]}}
      - {{metric: fuel_flow, tag: FT-{n}03}}
      - {{metric: firing_rate}}
      - {{metric: steam_temperature, tag: TT-{n}03, normal: [168, 180]}}
      - {{metric: flame}}
      - {{metric: burner_state}}
"""

_BOILERS = (
    # name, site, title, capacity t/h, share of load, phase
    ("caldeira-1", "jundiai", "Caldeira 1", 8.0, 0.72, 0.0),
    ("caldeira-2", "jundiai", "Caldeira 2", 8.0, 0.58, 1.3),
    ("caldeira-3", "jundiai", "Caldeira 3", 5.0, 0.0, 2.1),
    ("caldeira-4", "recife", "Caldeira 4", 12.0, 0.64, 4.2),
)

_SHAPE = {boiler[0]: (boiler[3], boiler[4], boiler[5]) for boiler in _BOILERS}


def fake_plant() -> Plant:
    """Two sites and four boilers; the third is on standby."""
    lines = [
        "sites:",
        "  - {name: jundiai, title: Fábrica Jundiaí, time_zone: America/Sao_Paulo}",
        "  - {name: recife, title: Fábrica Recife, time_zone: America/Recife}",
        "boilers:",
    ]
    for number, (name, site, title, capacity, _share, _phase) in enumerate(_BOILERS, start=1):
        lines += [
            f"  - name: {name}",
            f"    site: {site}",
            f"    title: {title}",
            "    category: B",
            "    pmta_bar: 10.5",
            f"    capacity_t_h: {capacity}",
            "    fuel: Gás natural",
            f"    instruments:{_INSTRUMENTS.format(n=number, high=capacity * 0.9).rstrip()}",
            f"    alarms:{_ALARMS.rstrip()}",
        ]
    lines.append("devices:")
    for name, site, *_ in _BOILERS:
        lines.append(f"  - {{name: esp-{name}, site: {site}, boiler: {name}, board: esp32}}")
    return parse_plant("\n".join(lines), Path("plant.yaml"))


FAKE_METRICS = (
    "steam_pressure",
    "water_level",
    "steam_flow",
    "feedwater_flow",
    "feedwater_temperature",
    "oxygen",
    "flue_gas_temperature",
    "carbon_monoxide",
    "fuel_flow",
    "firing_rate",
    "steam_temperature",
    "flame",
    "burner_state",
)


def fake_value(boiler: str, metric: str, at_s: float) -> float:
    """What an instrument of the fake plant shows at a moment (epoch seconds)."""
    capacity, share, phase = _SHAPE.get(boiler, (8.0, 0.6, 0.0))
    noise = _noise(boiler, metric, at_s)
    if share == 0.0:
        return _standby(metric, at_s, noise)
    load = _load(share, phase, at_s)
    cycle = math.sin(at_s / 37.0 + phase)
    values = {
        "steam_pressure": 7.95 - 0.9 * (load - share) + 0.16 * cycle + 0.03 * noise,
        "water_level": 52.0 + 3.4 * math.sin(at_s / 71.0 + phase) + 1.4 * cycle + 0.35 * noise,
        "steam_flow": capacity * load + 0.05 * noise,
        "feedwater_flow": capacity * load * (1.02 + 0.06 * math.sin(at_s / 53.0)) + 0.08 * noise,
        "feedwater_temperature": 96.0 + 3.0 * math.sin(at_s / 900.0 + phase) + 0.2 * noise,
        "oxygen": 3.4 + 0.5 * math.sin(at_s / 140.0 + phase) - 0.6 * (load - share) + 0.1 * noise,
        "flue_gas_temperature": 196.0 + 52.0 * (load - 0.4) + 3.0 * cycle + 0.6 * noise,
        "carbon_monoxide": 34.0 + 12.0 * math.sin(at_s / 210.0 + phase) + 3.0 * noise,
        "fuel_flow": capacity * load * 71.0 + 4.0 * noise,
        "firing_rate": 100.0 * min(1.0, load * 1.04) + 0.4 * noise,
        "steam_temperature": 174.6 + 1.2 * cycle + 0.1 * noise,
        "flame": 1.0,
        "burner_state": 5.0,
    }
    return values[metric]


def _load(share: float, phase: float, at_s: float) -> float:
    """Share of capacity: the shift's rhythm, a slow wander, and the process's steps."""
    day = 0.06 * math.sin(2 * math.pi * (at_s - 6 * 3600) / 86_400)
    wander = 0.05 * math.sin(at_s / 620.0 + phase) + 0.03 * math.sin(at_s / 149.0 + 2 * phase)
    step = 0.05 if int(at_s // 1_740 + phase * 3) % 3 == 0 else -0.02
    return share + day + wander + step


def _standby(metric: str, at_s: float, noise: float) -> float:
    values = {
        "steam_pressure": 3.1 + 0.15 * math.sin(at_s / 1_800.0) + 0.01 * noise,
        "water_level": 55.0 + 0.4 * math.sin(at_s / 600.0) + 0.1 * noise,
        "feedwater_temperature": 88.0 + 0.1 * noise,
        "oxygen": 20.6 + 0.05 * noise,
        "flue_gas_temperature": 78.0 + 2.0 * math.sin(at_s / 2_400.0) + 0.2 * noise,
        "steam_temperature": 143.0 + 0.1 * noise,
        "burner_state": 0.0,
    }
    return values.get(metric, 0.0)


def _noise(boiler: str, metric: str, at_s: float) -> float:
    """Repeatable noise in -1..1, new each second."""
    seed = sum(map(ord, boiler)) * 31.7 + sum(map(ord, metric)) * 7.3 + math.floor(at_s)
    whole = math.sin(seed * 12.9898) * 43_758.5453
    return 2.0 * (whole - math.floor(whole)) - 1.0
