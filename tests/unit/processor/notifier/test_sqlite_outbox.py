"""The outbox in SQLite: durable, idempotent, shared by two processes."""

import sqlite3
import threading
from datetime import UTC, datetime, timedelta

import pytest

from processor.notifier.sqlite_outbox import SqliteOutbox
from processor.results import PublishFailed
from tests.unit.processor.notifier.fakes import event

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "alarms.db"


def names(taken):
    return [one.event.id for one in taken]


def test_outbox_after_a_crash_hands_over_what_is_not_done(path):
    """What was fetched but not done comes again to the next process; what is done does not."""
    crashed = SqliteOutbox(path)
    crashed.open()
    crashed.put([event(1), event(2), event(3)])
    first, *_ = crashed.fetch(1.0)
    crashed.done(first.token)
    crashed.fetch(0.0)  # writes what is done; from here on the process is gone

    with SqliteOutbox(path) as next_one:
        assert names(next_one.fetch(1.0)) == ["e2", "e3"]
        assert next_one.waiting() == 2
    crashed._connection.close()


def test_outbox_id_that_is_done_is_not_handed_over_again(path):
    """The evaluator may publish an event again after a restart; nobody is told again."""
    with SqliteOutbox(path) as outbox:
        outbox.put([event(1)])
        outbox.done(outbox.fetch(1.0)[0].token)

    with SqliteOutbox(path) as outbox:
        outbox.put([event(1)])
        assert outbox.fetch(0.0) == []


def test_outbox_close_writes_what_is_done(path):
    """An orderly end forgets nothing."""
    with SqliteOutbox(path) as outbox:
        outbox.put([event(1)])
        outbox.done(outbox.fetch(1.0)[0].token)

    with SqliteOutbox(path) as outbox:
        assert outbox.waiting() == 0


def test_outbox_put_wakes_a_waiting_fetch(path):
    """A transition put in the same process is handed over at once, not at the next look."""
    with SqliteOutbox(path) as outbox:
        got = []
        thread = threading.Thread(target=lambda: got.extend(outbox.fetch(20.0)))
        thread.start()
        outbox.put([event(1)])
        thread.join(10)

        assert names(got) == ["e1"]


def test_outbox_written_by_another_process_is_seen(path):
    """Two objects on one file: the evaluator's and the notifier's."""
    with SqliteOutbox(path) as writer, SqliteOutbox(path) as reader:
        writer.put([event(1)])
        assert names(reader.fetch(1.0)) == ["e1"]
        writer.put([event(2)])
        assert names(reader.fetch(2.0)) == ["e2"]


def test_outbox_notifier_that_ends_first_leaves_it_open_for_the_evaluator(path):
    """One object serves both ends; what the evaluator puts last waits for the next start."""
    outbox = SqliteOutbox(path)
    outbox.open()  # whoever made it
    outbox.open()  # the notifier
    outbox.close()  # the notifier has stopped

    outbox.put([event(1)])
    outbox.close()

    with pytest.raises(PublishFailed, match="is not open"):
        outbox.put([event(2)])
    with SqliteOutbox(path) as next_one:
        assert names(next_one.fetch(1.0)) == ["e1"]


def test_outbox_done_long_ago_is_forgotten(path):
    """The file does not grow for ever: after 30 days a transition that is done goes."""
    with SqliteOutbox(path, lambda: NOW) as outbox:
        outbox.put([event(1), event(2)])
        outbox.done(outbox.fetch(1.0)[0].token)

    with SqliteOutbox(path, lambda: NOW + timedelta(days=31)) as outbox:
        assert names(outbox.fetch(1.0)) == ["e2"]
    with sqlite3.connect(path) as connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM alarm_outbox")]
    connection.close()
    assert ids == ["e2"]


def test_outbox_locked_file_fails_the_put(path):
    """A file that cannot be written makes `put` raise, so that nothing is acknowledged."""
    with SqliteOutbox(path) as outbox:
        outbox._connection.execute("PRAGMA busy_timeout=1")
        other = sqlite3.connect(path)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(PublishFailed, match=r"alarms\.db cannot be written"):
            outbox.put([event(1)])
        other.rollback()
        other.close()

        outbox.put([event(1)])
        assert names(outbox.fetch(1.0)) == ["e1"]


def test_outbox_done_while_locked_is_written_with_the_next_fetch(path):
    """A done that cannot be written is not lost."""
    with SqliteOutbox(path) as outbox:
        outbox.put([event(1)])
        token = outbox.fetch(1.0)[0].token
        outbox._connection.execute("PRAGMA busy_timeout=1")
        other = sqlite3.connect(path)
        other.execute("BEGIN IMMEDIATE")
        outbox.done(token)
        outbox.fetch(0.0)
        assert outbox.fault
        other.rollback()
        other.close()

        outbox.fetch(0.0)

        assert (outbox.waiting(), outbox.fault) == (0, "")
