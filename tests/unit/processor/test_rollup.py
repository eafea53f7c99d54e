"""Which windows are due, and the loop that computes them."""

import random
import threading
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.clock import from_us, to_us
from bridge.records import Batch, BatchSummary, Rows
from bridge.series import ROLL_UPS
from processor.backoff import Backoff
from processor.counters import RecorderCounters
from processor.rolling import Rolling
from processor.rollup import Job, Touched
from store.errors import Refused, Unavailable
from store.fake import FakeStore
from tests.fakes import START, FakeClock

MINUTE, QUARTER, HOUR = ROLL_UPS
START_US = to_us(START) // HOUR * HOUR
SECOND = 1_000_000


def rows(at_us, *, boiler="b1", count=1, value=1.0):
    return Rows(
        site="mill",
        boiler=boiler,
        device="dev1",
        boot=1,
        seq=1,
        metrics=("a",),
        times_us=[at_us + index * SECOND for index in range(count)],
        values=[[value]] * count,
    )


def jobs_at(touched, at_us, **more):
    return [
        (
            job.width_us,
            (job.start_us - START_US) // MINUTE,
            (job.end_us - START_US) // MINUTE,
            job.place,
        )
        for job in touched.take(from_us(at_us), **more)
    ]


B1 = ("mill", "b1")


def test_window_is_due_once_it_is_over_and_ten_seconds_more():
    """Not before its rows can be expected; then once."""
    touched = Touched()
    touched.add([rows(START_US + 5 * SECOND)])

    assert jobs_at(touched, START_US + MINUTE + 9 * SECOND) == []
    assert jobs_at(touched, START_US + MINUTE + 10 * SECOND) == [(MINUTE, 0, 1, B1)]
    assert jobs_at(touched, START_US + MINUTE + 20 * SECOND) == []
    assert jobs_at(touched, START_US + QUARTER + 10 * SECOND) == [(QUARTER, 0, 15, B1)]
    assert jobs_at(touched, START_US + HOUR + 10 * SECOND) == [(HOUR, 0, 60, B1)]
    assert len(touched) == 0


def test_window_touched_late_is_due_again_in_every_tier():
    """A row of an hour ago makes its minute, its quarter and its hour due at once."""
    touched = Touched()
    touched.add([rows(START_US + 5 * SECOND)])
    touched.take(from_us(START_US + 2 * HOUR))
    touched.add([rows(START_US + 6 * SECOND)])

    assert jobs_at(touched, START_US + 2 * HOUR) == [
        (MINUTE, 0, 1, B1),
        (QUARTER, 0, 15, B1),
        (HOUR, 0, 60, B1),
    ]


def test_windows_that_follow_one_another_are_one_job_of_at_most_sixty():
    """A backlog is asked for in spans; a gap ends one."""
    touched = Touched()
    touched.add([rows(START_US + minute * MINUTE) for minute in (*range(70), 80)])

    found = [job for job in jobs_at(touched, START_US + 3 * HOUR) if job[0] == MINUTE]

    assert found == [(MINUTE, 0, 60, B1), (MINUTE, 60, 70, B1), (MINUTE, 80, 81, B1)]


def test_window_of_many_boilers_is_computed_for_all_at_once():
    """One question instead of one for each boiler; and memory stays small."""
    touched = Touched()
    touched.add([rows(START_US, boiler=f"b{number}") for number in range(1000)])

    assert jobs_at(touched, START_US + MINUTE + 10 * SECOND) == [(MINUTE, 0, 1, None)]


def test_windows_of_all_boilers_are_asked_for_ten_at_a_time():
    """An answer about every boiler is large; so it is of few windows."""
    touched = Touched()
    touched.add_span(START_US, START_US + 25 * MINUTE)

    found = [job for job in jobs_at(touched, START_US + 2 * HOUR) if job[0] == MINUTE]

    assert found == [(MINUTE, 0, 10, None), (MINUTE, 10, 20, None), (MINUTE, 20, 25, None)]


