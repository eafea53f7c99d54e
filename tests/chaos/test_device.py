"""Firmware on MicroPython, RabbitMQ, processor and InfluxDB under random faults; and the judge of its ledger."""

from itertools import count
from types import SimpleNamespace

import pytest

from tests.chaos import device
from tests.chaos.device import COMMIT_S, Sampled, WholePath, compare, undeclared


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.timeout(420)
def test_device_killed_with_its_broker_doubles_and_loses_nothing(servers, tmp_path):
    """Faults of the broker cost no row; a kill of the firmware those of its last seconds, and is told."""
    with WholePath(tmp_path, servers, seed=6) as path:
        first = path.run(30)
        found = path.finish()

        assert first.sampled == first.stored
        assert first.sampled > 30
        assert found.lost == []
        assert found.doubled == []
        assert found.strange == []
        assert path.undeclared(found) == []
        assert found.stored > 50
        assert min(path.faults[f"kill_{what}"] for what in ("broker", "firmware", "both")) > 0


ROWS = [Sampled(1, 1, 0), Sampled(1, 2, 1000), Sampled(2, 3, 90_000)]


def test_comparison_of_all_rows_once_is_clean():
    """Each row is there, each once."""
    found = compare(ROWS, [1, 2, 3], [])

    assert found.is_clean
    assert (found.sampled, found.stored) == (3, 3)


@pytest.mark.parametrize(
    ("stored", "kills", "kind"),
    [
        ([1, 3], [], "lost"),
        ([1, 3], [(2, 2000)], "lost"),
        ([1, 3], [(1, 1000 + COMMIT_S * 1000 + 1)], "lost"),
        ([1, 3], [(1, 999)], "lost"),
        ([1, 2, 2, 3], [], "doubled"),
        ([1, 2, 3, 4], [], "strange"),
    ],
)
def test_comparison_finds_what_is_wrong(stored, kills, kind):
    """Missing without a kill of its boot soon after it, doubled, or never sampled."""
    found = compare(ROWS, stored, kills)

    assert not found.is_clean
    assert len(getattr(found, kind)) == 1


def test_comparison_excuses_rows_just_before_a_kill():
    """A kill of the same boot soon after explains a missing row."""
    found = compare(ROWS, [1, 3], [(1, 1000 + COMMIT_S * 1000)])

    assert found.is_clean
    assert found.excused == [ROWS[1]]


@pytest.mark.parametrize(
    ("lost_at_most_s", "seen_off", "expected"),
    [
        ({2: 4}, [1], []),
        ({2: 3.9}, [1], [ROWS[1]]),
        ({2: 0}, [1], [ROWS[1]]),
        ({3: 60}, [1], [ROWS[1]]),
        ({2: 60}, [], [ROWS[1]]),
    ],
    ids=["told", "told_too_little", "called_clean", "told_by_another", "still_to_come"],
)
def test_undeclared_rows_are_older_than_the_next_boot_says(lost_at_most_s, seen_off, expected):
    """The next boot names the age of what may be lost, and a later birth that no more will come."""
    kills = [(1, 5000), (1, 9000)]  # the second before its boot had a row

    assert undeclared([ROWS[1]], kills, lost_at_most_s, seen_off) == expected


def test_drained_with_a_row_lost_ends_while_later_rows_come(monkeypatch):
    """The device goes on sampling: what comes after the rows that are waited for is no progress."""
    now = count()
    monkeypatch.setattr(
        device, "time", SimpleNamespace(monotonic=lambda: next(now), sleep=lambda _: None)
    )
    path = WholePath(None, None, seed=1)
    path.device = SimpleNamespace(look=lambda: None, kills=[])
    path.numbers = lambda: [1, 3, *range(4, min(next(now), 10_000))]

    path._drained(ROWS)

    assert next(now) < 1000
