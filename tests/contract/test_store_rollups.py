"""Roll-ups in every store: computed from the rows, read instead of them, never missing anything."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.records import Batch
from bridge.series import ROLL_UPS
from store.buckets import bucket_width_us
from store.errors import Misconfigured
from store.port import Retention
from tests.contract.test_store import (
    DAY,
    FOR_EVER,
    MINUTE,
    NOW_US,
    SECOND,
    assert_same_series,
    expected_series,
    new_store,
    rows_of,
    store,
    write_rows,
)

__all__ = ["new_store", "store"]

HOUR = 60 * MINUTE
START = NOW_US // DAY * DAY - 2 * DAY
MONTH = (START - 28 * DAY, START + 2 * DAY)


def write(store, readings, *, metric="a", boiler="b1", device="esp-01"):
    """Store (time, value) pairs, one row each."""
    times = [at for at, _ in readings]
    values = [[value] for _, value in readings]
    for low in range(0, len(times), 400):
        part = slice(low, low + 400)
        batch = rows_of(values[part], times[part], metrics=(metric,), boiler=boiler, device=device)
        write_rows(store, batch)


def roll_up_all(store, start=START, end=START + DAY, place=None):
    return [store.roll_up(width, start, end, place) for width in ROLL_UPS]


def noise(count, *, step=10 * SECOND, start=START, seed=1):
    rng = random.Random(seed)
    return [(start + index * step, round(rng.uniform(7, 9), 3)) for index in range(count)]


def test_roll_up_counts_the_windows_it_stored(store):
    """Three hours of rows are 180 minutes, 12 quarters and 3 hours; no rows are no windows."""
    write(store, noise(1080))

    assert roll_up_all(store) == [180, 12, 3]
    assert roll_up_all(store, START + DAY, START + 2 * DAY) == [0, 0, 0]


def test_roll_up_repeated_changes_nothing(store):
    """Computing a span again, by whoever, gives the same answers."""
    write(store, noise(1080))
    roll_up_all(store)
    first = store.series("mill", "b1", ["a"], *MONTH, 1000)

    assert roll_up_all(store) == [180, 12, 3]
    assert store.series("mill", "b1", ["a"], *MONTH, 1000) == first


def test_series_of_a_month_is_read_from_roll_ups(store):
    """With roll-ups the answer is that of the rows; a one-second spike is its bucket's maximum."""
    readings = noise(2000)
    readings[1234] = (readings[1234][0], 31.5)
    write(store, readings)
    roll_up_all(store)

    (found,) = store.series("mill", "b1", ["a"], *MONTH, 1000)

    width = bucket_width_us(*MONTH, 1000)
    assert width % HOUR == 0
    assert_same_series(found, expected_series("a", readings, width))
    assert max(found.maximum) == 31.5


def test_series_takes_the_newest_rows_that_no_window_holds_yet(store):
    """What came after the last roll-up is there, and so is what came before the first."""
    readings = noise(3000)
    write(store, readings)
    for width in ROLL_UPS:
        store.roll_up(width, START + 2 * HOUR, START + 5 * HOUR)

    for span in (MONTH, (START + 17 * SECOND, START + DAY + 3 * SECOND)):
        (found,) = store.series("mill", "b1", ["a"], *span, 100)
        inside = [each for each in readings if span[0] <= each[0] < span[1]]
        assert_same_series(found, expected_series("a", inside, found.step_us))


def test_series_takes_the_rows_between_windows_far_apart(store):
    """A roll-up that was interrupted, with newer windows beyond, hides no row."""
    readings = noise(5000)
    write(store, readings)
    for hour in (0, 12):
        for width in ROLL_UPS:
            store.roll_up(width, START + hour * HOUR, START + (hour + 1) * HOUR)

    (found,) = store.series("mill", "b1", ["a"], *MONTH, 1000)

    assert_same_series(found, expected_series("a", readings, found.step_us))


def test_series_with_very_many_gaps_between_windows_is_that_of_the_rows(store):
    """Every other minute rolled up: the rows of the rest are taken, and no row twice."""
    readings = noise(1080)
    write(store, readings)
    for minute in range(0, 180, 2):
        store.roll_up(MINUTE, START + minute * MINUTE, START + (minute + 1) * MINUTE)

    (found,) = store.series("mill", "b1", ["a"], START, START + 4 * HOUR, 100)

    assert found.step_us % MINUTE == 0
    assert_same_series(found, expected_series("a", readings, found.step_us))


def test_series_of_a_rare_metric_beside_others_is_its_values(store):
    """A metric given once in hours by a device of its own, among dense ones, is shown as given."""
    dense, rare = noise(3000), noise(3, step=3 * HOUR, start=START + 5 * SECOND, seed=2)
    write(store, dense)
    write(store, rare, metric="rare", device="lab")
    roll_up_all(store)

    one, other = store.series("mill", "b1", ["a", "rare"], *MONTH, 1000)

    assert_same_series(one, expected_series("a", dense, one.step_us))
    assert_same_series(other, expected_series("rare", rare, 0))


