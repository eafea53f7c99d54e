"""What the SQLite store does beyond the port: threads, processes, pruning, faults of the file."""

import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge.clock import to_us
from bridge.records import Batch, DeviceStatus, Insight, Rows
from store import sqlite, sqlite_file
from store.errors import Misconfigured, Refused, Unavailable
from store.port import Retention
from store.sqlite import SqliteStore
from store.sqlite_tables import SCHEMA

NOW = datetime(2026, 11, 23, 22, 10, tzinfo=UTC)
NOW_US = to_us(NOW)
DAY = 86_400_000_000


@pytest.fixture
def store(tmp_path):
    with SqliteStore(tmp_path / "steam.db", clock=lambda: NOW) as made:
        made.init(Retention())
        yield made


def batch_of(times_us, *, device="esp-01", boiler="b1") -> Batch:
    rows = Rows(
        site="mill",
        boiler=boiler,
        device=device,
        boot=1,
        seq=1,
        metrics=("a",),
        times_us=list(times_us),
        values=[[1.5]] * len(times_us),
    )
    return Batch(batch_id="2026-11-23_22-10", rows=[rows])


def times_in(store, boiler="b1"):
    return [rows.times_us[0] for rows in store.rows("mill", boiler, 0, 2 * NOW_US)]


def test_sqlite_file_is_in_wal_mode_and_flushed_in_full(store, tmp_path):
    """A write that returned is on the disk: WAL with synchronous=FULL, and waiting for a lock."""
    connection = store._file.connection()

    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA busy_timeout").fetchone() == (10_000,)


def test_sqlite_threads_write_at_once_without_loss(store):
    """Four threads that write at the same time lose nothing."""
    failures = []

    def write(number):
        try:
            for index in range(25):
                at_us = NOW_US + number * 1000 + index
                store.write(batch_of([at_us], device=f"esp-{number}"))
        except Exception as error:  # noqa: BLE001 - handed to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=write, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(times_in(store)) == 100


def test_sqlite_connections_of_ended_threads_are_closed(store):
    """Threads that come and go leave no more than one connection behind."""
    for number in range(5):
        thread = threading.Thread(target=store.write, args=[batch_of([NOW_US + number])])
        thread.start()
        thread.join()

    assert len(times_in(store)) == 5
    assert len(store._file._connections) <= 2


def test_sqlite_other_process_writes_beside_us(store, tmp_path):
    """A second process writes to the same file while this one holds it open."""
    store.write(batch_of([NOW_US]))
    program = (
        "from bridge.records import Batch, Rows\n"
        "from store.sqlite import SqliteStore\n"
        f"store = SqliteStore({str(tmp_path / 'steam.db')!r})\n"
        "rows = Rows(site='mill', boiler='b1', device='other', boot=1, seq=1, metrics=('a',),\n"
        f"            times_us=[{NOW_US + 1}], values=[[2.5]])\n"
        "store.write(Batch(batch_id='b', rows=[rows]))\n"
        "store.close()\n"
    )

    subprocess.run(
        [sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3], timeout=60
    )

    assert times_in(store) == [NOW_US, NOW_US + 1]


def test_sqlite_failed_write_leaves_nothing(store):
    """A batch of which one record cannot be stored is not stored in part, and the next one is."""
    bad = DeviceStatus(
        site="mill",
        device="esp-01",
        kind="birth",
        at_us=NOW_US,
        boot=None,
        conn=None,
        seq=None,
        state=None,
        body=None,
    )
    whole = batch_of([NOW_US])

    with pytest.raises(Refused, match="body"):
        store.write(Batch(batch_id="b", rows=whole.rows, statuses=[bad]))

    assert times_in(store) == []
    store.write(whole)
    assert times_in(store) == [NOW_US]


def test_sqlite_prune_deletes_what_is_older_than_the_retention(store, monkeypatch):
    """Rows, statuses and insights older than raw's retention go, in pieces; the rest stays."""
    monkeypatch.setattr(sqlite, "_PRUNE_ROWS", 7)
    store.init(Retention(raw_days=10))
    old = [NOW_US - 11 * DAY + index for index in range(40)]
    young = [NOW_US - 9 * DAY + index for index in range(5)]
    for device in ("esp-01", "esp-02"):
        store.write(batch_of(old + young, device=device))
    store.write(
        Batch(
            batch_id="b",
            insights=[
                Insight(site="mill", boiler="b1", name="x", at_us=at_us, value=1.0)
                for at_us in (old[0], young[0])
            ],
        )
    )

    deleted = store.prune(NOW)

    assert deleted == 81
    assert times_in(store) == sorted(young * 2)
    assert store.prune(NOW) == 0


