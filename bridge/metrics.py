"""The catalogue of metrics: name, unit, physical range and labels.

Ranges are what a sensor can plausibly deliver, not alarm limits: limits belong to a
boiler and stand in plant.yaml. Units follow the plant floor (bar gauge, °C, t/h).
"""

import re

import msgspec

_METRIC_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
_TAKEN = frozenset(("batch_id", "boot", "seq", "time", "boiler", "device", "site"))


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One measured quantity: its unit, plausible range, decimals to show and labels."""

    name: str
    unit: str
    low: float
    high: float
    decimals: int
    label_pt: str
    label_en: str

    def label(self, language: str) -> str:
        """The label in `language` ("pt" or "pt-BR" is Portuguese, anything else English)."""
        return self.label_pt if language.startswith("pt") else self.label_en


def is_metric_name(text: str) -> bool:
    """Tell whether `text` may name a metric: never like a quality field or one of our own."""
    named = _METRIC_NAME.fullmatch(text) is not None
    return named and not text.endswith("_q") and text not in _TAKEN


def _metric(
    name: str, unit: str, low: float, high: float, decimals: int, label_pt: str, label_en: str
) -> Metric:
    return Metric(
        name=name,
        unit=unit,
        low=low,
        high=high,
        decimals=decimals,
        label_pt=label_pt,
        label_en=label_en,
    )


CATALOGUE: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _metric("steam_pressure", "bar", 0, 100, 2, "Pressão do vapor", "Steam pressure"),
        _metric("water_level", "%", 0, 100, 1, "Nível da água", "Water level"),
        _metric("steam_temperature", "°C", 0, 600, 1, "Temperatura do vapor", "Steam temperature"),
        _metric("steam_flow", "t/h", 0, 500, 2, "Vazão de vapor", "Steam flow"),
        _metric("feedwater_flow", "t/h", 0, 500, 2, "Vazão de água", "Feedwater flow"),
        _metric(
            "feedwater_temperature",
            "°C",
            0,
            300,
            1,
            "Temperatura da água",
            "Feedwater temperature",
        ),
        _metric("feedwater_pressure", "bar", 0, 150, 1, "Pressão da água", "Feedwater pressure"),
        _metric(
            "flue_gas_temperature",
            "°C",
            0,
            800,
            0,
            "Temperatura dos gases",
            "Flue gas temperature",
        ),
        _metric("oxygen", "%", 0, 21, 1, "Oxigênio", "Oxygen"),
        _metric("carbon_monoxide", "ppm", 0, 10_000, 0, "Monóxido de carbono", "Carbon monoxide"),
        _metric("fuel_flow", "Nm³/h", 0, 50_000, 0, "Vazão de combustível", "Fuel flow"),
        _metric(
            "combustion_air_temperature",
            "°C",
            -20,
            400,
            0,
            "Temperatura do ar",
            "Combustion air temperature",
        ),
        _metric("draft", "mbar", -100, 200, 1, "Tiragem", "Draft"),
        _metric("tds", "ppm", 0, 20_000, 0, "Sólidos dissolvidos", "Dissolved solids"),
        _metric("conductivity", "µS/cm", 0, 30_000, 0, "Condutividade", "Conductivity"),
        _metric("flame", "", 0, 1, 0, "Chama", "Flame"),
        _metric("low_water", "", 0, 1, 0, "Falta de água", "Low water"),
        _metric("burner_state", "", 0, 15, 0, "Estado do queimador", "Burner state"),
        _metric("firing_rate", "%", 0, 100, 0, "Carga do queimador", "Firing rate"),
        _metric("economiser_temperature", "°C", 0, 400, 0, "Economizador", "Economiser"),
        _metric("condensate_temperature", "°C", 0, 150, 0, "Condensado", "Condensate"),
        _metric("tank_level", "%", 0, 100, 0, "Nível do tanque", "Tank level"),
        _metric("fuel_pressure", "bar", 0, 50, 2, "Pressão do combustível", "Fuel pressure"),
        _metric(
            "furnace_pressure", "mbar", -100, 200, 1, "Pressão da fornalha", "Furnace pressure"
        ),
        _metric("ambient_temperature", "°C", -30, 80, 0, "Temperatura ambiente", "Ambient"),
    )
}
