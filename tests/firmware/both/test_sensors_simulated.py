"""A boiler that is not there."""

import unittest

from device.steamlink import contract
from device.steamlink.sensors import simulated
from tests.firmware.wires import readings


def driver(**changes):
    cfg = dict(simulated.DEFAULTS)
    cfg.update(changes)
    return simulated.Driver(None, cfg)


class TestSimulated(unittest.TestCase):
    def test_simulated_readings_stay_within_their_ranges(self):
        """For an hour of seconds, all metrics, several seeds."""
        for seed in (0, 1, 77, 123456):
            boiler = driver(seed=seed, metrics=simulated.names().split(", "))
            ranges = {metric[0]: metric[3:] for metric in boiler.metrics()}
            for up_ms in range(0, 3600000, 60500):
                got = readings(boiler, up_ms)
                self.assertEqual(sorted(got), sorted(ranges))
                for name in got:
                    value, code = got[name]
                    self.assertTrue(ranges[name][0] <= value <= ranges[name][1], name)
                    self.assertEqual(code, contract.GOOD)

    def test_simulated_readings_of_same_seed_and_time_are_the_same(self):
        """A test that fails can be run again."""
        self.assertEqual(readings(driver(seed=5), 99000), readings(driver(seed=5), 99000))
        self.assertNotEqual(readings(driver(seed=5), 99000), readings(driver(seed=6), 99000))

    def test_simulated_readings_move_plausibly(self):
        """From second to second the pressure moves, by less than a tenth of a bar."""
        boiler, before, moved = driver(metrics=["steam_pressure"]), None, 0
        for up_ms in range(0, 300000, 1000):
            value = readings(boiler, up_ms)["steam_pressure"][0]
            if before is not None:
                self.assertTrue(abs(value - before) < 0.1)
                moved += value != before
            before = value
        self.assertTrue(moved > 250)

    def test_simulated_flow_follows_the_load(self):
        """More steam goes with more fuel and hotter flue gas."""
        boiler = driver(metrics=["steam_flow", "fuel_flow", "flue_gas_temperature"])
        rows = [readings(boiler, up_ms) for up_ms in range(0, 1260000, 10000)]
        rows.sort(key=lambda row: row["steam_flow"][0])

        for name in ("fuel_flow", "flue_gas_temperature"):
            self.assertTrue(rows[-1][name][0] > rows[0][name][0] * 1.2)

    def test_simulated_after_years_still_moves(self):
        """Time is reduced before it becomes a float."""
        boiler = driver(metrics=["steam_pressure"])
        start = 10**11

        self.assertNotEqual(readings(boiler, start), readings(boiler, start + 1000))

    def test_simulated_with_wrong_seed_or_metrics_is_refused(self):
        """A seed is a whole number, metrics a list of names."""
        for changes in (
            {"seed": None},
            {"seed": "1"},
            {"seed": float("inf")},
            {"seed": []},
            {"metrics": 5},
            {"metrics": "oxygen"},
            {"metrics": [5]},
        ):
            with self.assertRaises(ValueError):
                driver(**changes)

    def test_simulated_with_unknown_metric_is_refused(self):
        """The fault names those that there are."""
        try:
            driver(metrics=["steam_presure"])
        except ValueError as fault:
            self.assertIn("steam_pressure", str(fault))
        else:
            self.fail("accepted")
