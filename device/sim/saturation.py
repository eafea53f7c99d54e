"""Water and steam on the saturation line.

Temperature and pressure follow IAPWS-IF97 region 4 (R7-97(2012), equations 30 and 31);
densities and enthalpies follow the supplementary release IAPWS SR1-86(1992).
"""

import math
from dataclasses import dataclass

_N = (
    0.11670521452767e4,
    -0.72421316703206e6,
    -0.17073846940092e2,
    0.12020824702470e5,
    -0.32325550322333e7,
    0.14915108613530e2,
    -0.48232657361591e4,
    0.40511340542057e6,
    -0.23855557567849,
    0.65017534844798e3,
)
_KELVIN = 273.15
_BAR_PER_MPA = 10.0

_T_CRITICAL = 647.096
_RHO_CRITICAL = 322.0
_LIQUID = (
    (1.99274064, 1 / 3),
    (1.09965342, 2 / 3),
    (-0.510839303, 5 / 3),
    (-1.75493479, 16 / 3),
    (-45.5170352, 43 / 3),
    (-6.74694450e5, 110 / 3),
)
_VAPOUR = (
    (-2.03150240, 2 / 6),
    (-2.68302940, 4 / 6),
    (-5.38626492, 8 / 6),
    (-17.2991605, 18 / 6),
    (-44.7586581, 37 / 6),
    (-63.9201063, 71 / 6),
)
_ALPHA_0 = -1135.905627715
_ALPHA = (
    (-5.65134998e-8, -19.0),
    (2690.66631, 1.0),
    (127.287297, 4.5),
    (-135.003439, 5.0),
    (0.981825814, 54.5),
)


def saturation_pressure_bar(celsius: float) -> float:
    """Pressure of boiling water in bar absolute (IF97 equation 30), 0 to 373 °C."""
    kelvin = celsius + _KELVIN
    theta = kelvin + _N[8] / (kelvin - _N[9])
    a = theta * theta + _N[0] * theta + _N[1]
    b = _N[2] * theta * theta + _N[3] * theta + _N[4]
    c = _N[5] * theta * theta + _N[6] * theta + _N[7]
    root = 2 * c / (-b + math.sqrt(b * b - 4 * a * c))
    return _BAR_PER_MPA * root * root * root * root


def saturation_temperature_c(bar_absolute: float) -> float:
    """Boiling temperature in °C at a pressure in bar absolute (IF97 equation 31), 0.0062 to 220."""
    beta = math.pow(bar_absolute / _BAR_PER_MPA, 0.25)
    e = beta * beta + _N[2] * beta + _N[5]
    f = _N[0] * beta * beta + _N[3] * beta + _N[6]
    g = _N[1] * beta * beta + _N[4] * beta + _N[7]
    d = 2 * g / (-f - math.sqrt(f * f - 4 * e * g))
    total = _N[9] + d
    return (total - math.sqrt(total * total - 4 * (_N[8] + _N[9] * d))) / 2 - _KELVIN


@dataclass(frozen=True, slots=True)
class Saturated:
    """Boiling water (f) and dry steam (g): volumes in m³/kg, energies and enthalpies in kJ/kg."""

    v_f: float
    v_g: float
    u_f: float
    u_g: float
    h_f: float
    h_g: float


def saturated(celsius: float) -> Saturated:
    """Properties on the saturation line at a temperature in °C (IAPWS SR1-86), 1 to 370 °C."""
    kelvin = celsius + _KELVIN
    tau = 1 - kelvin / _T_CRITICAL
    theta = kelvin / _T_CRITICAL
    rho_f = _RHO_CRITICAL * (1 + sum(b * tau**power for b, power in _LIQUID))
    rho_g = _RHO_CRITICAL * math.exp(sum(c * tau**power for c, power in _VAPOUR))
    alpha = _ALPHA_0 + sum(d * theta**power for d, power in _ALPHA)
    kpa = 100 * saturation_pressure_bar(celsius)
    slope = 100 * (
        saturation_pressure_bar(celsius + 0.05) - saturation_pressure_bar(celsius - 0.05)
    )
    clapeyron = kelvin * slope / 0.1
    h_f = alpha + clapeyron / rho_f
    h_g = alpha + clapeyron / rho_g
    return Saturated(1 / rho_f, 1 / rho_g, h_f - kpa / rho_f, h_g - kpa / rho_g, h_f, h_g)


class SaturationTable:
    """Properties read from a grid, for the inner loop: interpolated between steps of 0.5 K."""

    LOW_C = 5.0
    HIGH_C = 260.0
    _PER_K = 2

    def __init__(self) -> None:
        points = int((self.HIGH_C - self.LOW_C) * self._PER_K) + 2
        rows = [saturated(self.LOW_C + index / self._PER_K) for index in range(points)]
        self._rows = [(r.v_f, r.v_g, r.u_f, r.u_g, r.h_f, r.h_g) for r in rows]

    def at(self, celsius: float) -> tuple[float, float, float, float, float, float]:
        """(v_f, v_g, u_f, u_g, h_f, h_g) at a temperature, held at the ends of the grid."""
        place = (min(max(celsius, self.LOW_C), self.HIGH_C) - self.LOW_C) * self._PER_K
        index = int(place)
        share = place - index
        a0, a1, a2, a3, a4, a5 = self._rows[index]
        b0, b1, b2, b3, b4, b5 = self._rows[index + 1]
        return (
            a0 + share * (b0 - a0),
            a1 + share * (b1 - a1),
            a2 + share * (b2 - a2),
            a3 + share * (b3 - a3),
            a4 + share * (b4 - a4),
            a5 + share * (b5 - a5),
        )