def test_series_of_a_rare_metric_that_became_dense_since_is_within_the_budget(store):
    """Rows that came after their window was computed make no answer of more than `points`."""
    write(store, noise(20, step=HOUR))
    roll_up_all(store)
    write(store, noise(2000, step=SECOND, start=START + SECOND, seed=2))

    (found,) = store.series("mill", "b1", ["a"], *MONTH, 100)

    assert len(found.times_us) <= 100
    assert found.step_us > 0


def test_series_without_any_roll_up_is_read_from_the_rows(store):
    """Roll-ups that never ran leave no chart empty."""
    readings = noise(2000)
    write(store, readings)

    (found,) = store.series("mill", "b1", ["a"], *MONTH, 1000)

    assert_same_series(found, expected_series("a", readings, found.step_us))


def test_series_of_few_values_is_the_values_themselves(store):
    """A metric that is rarely given is shown as it was given, roll-ups or not."""
    readings = noise(20, step=HOUR)
    write(store, readings)
    roll_up_all(store)

    (found,) = store.series("mill", "b1", ["a"], *MONTH, 1000)

    assert_same_series(found, expected_series("a", readings, 0))


def test_roll_up_takes_in_rows_that_came_late(store):
    """Computed again, a window holds what came into it since, of another device too."""
    readings = noise(1080)
    late = [(at + 3 * SECOND, value + 20) for at, value in noise(100, seed=2)]
    write(store, readings)
    roll_up_all(store)
    write(store, late, device="esp-02")
    for width in ROLL_UPS:
        store.roll_up(width, START, START + HOUR, ("mill", "b1"))

    (found,) = store.series("mill", "b1", ["a"], *MONTH, 1000)

    assert_same_series(found, expected_series("a", readings + late, found.step_us))


def test_roll_up_of_one_boiler_leaves_the_others_alone(store):
    """A place asked for is the only one computed; None computes all."""
    write(store, noise(360))
    write(store, noise(360, seed=2), boiler="b2")

    assert store.roll_up(HOUR, START, START + HOUR, ("mill", "b2")) == 1
    assert store.roll_up(HOUR, START, START + HOUR) == 2
    assert store.roll_up(HOUR, START, START + HOUR, ("mill", "nobody")) == 0


def test_roll_up_of_metrics_with_like_names_keeps_them_apart(store):
    """A metric named like another's statistic is no other's."""
    times = [START + index * SECOND for index in range(120)]
    values = [[float(index), 1000.0 + index, None] for index in range(120)]
    names = ("x", "x_min", "oxygen")
    write_rows(store, rows_of(values, times, metrics=names, quality={(0, 0): 64}))
    roll_up_all(store)

    found = store.series("mill", "b1", list(names), START - 10 * DAY, START + DAY, 100)

    assert [(each.minimum, each.maximum, each.count) for each in found] == [
        ([0.0], [119.0], [120]),
        ([1000.0], [1119.0], [120]),
        ([], [], []),
    ]


def test_newest_roll_up_is_the_start_of_the_newest_window(store):
    """Whoever computes roll-ups finds out from where to go on."""
    assert store.newest_roll_up(MINUTE) is None
    write(store, noise(360))
    roll_up_all(store)

    assert store.newest_roll_up(MINUTE) == START + 59 * MINUTE
    assert store.newest_roll_up(HOUR) == START


def test_retention_is_what_init_made(new_store):
    """The store tells for how long it keeps what; without buckets it says so."""
    made = new_store()
    with pytest.raises(Misconfigured):
        made.retention()
    wanted = Retention(raw_days=30, rollup_days=400, events_days=None)
    made.init(wanted)
    assert made.retention() == wanted
    made.init(FOR_EVER)
    assert made.retention() == FOR_EVER


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rolled=st.lists(st.tuples(st.integers(0, 47), st.integers(1, 12)), max_size=3),
    start=st.integers(0, 2 * DAY),
    length=st.integers(HOUR, 20 * DAY),
    points=st.sampled_from([10, 100, 400]),
    seed=st.integers(0, 10**6),
)
def test_series_is_that_of_the_rows_whichever_windows_are_rolled_up(
    new_store, rolled, start, length, points, seed
):
    """Whichever windows are there and whichever are not, the answer is that of the rows."""
    store = new_store()
    store.init(FOR_EVER)
    boiler = f"b{random.Random(f'{seed}{rolled}{start}').randrange(10**12)}"
    readings = noise(1500, step=97 * SECOND, seed=seed)
    write(store, readings, boiler=boiler)
    for low, hours in rolled:
        for width in ROLL_UPS:
            store.roll_up(width, START + low * HOUR, START + (low + hours) * HOUR, ("mill", boiler))

    span = (START + start, START + start + length)
    (found,) = store.series("mill", boiler, ["a"], *span, points)

    inside = [each for each in readings if span[0] <= each[0] < span[1]]
    width = 0 if len(inside) <= points else bucket_width_us(*span, points)
    assert_same_series(found, expected_series("a", inside, width))


def test_batch_of_nothing_but_rows_of_no_value_makes_no_window(store):
    """Rows without a value hold nothing to roll up."""
    store.write(Batch(batch_id="b", rows=[rows_of([[None]], [START], metrics=("a",))]))

    assert store.roll_up(HOUR, START, START + HOUR) == 0
