"""Whether a condition holds: limits, deadband, delays, unusable readings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.alarms.condition import Limit, Phase, step
from tests.unit.processor.alarms.sending import definition

S = 1_000_000


def changes(limit: Limit, readings) -> list[tuple[float, bool]]:
    """(seconds, active) of every change that the readings `(seconds, value)` show."""
    phase = Phase()
    found = []
    for at, value in readings:
        changed_us = step(limit, phase, round(at * S), value)
        if changed_us is not None:
            found.append((changed_us / S, phase.active))
    return found


def each_second(*values):
    """Readings a second apart, from second 0."""
    return list(enumerate(values))


@pytest.mark.parametrize(
    ("type_", "values", "expected"),
    [
        ("HI", (9.9, 10.0, 9.9), [(1, True), (2, False)]),
        ("HIHI", (9.9, 10.1, 10.0, 9.9), [(1, True), (3, False)]),
        ("LO", (10.1, 10.0, 10.1), [(1, True), (2, False)]),
        ("LOLO", (10.1, 9.0, 10.0, 11.0), [(1, True), (3, False)]),
        ("HI", (-5.0, 0.0, 9.99), []),
        ("LO", (11.0, 10.5), []),
    ],
)
def test_condition_at_the_setpoint_is_active_and_inside_it_is_not(type_, values, expected):
    """A reading at the setpoint or beyond is active; one inside it is not."""
    limit = Limit(definition(type_=type_, setpoint=10.0))

    assert changes(limit, each_second(*values)) == expected


@pytest.mark.parametrize(
    ("type_", "values", "expected"),
    [
        ("HI", (10.0, 9.5, 9.01, 9.0), [(0, True), (3, False)]),
        ("HI", (9.5, 10.0, 9.5, 10.2, 9.5), [(1, True)]),
        ("LO", (10.0, 10.5, 10.99, 11.0), [(0, True), (3, False)]),
    ],
)
def test_condition_inside_deadband_does_not_change(type_, values, expected):
    """Once active, only a reading back by the whole deadband ends it."""
    limit = Limit(definition(type_=type_, setpoint=10.0, deadband=1.0))

    assert changes(limit, each_second(*values)) == expected


def test_condition_back_by_a_decimal_deadband_returns():
    """0.3 less 0.1 is 0.2, as people count."""
    limit = Limit(definition(setpoint=0.3, deadband=0.1))

    assert changes(limit, each_second(0.3, 0.2)) == [(0, True), (1, False)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((9, 10, 10, 10, 10), [(4, True)]),
        ((9, 10, 10, 10, 9, 10, 10), []),
        ((9, 10, 10, 10, 9, 10, 10, 10, 10), [(8, True)]),
    ],
)
def test_condition_with_on_delay_lasts_unbroken_before_it_is_active(values, expected):
    """The limit must have been passed for the whole delay; a break starts it again."""
    limit = Limit(definition(on_delay_s=3))

    assert changes(limit, each_second(*values)) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((10, 9, 9, 9, 9), [(0, True), (4, False)]),
        ((10, 9, 9, 10, 9, 9, 9), [(0, True)]),
    ],
)
def test_condition_with_off_delay_is_back_unbroken_before_it_ends(values, expected):
    """The limit must not have been passed for the whole delay; a break starts it again."""
    limit = Limit(definition(off_delay_s=3))

    assert changes(limit, each_second(*values)) == expected


def test_condition_inside_deadband_keeps_on_delay_running():
    """The delay times the limit with its deadband, so noise inside it is no break."""
    limit = Limit(definition(deadband=1.0, on_delay_s=3))

    assert changes(limit, each_second(10.0, 9.5, 10.0, 9.2)) == [(3, True)]


def test_condition_proved_late_changes_when_the_delay_ran_out():
    """The change is dated by the delay's end, whichever later reading proves it."""
    limit = Limit(definition(on_delay_s=3))

    assert changes(limit, [(0, 10.0), (60, 10.0)]) == [(3, True)]


def test_condition_broken_by_the_first_reading_after_the_delay_does_not_change():
    """A delay whose end no reading has confirmed proves nothing."""
    limit = Limit(definition(on_delay_s=3))

    assert changes(limit, [(0, 10.0), (60, 9.0)]) == []


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([(0, 10.0), (1, None), (2, 9.0)], [(0, True), (2, False)]),
        ([(0, None), (1, None)], []),
    ],
)
def test_condition_unusable_reading_neither_sets_nor_clears(readings, expected):
    """A reading without a usable value changes nothing."""
    assert changes(Limit(definition()), readings) == expected


def test_condition_unusable_readings_stop_the_timer():
    """Time between the usable readings around an unusable one does not count."""
    limit = Limit(definition(on_delay_s=3))
    readings = [(0, 10.0), (1, 10.0), (2, None), (3, None), (10, 10.0), (11, 10.0), (12, 10.0)]

    assert changes(limit, readings) == [(12, True)]


def test_condition_clock_set_back_restarts_the_timer():
    """Readings dated before the timer began start it again from their own time."""
    limit = Limit(definition(on_delay_s=3))
    readings = [(3600, 10.0), (0, 10.0), (2, 10.0), (3, 10.0)]

    assert changes(limit, readings) == [(3, True)]


def plain_changes(limit: Limit, readings) -> list[tuple[int, bool]]:
    """The rules once more, by looking back over the whole history at every reading."""
    usable: list[tuple[int, float, int]] = []  # time, turned value, time that counts so far
    active, found, unusable_between = False, [], False
    for at, value in readings:
        if value is None:
            unusable_between = True
            continue
        counted = 0
        if usable:
            counted = usable[-1][2] + (0 if unusable_between else at - usable[-1][0])
        unusable_between = False
        usable.append((at, limit.sign * value, counted))
        passed = [plain_passed(limit, usable[: end + 1]) for end in range(len(usable))]
        begin = len(passed) - 1
        while begin > 0 and passed[begin - 1] == passed[-1]:
            begin -= 1
        lasted = counted - usable[begin][2]
        delay = limit.on_us if passed[-1] else limit.off_us
        if passed[-1] != active and lasted >= delay:
            active = passed[-1]
            found.append((at - lasted + delay, active))
    return found


def plain_passed(limit: Limit, usable) -> bool:
    """Whether the limit is passed after these readings."""
    for _, turned, _ in reversed(usable):
        if turned >= limit.trip:
            return True
        if turned <= limit.clear:
            return False
    return False


@given(
    st.sampled_from(["HI", "LO"]),
    st.sampled_from([0.0, 1.0]),
    st.integers(0, 5),
    st.integers(0, 5),
    st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from([8.0, 9.0, 9.5, 10.0, 10.5, 11.0, None])),
        max_size=40,
    ),
)
def test_condition_of_any_readings_is_what_looking_back_says(type_, deadband, on_s, off_s, steps):
    """Step by step the condition is what the rules say of the whole history."""
    limit = Limit(definition(type_=type_, deadband=deadband, on_delay_s=on_s, off_delay_s=off_s))
    readings, at = [], 0
    for pause, value in steps:
        at += pause * S
        readings.append((at, value))
    phase, found = Phase(), []
    for moment, value in readings:
        changed_us = step(limit, phase, moment, value)
        if changed_us is not None:
            found.append((changed_us, phase.active))

    assert found == plain_changes(limit, readings)
