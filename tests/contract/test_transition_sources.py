"""What every source of transitions does: the fake and SQLite alike."""

import pytest

from processor.notifier.sqlite_outbox import SqliteOutbox
from tests.unit.processor.notifier.fakes import MemorySource, event


@pytest.fixture(params=["fake", "sqlite"])
def source(request, tmp_path):
    source = MemorySource() if request.param == "fake" else SqliteOutbox(tmp_path / "alarms.db")
    source.open()
    yield source
    source.close()


def names(taken):
    return [one.event.id for one in taken]


def test_source_hands_over_once_in_order(source):
    """What was put comes whole, in its order, and not again while it is not lost."""
    events = [event(n, note="Nível\n\u202e", value=n / 3) for n in range(5)]
    source.put(events)

    assert [one.event for one in source.fetch(1.0)] == events
    assert source.fetch(0.0) == []


def test_source_put_twice_is_handed_over_once(source):
    """An id that is known already changes nothing."""
    source.put([event(1)])
    source.put([event(1), event(2)])

    assert names(source.fetch(1.0)) == ["e1", "e2"]


def test_source_empty_waits_no_longer_than_asked(source):
    """A fetch without news returns nothing."""
    assert source.fetch(0.01) == []


def test_source_tokens_that_are_old_or_unknown_are_ignored(source):
    """Done for a token twice, or for one never given, harms nothing."""
    source.put([event(1)])
    token = source.fetch(1.0)[0].token
    source.done(token)
    source.done(token)
    source.done(10_000)
    source.put([event(2)])

    assert names(source.fetch(1.0)) == ["e2"]
