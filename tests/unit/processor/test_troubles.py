"""Troubles of Steam itself: what stands, and when the evaluator is told."""

import pytest

from processor.alarms.system import SystemAlarms
from processor.results import PublishFailed
from processor.troubles import TROUBLES, Telling, TroubleBook
from tests.fakes import FakeClock


class Out:
    """Keeps what was told; fails as often as told first."""

    def __init__(self):
        self.told = []
        self.failures = 0

    def tell(self, troubles):
        if self.failures:
            self.failures -= 1
            raise PublishFailed("the broker is away")
        self.told.append([trouble.name for trouble in troubles])


class Bench:
    """A book and its telling, with time moved by hand."""

    def __init__(self):
        self.seconds = 100.0
        self.book = TroubleBook(self.monotonic)
        self.out = Out()
        self.telling = Telling(self.book, self.out, FakeClock(), self.monotonic)

    def monotonic(self):
        return self.seconds

    def turn(self, after_s=0.0):
        self.seconds += after_s
        self.telling.turn()


def test_trouble_that_stands_is_told_at_once_and_every_ten_seconds():
    """The evaluator hears of it soon, and for as long as it stands."""
    bench = Bench()
    bench.turn()
    bench.book.stand("store_away", "no answer")
    bench.turn(1)
    bench.turn(1)
    bench.turn(9)
    bench.book.clear("store_away")
    bench.turn(10)

    assert bench.out.told == [["store_away"], ["store_away"]]


def test_trouble_that_happened_stands_for_half_a_minute():
    """What only happened ends by itself, unless it happens again."""
    bench = Bench()
    bench.book.happen("unknown_device", "dev7")
    bench.seconds += 20
    bench.book.happen("unknown_device", "dev8")
    bench.seconds += 29

    assert bench.book.standing() == {"unknown_device": "dev8"}
    bench.seconds += 1
    assert bench.book.standing() == {}


def test_trouble_not_told_is_told_with_the_next_turn():
    """While the broker is away nothing counts as told."""
    bench = Bench()
    bench.turn()
    bench.out.failures = 2
    bench.book.stand("store_refuses", "401")

    for _ in range(4):
        bench.turn(1)

    assert bench.out.told == [["store_refuses"]]


def test_trouble_that_comes_back_is_told_at_once():
    """A trouble that ended and stands again is new."""
    bench = Bench()
    bench.book.stand("store_away", "no answer")
    bench.turn(1)
    bench.book.clear("store_away")
    bench.turn(1)
    bench.book.stand("store_away", "no answer")
    bench.turn(1)

    assert bench.out.told == [["store_away"], ["store_away"]]


def test_book_holds_eighty_names_of_what_happened():
    """However many devices misbehave, memory and messages stay small."""
    bench = Bench()
    for number in range(1000):
        bench.book.happen(f"device_flooding_dev{number}", "x" * 10_000)
    bench.turn(1)

    assert len(bench.out.told[0]) == 80
    assert max(map(len, bench.book.standing().values())) == 500


@pytest.mark.parametrize("name", ["", "Store", "store away", "a,b=c", "x" * 97])
def test_trouble_with_another_name_is_not_understood(name):
    """A name becomes a tag of the store, so it is held to a name's alphabet."""
    body = b'[{"name":"%b","note":"","at_us":1}]' % name.encode()

    with pytest.raises(Exception, match="Expected `str`"):
        TROUBLES.decode(body)


def test_book_full_of_what_happened_has_room_for_what_stands():
    """However many names are invented, that the store is away is told."""
    book = TroubleBook()
    for number in range(1_000):
        book.happen(f"device_flooding_d{number}", "x")

    book.stand("store_away", "no answer")

    assert "store_away" in book.standing()
    assert len(book.standing()) <= 100


def test_system_alarms_of_many_names_are_forgotten_once_over():
    """A name that comes from outside is not kept for ever."""
    system = SystemAlarms()
    for number in range(2_000):
        system.alarm(f"identity_reused_d{number}")

    assert len(system.alarms) <= 501
