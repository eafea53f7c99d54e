"""Bucket widths and the gathering of a series piece by piece."""

from array import array
from math import isnan

from hypothesis import given
from hypothesis import strategies as st

from store.buckets import Accumulator, bucket_slices, bucket_width_us

SECOND = 1_000_000
DAY = 86_400 * SECOND


@given(
    start=st.integers(0, 2**51),
    length=st.integers(1, 2**50),
    points=st.integers(10, 10_000),
)
def test_bucket_width_never_needs_more_buckets_than_points(start, length, points):
    """Whatever the span, its epoch-aligned buckets fit the budget."""
    width = bucket_width_us(start, start + length, points)

    assert (start + length - 1) // width - start // width + 1 <= points


def test_bucket_width_of_usual_spans_is_a_round_one():
    """A day in 1,000 points is 2 minutes a bucket, an hour 5 s, 90 days 3 hours."""
    start = 1_795_471_800 * SECOND

    assert bucket_width_us(start, start + DAY, 1000) == 120 * SECOND
    assert bucket_width_us(start, start + DAY // 24, 1000) == 5 * SECOND
    assert bucket_width_us(start, start + 90 * DAY, 1000) == 3 * 3600 * SECOND


@given(st.lists(st.integers(0, 10_000), unique=True).map(sorted), st.integers(1, 3_000))
def test_bucket_slices_cover_every_time_once(times, width):
    """Each time lies in exactly one slice, the slice of its bucket."""
    covered = []
    for start, low, high in bucket_slices(times, width):
        assert all(at // width * width == start for at in times[low:high])
        covered += times[low:high]

    assert covered == times


readings = st.lists(
    st.tuples(st.integers(0, 5_000), st.floats(-1e6, 1e6) | st.just(float("nan"))),
    unique_by=lambda reading: reading[0],
    max_size=60,
).map(sorted)


@given(st.lists(readings, max_size=4), st.integers(10, 80))
def test_accumulator_is_the_same_however_the_pieces_are_cut(pieces, points):
    """Devices added whole or value by value give the same minima, maxima, last and counts."""
    width = bucket_width_us(0, 5_001, points)
    whole, single = Accumulator("a", width, points), Accumulator("a", width, points)
    for piece in pieces:
        whole.add([at for at, _ in piece], array("d", [value for _, value in piece]))
        for at, value in reversed(piece):
            single.add([at], [value])

    one, other = whole.series(), single.series()

    assert (one.times_us, one.minimum, one.maximum) == (
        other.times_us,
        other.minimum,
        other.maximum,
    )
    assert (one.step_us, one.last, one.count) == (other.step_us, other.last, other.count)
    assert sum(one.count) == sum(not isnan(value) for piece in pieces for _, value in piece)
