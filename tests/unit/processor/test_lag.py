"""How far the queue is behind, as fetches tell."""

from datetime import timedelta

from bridge.clock import to_us
from processor.lag import QueueLag
from tests.fakes import START


class Fetches:
    """Fetches at given seconds after a connection."""

    def __init__(self):
        self.lag = QueueLag()
        self.lag.begin(START)

    def fetch(self, messages, age_s=None, *, at):
        """A fetch whose newest live row is so old; gives the lag."""
        now = START + timedelta(seconds=at)
        newest_us = 0 if age_s is None else to_us(now) - round(age_s * 1_000_000)
        self.lag.fetched(messages, newest_us, now)
        return self.lag.seconds


def test_lag_is_unknown_until_something_came_or_nothing_for_two_seconds():
    """An empty fetch right after a connection proves nothing: the backlog may be on its way."""
    fetches = Fetches()

    assert [fetches.fetch(0, at=at) for at in (0.1, 1.9, 2.0)] == [None, None, 0.0]


def test_lag_of_a_backlog_is_its_age_until_it_is_drained():
    """Full fetches of old rows, though they begin with a trickle."""
    fetches = Fetches()

    assert fetches.fetch(9, 600, at=0.1) == 600
    assert fetches.fetch(200, 500, at=0.2) == 500
    assert fetches.fetch(0, at=0.3) == 500
    assert fetches.fetch(20, 0.5, at=0.4) == 0


def test_lag_of_a_drained_queue_is_never_more_than_the_time_since():
    """A device whose clock is an hour behind is no lag."""
    fetches = Fetches()
    fetches.fetch(3, 0.5, at=1)

    assert fetches.fetch(1, 3600, at=1.1) == 0.1 or fetches.lag.seconds < 0.2
    assert fetches.fetch(200, 3600, at=2) == 1
    assert fetches.fetch(200, 3600, at=9) == 8


def test_lag_of_a_plant_whose_clocks_are_all_behind_ends_with_two_quiet_seconds():
    """Few messages at once for 2 s are a drained queue, whatever times they carry."""
    fetches = Fetches()

    assert fetches.fetch(20, 60, at=0.5) == 60
    assert fetches.fetch(20, 60, at=2.5) == 0


def test_lag_after_another_connection_is_unknown_again():
    """What was drained before says nothing of what waits now."""
    fetches = Fetches()
    fetches.fetch(3, 0.5, at=1)

    fetches.lag.begin(START + timedelta(seconds=5))

    assert fetches.lag.seconds is None
    assert fetches.fetch(200, 300, at=5.1) == 300
