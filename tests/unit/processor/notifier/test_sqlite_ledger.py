"""The ledger in SQLite."""

from datetime import UTC, datetime, timedelta

import pytest

from bridge.clock import to_us
from processor.notifier.source import LedgerFailed, MemoryLedger, Outcome
from processor.notifier.sqlite_ledger import SqliteLedger

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


@pytest.fixture(params=["memory", "sqlite"])
def ledger(request, tmp_path):
    ledger = MemoryLedger() if request.param == "memory" else SqliteLedger(tmp_path / "alarms.db")
    ledger.open()
    yield ledger
    ledger.close()


def test_ledger_noted_target_is_settled(ledger):
    """Each outcome settles its target for its transitions, and no other."""
    ledger.note(["e1", "e2"], "ops/json", Outcome.SENT, to_us(NOW))
    ledger.note(["e1"], "ops/mailto", Outcome.GIVEN_UP, to_us(NOW))
    ledger.note(["e1"], "ops/mailto", Outcome.SENT, to_us(NOW))

    assert ledger.settled("e1") == {"ops/json", "ops/mailto"}
    assert ledger.settled("e2") == {"ops/json"}
    assert ledger.settled("e3") == set()


def test_memory_ledger_forgets_the_oldest_beyond_its_limit():
    """Its memory is bounded."""
    ledger = MemoryLedger(limit=2)
    for name in ("a", "b", "c"):
        ledger.note([name], "t", Outcome.SENT, 0)

    assert [bool(ledger.settled(name)) for name in ("a", "b", "c")] == [False, True, True]


def test_sqlite_ledger_opened_again_knows_what_was_noted(tmp_path):
    """Outcomes outlive the process; who was given up can be listed."""
    first = SqliteLedger(tmp_path / "alarms.db")
    first.open()
    first.note(["e1"], "ops/json", Outcome.SENT, to_us(NOW))
    first.note(["e1"], "ops/mailto", Outcome.GIVEN_UP, to_us(NOW))
    # Not closed: a process that is killed closes nothing either.

    second = SqliteLedger(tmp_path / "alarms.db", lambda: NOW + timedelta(days=30))
    second.open()

    assert second.settled("e1") == {"ops/json", "ops/mailto"}
    assert second.given_up() == [("e1", "ops/mailto", to_us(NOW))]
    first.close()
    second.close()


def test_sqlite_ledger_forgets_after_a_month(tmp_path):
    """Rows older than 31 days go when it is opened."""
    ledger = SqliteLedger(tmp_path / "alarms.db", lambda: NOW)
    ledger.open()
    ledger.note(["e1"], "t", Outcome.SENT, to_us(NOW))
    ledger.close()

    later = SqliteLedger(tmp_path / "alarms.db", lambda: NOW + timedelta(days=32))
    later.open()

    assert later.settled("e1") == set()
    later.close()


def test_sqlite_ledger_closed_fails_loudly(tmp_path):
    """A ledger that is not open raises LedgerFailed, which names the file."""
    with pytest.raises(LedgerFailed, match=r"alarms\.db is not open"):
        SqliteLedger(tmp_path / "alarms.db").settled("e1")
