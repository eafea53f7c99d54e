"""Fault scripts as text and data, and what faults do to sensors."""

from random import Random

import pytest

from device.sim.faults import KINDS, Effects, Fault, FaultScript, FaultScriptError, parse_faults
from device.sim.sensors import SensorBank, sensors

BANK = sensors(12, 10)
INDEX = {sensor.metric: index for index, sensor in enumerate(BANK)}
TRUTH = (
    10.0, 50.0, 184.1, 6.0, 6.1, 103.0, 17.0, 230.0, 3.5,
    15.0, 450.0, 29.0, 5.0, 2800.0, 4000.0, 1.0, 5.0, 62.0,
)  # fmt: skip


def read(faults: str, at_s: float, truth=TRUTH):
    """Read the bank at 0 s, then at `at_s`; values and codes by metric."""
    script, bank = FaultScript(parse_faults(faults)), SensorBank(BANK, Random(1))
    bank.read(truth, Effects())
    values, codes = bank.read(truth, script.effects(at_s))
    by_metric = {metric: values[index] for metric, index in INDEX.items()}
    return by_metric, {BANK[index].metric: code for index, code in codes.items()}


def test_script_text_is_parsed():
    """The compact text gives the same faults as data."""
    faults = parse_faults(
        "low_water@30+60, b02/sensor_drift@5m+1h:metric=draft&per_min=0.2 reboot@1.5"
    )

    assert faults == (
        Fault(kind="low_water", at_s=30, duration_s=60),
        Fault(
            kind="sensor_drift",
            at_s=300,
            duration_s=3600,
            device="b02",
            args={"metric": "draft", "per_min": 0.2},
        ),
        Fault(kind="reboot", at_s=1.5),
    )


def test_script_empty_text_is_no_fault():
    """Nothing to parse is no fault at all."""
    assert parse_faults("  ") == ()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_script_every_kind_has_an_effect_in_its_time_only(kind):
    """Each fault is felt from its start to its end, and not outside."""
    script = FaultScript([Fault(kind=kind, at_s=10, duration_s=4)])

    felt = [not script.effects(at_s).quiet for at_s in (9.9, 10.0, 13.9, 14.0)]

    assert felt == [False, True, True, False]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("low_watr@30", "did you mean low_water"),
        ("low_water", "no fault"),
        ("low_water@", "no time"),
        ("low_water@x+1", "no time"),
        ("low_water@1+", "no time"),
        ("low_water@1+0", "longer than 0"),
        ("B 2/low_water@1", "no fault"),
        ("late@1:bys=4", "did you mean by_s"),
        ("late@1:by_s", "name=value"),
        ("late@1:by_s=long", "not a number"),
    ],
)
def test_script_mistake_is_named(text, words):
    """A mistake is answered with the part it is in and the nearest word."""
    with pytest.raises(FaultScriptError, match=words):
        parse_faults(text)


def test_script_takes_only_its_device():
    """A fault with a device is felt there alone; one without is felt everywhere."""
    faults = parse_faults("b01/fouling@0, flame_failure@0")

    first, second = (FaultScript(faults, device).effects(1) for device in ("b01", "b02"))

    assert (first.fouling_k, first.flame_lost) == (40.0, True)
    assert (second.fouling_k, second.flame_lost) == (0.0, True)


def test_script_fouling_grows_to_its_end():
    """Fouling grows in a line until it ends."""
    script = FaultScript(parse_faults("fouling@0+100:kelvin=40"))

    assert [script.effects(at_s).fouling_k for at_s in (0, 50, 99)] == [0.0, 20.0, 39.6]


def test_sensors_without_fault_are_near_the_truth_and_good():
    """Noise stays within six standard deviations, decimals are the sensor's, nothing is flagged."""
    values, codes = read("", 1)

    assert codes == {}
    for sensor, true in zip(BANK, TRUTH, strict=True):
        resolution = 10**-sensor.decimals
        assert values[sensor.metric] == pytest.approx(true, abs=6 * sensor.noise + resolution)
        assert values[sensor.metric] == round(values[sensor.metric], sensor.decimals)


def test_sensor_open_gives_no_value_and_not_connected():
    """A broken wire is seen by the device: null and OPC 8."""
    values, codes = read("sensor_open@1:metric=oxygen", 1)

    assert values["oxygen"] is None
    assert codes == {"oxygen": 8}


def test_sensor_stuck_repeats_its_last_value_unnoticed():
    """A stuck sensor shows what it showed before, and calls it good."""
    script = FaultScript(parse_faults("sensor_stuck@1:metric=steam_pressure"))
    bank = SensorBank(BANK, Random(1))
    before, _ = bank.read(TRUTH, Effects())
    falling = (5.0, *TRUTH[1:])

    for at_s in (1, 2, 3):
        values, codes = bank.read(falling, script.effects(at_s))

    assert values[0] == before[0]
    assert codes == {}


def test_sensor_drift_grows_and_ends_at_its_range():
    """A drifting sensor is off by rate times time, then saturates and says so (OPC 84)."""
    script = "sensor_drift@0:metric=oxygen&per_min=0.5"

    after_4_min, codes_4 = read(script, 240)
    after_1_h, codes_60 = read(script, 3600)

    assert after_4_min["oxygen"] == pytest.approx(5.5, abs=0.3)
    assert codes_4 == {}
    assert after_1_h["oxygen"] == 21
    assert codes_60 == {"oxygen": 84}


def test_sensor_beyond_range_is_cut_and_flagged():
    """Noise at the end of the range is cut silently; a true excess is flagged."""
    at_the_end = (*TRUTH[:1], 0.0, *TRUTH[2:])
    beyond = (30.0, *TRUTH[1:])

    values_end, codes_end = read("", 1, at_the_end)
    values_beyond, codes_beyond = read("", 1, beyond)

    assert values_end["water_level"] >= 0
    assert codes_end == {}
    assert values_beyond["steam_pressure"] == 18
    assert codes_beyond == {"steam_pressure": 84}