def test_windows_of_all_boilers_are_asked_for_an_hour_at_a_time():
    """A day in which rows of unknown boilers came makes no query over more than an hour."""
    touched = Touched()
    touched.add_span(START_US, START_US + 24 * 60 * MINUTE)

    jobs = touched.take(from_us(START_US + 48 * 60 * MINUTE))

    assert max(job.end_us - job.start_us for job in jobs) == 60 * MINUTE


def test_window_older_than_the_retention_is_left_alone():
    """What was computed when all its rows were there is better."""
    touched = Touched()
    touched.add([rows(START_US), rows(START_US + HOUR)])

    found = jobs_at(touched, START_US + 3 * HOUR, oldest_us=START_US + MINUTE)

    assert found == [(MINUTE, 60, 61, B1), (QUARTER, 60, 75, B1), (HOUR, 60, 120, B1)]


def test_message_over_a_minute_touches_each():
    """Rows of one message may lie in several windows."""
    touched = Touched()
    touched.add([rows(START_US + 50 * SECOND, count=80)])

    found = jobs_at(touched, START_US + 3 * MINUTE)

    assert found == [(MINUTE, 0, 2, B1)]
    assert [job for job in jobs_at(touched, START_US + 4 * MINUTE) if job[0] == MINUTE] == [
        (MINUTE, 2, 3, B1)
    ]


def test_jobs_given_back_are_due_again():
    """A store that was away costs nothing but time."""
    touched = Touched()
    touched.add([rows(START_US), rows(START_US + MINUTE, boiler="b2")])
    now = from_us(START_US + 3 * MINUTE)
    jobs = touched.take(now)

    touched.give_back(
        [*jobs, Job(width_us=MINUTE, start_us=START_US, end_us=START_US + MINUTE, place=None)]
    )

    again = {(job.start_us, job.place) for job in touched.take(now)}
    assert again == {(START_US, None), (START_US + MINUTE, ("mill", "b2"))}


class Bench:
    """The loop over a fake store, turned by hand."""

    def __init__(self, retention=None):
        self.clock = FakeClock(from_us(START_US))
        self.store = FakeStore(clock=self.clock)
        self.touched = Touched()
        self.counters = RecorderCounters()
        self.stopping = threading.Event()
        self.seconds = 1.0
        self.rolling = Rolling(
            self.store,
            self.touched,
            self.counters,
            self.clock,
            retention=retention,
            backoff=Backoff(1, 60, random.Random(1)),
            monotonic=lambda: self.seconds,
        )

    def write(self, *stored, at_us=START_US, noted=True):
        times = [at for each in stored for at in each.times_us]
        summary = BatchSummary(
            batch_id="b",
            recorder="r1",
            at_us=at_us,
            rows=len(times),
            messages=1,
            bytes=1,
            quarantined=0,
            lag_ms=0,
            first_at_us=min(times),
            last_at_us=max(times),
        )
        self.store.write(Batch(batch_id="b", rows=list(stored), summary=summary))
        if noted:
            self.touched.add(stored)

    def turn(self, at_us):
        self.clock.now = from_us(at_us)
        return self.rolling.turn(self.stopping)

    def windows(self):
        return sorted(self.store._windows)


def test_rolling_computes_what_is_due():
    """A minute after its rows, their window is stored and counted."""
    bench = Bench()
    bench.write(rows(START_US))

    assert bench.turn(START_US + 2 * MINUTE)

    assert bench.windows() == [(MINUTE, "mill", "b1", START_US)]
    assert bench.counters.roll_ups == 1


def test_rolling_goes_on_after_the_store_was_away():
    """Nothing that was due is forgotten."""
    bench = Bench()
    bench.turn(START_US)
    bench.write(rows(START_US))
    bench.store.failure = Unavailable("down")

    assert not bench.turn(START_US + 2 * MINUTE)
    bench.store.failure = None
    assert bench.turn(START_US + 3 * MINUTE)

    assert bench.windows() == [(MINUTE, "mill", "b1", START_US)]
    assert bench.counters.roll_up_failures == 1


