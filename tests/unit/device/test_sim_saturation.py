"""Saturation properties of the simulator against published tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.sim.saturation import (
    SaturationTable,
    saturated,
    saturation_pressure_bar,
    saturation_temperature_c,
)

# bar gauge at 1.01325 bar, °C, h_f and h_g in kJ/kg (IAPWS-IF97)
TABLE = [
    (0, 99.974, 418.99, 2675.53),
    (1, 120.420, 505.57, 2706.54),
    (3, 143.732, 605.24, 2738.21),
    (5, 158.919, 670.88, 2756.23),
    (7, 170.482, 721.32, 2768.37),
    (8, 175.420, 743.00, 2773.10),
    (10, 184.123, 781.43, 2780.71),
    (12, 191.660, 814.97, 2786.53),
    (15, 201.418, 858.79, 2792.90),
    (20, 214.897, 920.14, 2799.37),
    (40, 251.845, 1094.68, 2800.39),
]


@pytest.mark.parametrize(("gauge_bar", "celsius", "h_f", "h_g"), TABLE)
def test_saturation_table_is_met(gauge_bar, celsius, h_f, h_g):
    """Boiling temperature and enthalpies agree with the steam tables."""
    boiling_c = saturation_temperature_c(gauge_bar + 1.01325)

    assert boiling_c == pytest.approx(celsius, abs=0.001)
    assert saturated(celsius).h_f == pytest.approx(h_f, abs=0.5)
    assert saturated(celsius).h_g == pytest.approx(h_g, abs=0.5)


@pytest.mark.parametrize(
    ("kelvin", "mpa"),
    [(300, 0.353658941e-2), (500, 0.263889776e1), (600, 0.123443146e2)],
)
def test_saturation_pressure_check_value(kelvin, mpa):
    """Region 4 gives the check values of IAPWS R7-97, table 35."""
    assert saturation_pressure_bar(kelvin - 273.15) / 10 == pytest.approx(mpa, rel=1e-8)


@pytest.mark.parametrize(("mpa", "kelvin"), [(0.1, 372.755919), (1, 453.035632), (10, 584.149488)])
def test_saturation_temperature_check_value(mpa, kelvin):
    """Region 4 gives the check values of IAPWS R7-97, table 36."""
    assert saturation_temperature_c(10 * mpa) + 273.15 == pytest.approx(kelvin, abs=1e-6)


@given(celsius=st.floats(1, 370))
def test_saturation_pressure_of_temperature_is_its_inverse(celsius):
    """The two equations of region 4 undo each other."""
    there_and_back = saturation_temperature_c(saturation_pressure_bar(celsius))

    assert there_and_back == pytest.approx(celsius, abs=1e-6)


@given(celsius=st.floats(90, 250))
def test_saturation_grid_differs_little_from_formula(celsius):
    """Interpolation costs less than 0.05 % of any property."""
    exact = saturated(celsius)

    found = GRID.at(celsius)

    assert found == pytest.approx(
        (exact.v_f, exact.v_g, exact.u_f, exact.u_g, exact.h_f, exact.h_g), rel=5e-4
    )


GRID = SaturationTable()


@pytest.mark.parametrize("celsius", [-40.0, 900.0])
def test_saturation_grid_beyond_its_ends_holds(celsius):
    """Outside the grid its nearest end is given, not an error."""
    end = SaturationTable.LOW_C if celsius < 0 else SaturationTable.HIGH_C

    assert GRID.at(celsius) == GRID.at(end)