def test_sqlite_prune_without_retention_deletes_nothing(store):
    """A bucket that is kept for ever is not pruned."""
    store.init(Retention(raw_days=None))
    store.write(batch_of([1]))

    assert store.prune(NOW + timedelta(days=40_000)) == 0
    assert times_in(store) == [1]


def test_sqlite_locked_file_is_unavailable(store, tmp_path, monkeypatch):
    """A file that another program keeps locked is a store to try again later."""
    monkeypatch.setattr(sqlite_file, "_BUSY_TIMEOUT_S", 0.05)
    other = sqlite3.connect(tmp_path / "steam.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    impatient = SqliteStore(tmp_path / "steam.db")

    with pytest.raises(Unavailable, match="locked"):
        impatient.write(batch_of([NOW_US]))

    other.execute("ROLLBACK")
    other.close()
    impatient.write(batch_of([NOW_US]))
    impatient.close()


def test_sqlite_missing_file_asks_for_init(tmp_path):
    """A file that is not there is not made by writing; the text says which command makes it."""
    store = SqliteStore(tmp_path / "gone" / "steam.db")

    with pytest.raises(Misconfigured, match="steam store init"):
        store.write(batch_of([NOW_US]))
    assert not (tmp_path / "gone").exists()


def test_sqlite_file_of_something_else_is_misconfigured(tmp_path):
    """A file that is no database is told so, and left as it is."""
    path = tmp_path / "steam.db"
    path.write_bytes(b"a letter to the plant manager, and no database at all" * 50)
    store = SqliteStore(path)

    with pytest.raises(Misconfigured, match="cannot be used"):
        store.init(Retention())
    assert path.read_bytes().startswith(b"a letter")


def test_sqlite_file_of_a_newer_version_is_refused(store, tmp_path):
    """A file that a newer Steam made is neither read nor written by this one."""
    connection = sqlite3.connect(tmp_path / "steam.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    other = SqliteStore(tmp_path / "steam.db")

    with pytest.raises(Misconfigured, match="version 99"):
        other.latest("mill", "b1")
    with pytest.raises(Misconfigured, match="version 99"):
        other.init(Retention(raw_days=1))
    other.close()
    connection = sqlite3.connect(tmp_path / "steam.db")
    kept = connection.execute("SELECT days FROM retention WHERE bucket = 'raw'").fetchone()
    connection.close()
    assert kept == (90,)


def test_sqlite_reopens_after_close(store):
    """A store that was closed opens its file again when it is asked."""
    store.write(batch_of([NOW_US]))
    store.close()

    assert times_in(store) == [NOW_US]


def test_sqlite_file_of_version_1_is_brought_to_this_version_by_init(tmp_path):
    """A file made before there were roll-ups keeps its data and gets their table."""
    path = tmp_path / "old.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA + "PRAGMA user_version = 1;")
    connection.execute("INSERT INTO retention VALUES ('raw', 30)")
    connection.commit()
    connection.close()
    with SqliteStore(path) as old:
        with pytest.raises(Misconfigured, match="steam store init"):
            old.check()

        said = old.init(Retention(raw_days=30, rollup_days=None, events_days=None))

        assert "made the tables (version 2)" in said
        assert old.roll_up(60_000_000, 0, 60_000_000) == 0
        assert old.retention().raw_days == 30


def test_prune_removes_roll_ups_older_than_their_retention(tmp_path):
    """Windows go with the days of the bucket `rollup`, whatever the rows' own retention."""
    with SqliteStore(tmp_path / "steam.db", clock=lambda: NOW) as store:
        store.init(Retention(raw_days=None, rollup_days=400, events_days=None))
        old, new = NOW_US - 500 * DAY, NOW_US - 300 * DAY
        store.write(batch_of([old, new]))
        for at_us in (old, new):
            minute = at_us // 60_000_000 * 60_000_000
            assert store.roll_up(60_000_000, minute, minute + 60_000_000) == 1

        assert store.prune(NOW) == 1

        assert store.newest_roll_up(60_000_000) == new // 60_000_000 * 60_000_000