def test_rolling_at_the_start_finds_what_another_left():
    """Rows that were stored and never noted here are rolled up: from their batches' summaries."""
    bench = Bench()
    bench.write(rows(START_US - 30 * HOUR), at_us=START_US - 30 * HOUR, noted=False)
    bench.write(rows(START_US - 2 * MINUTE), noted=False)

    bench.turn(START_US + HOUR)

    assert [each for each in bench.windows() if each[0] == MINUTE] == [
        (MINUTE, "mill", "b1", START_US - 30 * HOUR),
        (MINUTE, "mill", "b1", START_US - 2 * MINUTE),
    ]


def test_rolling_looks_back_two_hours_beyond_the_newest_window_every_hour():
    """What another recorder noted and lost is found within the hour; older batches are done."""
    bench = Bench()
    bench.write(rows(START_US))
    bench.turn(START_US + 2 * HOUR)
    bench.write(rows(START_US + MINUTE), at_us=START_US + HOUR, noted=False)
    bench.turn(START_US + 2 * HOUR)
    assert (MINUTE, "mill", "b1", START_US + MINUTE) not in bench.windows()

    bench.seconds += 3600
    bench.turn(START_US + 2 * HOUR)

    assert (MINUTE, "mill", "b1", START_US + MINUTE) in bench.windows()


def test_rolling_at_the_start_goes_on_with_wider_windows_that_were_left():
    """Killed after the minutes of a long past, it finds the quarters and hours still to do."""
    bench = Bench()
    long_ago = START_US - 30 * HOUR
    bench.write(rows(long_ago), at_us=long_ago, noted=False)
    bench.store.roll_up(MINUTE, long_ago, START_US, None)

    bench.turn(START_US + 2 * HOUR)

    assert (HOUR, "mill", "b1", long_ago) in bench.windows()


def test_rolling_leaves_out_a_window_that_the_store_refuses():
    """One boiler's window that is refused does not keep the others from being computed."""
    bench = Bench()
    bench.turn(START_US)
    bench.write(rows(START_US, boiler="bad"), rows(START_US, boiler="b2"))
    roll_up = bench.store.roll_up

    def refusing(width_us, start_us, end_us, place):
        if place == ("mill", "bad"):
            raise Refused("refused", "no such window")
        return roll_up(width_us, start_us, end_us, place)

    bench.store.roll_up = refusing

    assert bench.turn(START_US + 2 * MINUTE)

    assert bench.windows() == [(MINUTE, "mill", "b2", START_US)]
    assert bench.counters.roll_up_failures == 1


def test_rolling_tells_for_how_long_it_is_behind():
    """While the store does not let it the time grows; once all is computed it is 0."""
    bench = Bench()
    bench.store.failure = Unavailable("down")
    bench.seconds += 40
    bench.turn(START_US + MINUTE)
    assert bench.counters.roll_up_behind_seconds == 40

    bench.store.failure = None
    bench.turn(START_US + 2 * MINUTE)

    assert bench.counters.roll_up_behind_seconds == 0


def test_rolling_leaves_windows_whose_rows_may_be_gone():
    """With a retention of a day, nothing older than that is computed anew."""
    bench = Bench(retention=timedelta(days=1))
    bench.write(rows(START_US - 25 * HOUR), rows(START_US - 23 * HOUR), noted=True)

    bench.turn(START_US)

    assert [each[3] for each in bench.windows() if each[0] == MINUTE] == [START_US - 23 * HOUR]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 179), st.integers(0, 179)), min_size=1, max_size=60))
def test_rolling_whatever_the_order_of_arrival_ends_the_same(arrivals):
    """Rows in any order, rolled up at any moments between: the windows are those of all at once."""
    bench, other = Bench(), Bench()
    for minute, at in arrivals:
        stored = rows(START_US + minute * MINUTE + at * 1000, value=float(at))
        bench.write(stored)
        other.write(stored)
        bench.turn(START_US + at * MINUTE)
    bench.turn(START_US + 5 * HOUR)
    other.turn(START_US + 5 * HOUR)

    assert bench.store._windows == other.store._windows
