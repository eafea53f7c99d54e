"""A backup of one store restored into another: nothing missing, nothing changed, whatever the stores."""

import io
import random
import secrets
import tarfile
import tracemalloc
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from bridge.clock import to_us
from bridge.records import AlarmState, Batch, Insight
from bridge.series import ROLL_UPS
from processor.alarms.journal import Journal, chain_hash
from steam.backup.archive_file import ArchiveReader
from steam.backup.comparing import missing_of_day
from steam.backup.fault import BackupFault
from steam.backup.files import restore_files
from steam.backup.making import Making
from steam.backup.oldest import Oldest
from steam.backup.restoring import Restoring
from steam.commands import backup as backup_command
from steam.commands import restore as restore_command
from steam.settings import load_settings
from store import influx_archive
from store.errors import Refused, Unavailable
from store.influx import InfluxStore
from store.port import Retention
from store.sqlite import SqliteStore
from tests.contract.test_store import DAY, FOR_EVER, SECOND, _drop, alarm, flush, rows_of, status

NOW = datetime(2026, 11, 23, 22, 10, 30, tzinfo=UTC)
NOW_US = to_us(NOW)
START = NOW_US // DAY * DAY - 2 * DAY


@pytest.fixture
def stores(request, tmp_path):
    """A function that opens a new, empty store of a kind."""
    opened = []

    def new(kind):
        if kind == "sqlite":
            store = SqliteStore(tmp_path / f"{secrets.token_hex(4)}.db", clock=lambda: NOW)
        else:
            server = request.getfixturevalue("influxdb")
            database = f"t{secrets.token_hex(4)}"
            store = InfluxStore(
                server.url, token=server.token, org=server.org, database=database, clock=lambda: NOW
            )
            request.addfinalizer(lambda: _drop(server, database))
        store.open()
        opened.append(store)
        store.init(FOR_EVER)
        return store

    yield new
    for store in opened:
        store.close()


def chain(count):
    """A valid chain of alarm events of boiler b1, the last of them open."""
    journal = Journal()
    states = [AlarmState.UNACK, AlarmState.NORMAL]
    return [
        journal.write(
            alarm(
                0,
                states[(number + count + 1) % 2],
                at_us=START + number * 3_600 * SECOND,
                note='say "ã"\n',
            ),
            START + number * 3_600 * SECOND + 250_000,
        )
        for number in range(count)
    ]


def fill(store):
    """Three days of everything: rows with gaps and codes, roll-ups, a chain, statuses, insights."""
    rng = random.Random(1)
    for minute in range(0, 3 * 1_440, 7):
        at_us = START + minute * 60 * SECOND
        rows = rows_of(
            [[round(rng.uniform(7, 9), 3), 8.0, None], [-0.5, 1e-7, 3.0]],
            [at_us, at_us + SECOND],
            seq=minute + 1,
            quality={(0, 0): 64},
        )
        batch_id = f"2026-11-{21 + minute // 1_440:02}_{minute % 1_440 // 60:02}-{minute % 60:02}"
        store.write(Batch(batch_id=batch_id, rows=[rows], summary=flush(at_us, batch_id)))
    gone = rows_of([[1.0]], [START + 5], metrics=("a",), boiler="gone", device="d-gone")
    store.write(
        Batch(
            batch_id="2026-11-21_00-00",
            rows=[gone],
            statuses=[status(at_us=START), status("diag", at_us=START + 1, state=None, seq=None)],
            insights=[
                Insight(site="mill", boiler="b1", name="x", at_us=START, value=2.0, unit="%")
            ],
            alarm_events=chain(12),
        )
    )
    for width in ROLL_UPS:
        store.roll_up(width, START, START + DAY)


def settings_in(folder):
    (folder / "plant.yaml").write_text("sites: [{name: mill}]\n")
    (folder / "steam.yaml").write_text("retention: {raw_days: null}\n")
    return load_settings(folder / "steam.yaml")


def back_up(store, folder, name="b.tar"):
    settings = settings_in(folder)
    making = Making(settings, folder / "steam.yaml", store.archive(), store.alarm_heads())
    days = list(making.write(folder / name, NOW))
    return folder / name, days


def restore(path, store, retention=FOR_EVER):
    restoring = Restoring(ArchiveReader(path))
    list(restoring.check())
    list(restoring.write(store.archive(), Oldest(retention, NOW)))
    return restoring, restoring.compare(store.archive(), *store.archive().span())


KINDS = ["sqlite", pytest.param("influx", marks=pytest.mark.influx)]


@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("target", KINDS)
def test_backup_restored_holds_the_same(stores, tmp_path, source, target):
    """Counts and checksums of every measurement are equal, and so is what a chart is told."""
    one, other = stores(source), stores(target)
    fill(one)

    path, days = back_up(one, tmp_path)
    restoring, differing = restore(path, other)

    assert days == ["2026-11-21", "2026-11-22", "2026-11-23"]
    assert differing == []
    result = restoring.result([], differing)
    assert result.records["boiler"] == 2 * 618 + 1
    assert result.records["alarm_event"] == 12
    assert result.records["boiler_1m"] > 100
    span = ("mill", "b1", START, START + 3 * DAY)
    assert other.rows(*span) == one.rows(*span)
    metrics = ["steam_pressure", "oxygen"]
    asked = ("mill", "b1", metrics, START, START + 3 * DAY, 200)
    assert other.series(*asked) == one.series(*asked)
    assert other.alarm_heads() == one.alarm_heads()
    assert other.newest_roll_up(60_000_000) == one.newest_roll_up(60_000_000)


@pytest.mark.parametrize("kind", KINDS)
def test_restore_leaves_out_what_the_store_would_not_keep(stores, tmp_path, kind):
    """Readings older than the retention are counted, not written; alarm events stay."""
    one, other = stores("sqlite"), stores(kind)
    fill(one)
    path, _ = back_up(one, tmp_path)

    retention = Retention(raw_days=1, rollup_days=None, events_days=None)
    restoring, differing = restore(path, other, retention)

    assert differing == []
    result = restoring.result([], [])
    assert result.left_out > 800
    assert result.records["alarm_event"] == 12


def test_restore_into_a_store_that_lost_a_row_says_so(stores, tmp_path):
    """What is not the same after writing is named by its measurement."""
    one, other = stores("sqlite"), stores("sqlite")
    fill(one)
    path, _ = back_up(one, tmp_path)
    restoring, _ = restore(path, other)

    connection = other._file.connection()
    with other._file.transaction(connection):
        connection.execute("DELETE FROM batch WHERE at_us = (SELECT min(at_us) FROM batch)")

    (told,) = restoring.compare(other.archive(), *other.archive().span())
    assert told.startswith("batch: 617 records instead of 618")


@pytest.fixture
def made(stores, tmp_path):
    """A backup of a filled store."""
    store = stores("sqlite")
    fill(store)
    return back_up(store, tmp_path)[0]


def check(path):
    list(Restoring(ArchiveReader(path)).check())


def test_backup_is_whole(made):
    """What was just made passes its check."""
    check(made)


def test_backup_with_a_flipped_byte_is_refused_by_the_member_s_name(made):
    """The check says which day is damaged, before anything is written."""
    with tarfile.open(made) as tar:
        at = tar.getmember("data/2026-11-22.gz").offset_data + 100
    body = bytearray(made.read_bytes())
    body[at] ^= 1
    made.write_bytes(body)

    with pytest.raises(BackupFault, match=r"data/2026-11-22\.gz was changed or damaged"):
        check(made)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_backup_cut_short_is_refused(made, share):
    """A copy that was broken off is told as that."""
    body = made.read_bytes()
    made.write_bytes(body[: int(len(body) * share)])

    with pytest.raises(BackupFault, match=r"no backup, or cut short|is missing"):
        check(made)


def test_file_that_is_no_backup_is_refused(tmp_path):
    """Whatever it is, it is told in one line."""
    (tmp_path / "x.tar").write_bytes(b"something else" * 1000)

    with pytest.raises(BackupFault, match="no backup"):
        check(tmp_path / "x.tar")


@contextmanager
def changed_manifest(path, **changes):
    """A copy of the backup whose manifest says something else."""
    copy = path.with_name("changed.tar")
    with tarfile.open(path) as old, tarfile.open(copy, "w") as new:
        for info in old.getmembers():
            body = old.extractfile(info).read()
            if info.name == "manifest.json":
                body = msgspec.json.encode(msgspec.json.decode(body) | changes)
                info.size = len(body)
            new.addfile(info, io.BytesIO(body))
    yield copy


def test_backup_of_a_newer_format_is_refused(made):
    """An older Steam does not guess."""
    with (
        changed_manifest(made, format=2) as path,
        pytest.raises(BackupFault, match=r"of format 2, made by Steam .*; this one reads 1"),
    ):
        check(path)


def test_backup_whose_chain_was_cut_is_refused(made):
    """The head in the manifest shows that the newest events are missing."""
    heads = {"b1": {"n": 99, "hash": "x"}}
    with (
        changed_manifest(made, heads=heads) as path,
        pytest.raises(BackupFault, match="chain of alarm events ends before event 99"),
    ):
        check(path)


def forged_in(store):
    """The first event of the chain, changed by somebody in the store."""
    (first, *_) = sorted(chain(12), key=lambda event: event.n)
    forged = msgspec.structs.replace(first, note="nothing happened")
    assert forged.hash != chain_hash(forged)
    store.write(Batch(batch_id="x", alarm_events=[forged]))


def test_backup_with_a_changed_event_is_refused(stores, tmp_path):
    """The chain of hashes is checked, not only the file's own checksums."""
    store = stores("sqlite")
    fill(store)
    forged_in(store)
    path, _ = back_up(store, tmp_path)

    with (
        changed_manifest(path, chain_faults=[]) as changed,
        pytest.raises(BackupFault, match="event 1 was changed after it was recorded"),
    ):
        check(changed)


def test_backup_of_a_broken_chain_says_so_and_can_be_restored(stores, tmp_path):
    """What was wrong in the store already is told with the backup; the rest is not lost for it."""
    one, other = stores("sqlite"), stores("sqlite")
    fill(one)
    forged_in(one)

    path, _ = back_up(one, tmp_path)
    restoring, differing = restore(path, other)

    told = restoring.result([], differing)
    assert told.chain_faults == ["b1: event 1 was changed after it was recorded"]
    assert told.differences == []


@pytest.mark.parametrize("kind", KINDS)
def test_backup_leaves_out_events_recorded_after_it_began(stores, tmp_path, kind):
    """An alarm that comes meanwhile, of whatever day, makes no gap in a chain."""
    store = stores(kind)
    *known, late, last = chain(12)
    store.write(Batch(batch_id="x", alarm_events=known))
    heads = store.alarm_heads()
    store.write(Batch(batch_id="x", alarm_events=[last, msgspec.structs.replace(late, note="?")]))

    making = Making(settings_in(tmp_path), tmp_path / "steam.yaml", store.archive(), heads)
    list(making.write(tmp_path / "b.tar", NOW))

    check(tmp_path / "b.tar")
    manifest = ArchiveReader(tmp_path / "b.tar").manifest
    assert manifest.sums["alarm_event"].count == 10
    assert manifest.heads["b1"].n == 10
    assert manifest.chain_faults == []


@pytest.mark.parametrize("kind", KINDS)
def test_restore_into_a_filled_store_finds_what_is_not_there(stores, tmp_path, kind):
    """Other records do not matter; one of the backup that is missing or different is counted."""
    one, other = stores("sqlite"), stores(kind)
    fill(one)
    path, _ = back_up(one, tmp_path)
    at_us = START + 7 * 60 * SECOND
    other.write(Batch(batch_id="y", rows=[rows_of([[9.0, 9.0, 9.0]], [START + 77], device="x")]))
    restoring, _ = restore(path, other)
    oldest = Oldest(FOR_EVER, NOW)

    assert list(restoring.missing(other.archive(), oldest)) == [[], [], []]

    other.write(Batch(batch_id="y", rows=[rows_of([[1.0, 8.0, None]], [at_us])]))
    assert list(restoring.missing(other.archive(), oldest)) == [
        ["2026-11-21, boiler: 1 records are not there as in the backup"],
        [],
        [],
    ]


def test_comparing_a_large_day_in_parts_finds_the_same(stores, tmp_path):
    """A day with more records than fit in memory is gone through several times."""
    one, empty = stores("sqlite"), stores("sqlite")
    fill(one)
    path, _ = back_up(one, tmp_path)
    reader = ArchiveReader(path)
    entries = lambda: reader.entries("data/2026-11-22.gz")  # noqa: E731

    whole = missing_of_day("2026-11-22", entries, empty.archive())
    parts = missing_of_day("2026-11-22", entries, empty.archive(), at_once=100)

    assert parts == whole
    assert "2026-11-22, boiler: 412 records are not there as in the backup" in whole
    assert missing_of_day("2026-11-22", entries, one.archive(), at_once=100) == []


@pytest.mark.parametrize("kind", KINDS)
def test_records_of_one_moment_and_many_pages_are_all_read(stores, monkeypatch, kind):
    """More points than a page holds, more of one moment than a page holds: each exactly once."""
    monkeypatch.setattr(influx_archive, "_PAGE", 7)
    monkeypatch.setattr(influx_archive, "_PAGE_OF_STATUSES", 3)
    store = stores(kind)
    times = [START] * 9 + [START + SECOND * index for index in range(1, 30)] + [NOW_US] * 7
    messages = [
        rows_of([[1.5]], [at_us], metrics=("a",), device=f"d-{index}")
        for index, at_us in enumerate(times)
    ]
    statuses = [status(at_us=START, device=f"d-{index}") for index in range(8)]
    store.write(Batch(batch_id="x", rows=messages, statuses=statuses))

    found = list(store.archive().records(START, NOW_US + 1))

    devices = [rows.device for batch in found for rows in batch.rows]
    assert sorted(devices) == sorted(f"d-{index}" for index in range(len(times)))
    told = [each.device for batch in found for each in batch.statuses]
    assert sorted(told) == sorted(f"d-{index}" for index in range(8))


@pytest.mark.influx
def test_minus_zero_and_whole_numbers_stay_what_they_are(stores, tmp_path):
    """Zero with a sign, floats that are whole, codes and large whole numbers, there and back."""
    one, other, third = stores("sqlite"), stores("influx"), stores("sqlite")
    values = [-0.0, 8.0, 1e22, 5e-324]
    rows = rows_of(
        [values],
        [START],
        metrics=("a", "b", "c", "d"),
        boot=2**53 + 1,
        seq=2**62 + 1,
        quality={(0, 1): 64},
    )
    said = status("diag", at_us=START, state="8", seq=None, body='"7"\n\\')
    one.write(Batch(batch_id="1", rows=[rows], statuses=[said]))
    span = (START, START + 1)

    for source, target in ((one, other), (other, third)):
        path, _ = back_up(source, tmp_path)
        _, differing = restore(path, target)
        assert differing == []

    assert third.rows("mill", "b1", *span) == one.rows("mill", "b1", *span)
    assert third.statuses(*span) == [said]


def test_restore_goes_on_past_what_a_store_refuses(made, stores):
    """The one record is told in the store's words, the others are written."""
    store = stores("sqlite")
    archive = store.archive()

    class Refusing:
        write_windows = archive.write_windows

        def write(self, batches):
            if any(batch.insights for batch in batches):
                raise Refused("no insights here", "no")
            archive.write(batches)

    restoring = Restoring(ArchiveReader(made))
    list(restoring.write(Refusing(), Oldest(FOR_EVER, NOW)))

    assert restoring.result([], []).refused == ["no insights here"]
    assert restoring.compare(archive, *archive.span()) == ["insight: 0 records instead of 1"]


def test_backup_of_months_takes_the_memory_of_a_day(stores, tmp_path):
    """Ten times the days take no more memory to back up, check, restore and compare."""
    peaks = []
    for days in (3, 30):
        one, other = stores("sqlite"), stores("sqlite")
        for day in range(days):
            first = START - day * DAY
            times = [first + index * 10 * SECOND for index in range(1_500)]
            values = [[index % 97 / 8, 50.0, 3.0] for index in range(1_500)]
            one.write(Batch(batch_id="x", rows=[rows_of(values, times)]))
        tracemalloc.start()
        path, _ = back_up(one, tmp_path)
        _, differing = restore(path, other)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert differing == []

    assert peaks[1] < 1.3 * peaks[0]


def test_backup_that_fails_leaves_no_file_behind(stores, tmp_path):
    """A store that goes away in the middle: no half file under the name, none beside it."""
    store = stores("sqlite")
    fill(store)
    archive = store.archive()

    class Failing:
        span, windows = archive.span, archive.windows

        def records(self, start_us, end_us):
            if start_us > START:
                raise Unavailable("gone")
            yield from archive.records(start_us, end_us)

    making = Making(settings_in(tmp_path), tmp_path / "steam.yaml", Failing(), {})

    with pytest.raises(Unavailable):
        list(making.write(tmp_path / "b.tar", NOW))
    assert not list(tmp_path.glob("*.tar*")) + list(tmp_path.glob(".*tar*"))


def test_states_after_a_restore_are_those_of_the_alarms(stores, tmp_path):
    """What was open is open again: the evaluator goes on from there."""
    one, other = stores("sqlite"), stores("sqlite")
    fill(one)
    path, _ = back_up(one, tmp_path)
    restore(path, other)

    assert other.open_alarms() == one.open_alarms() != []
    assert {event.state for event in other.open_alarms()} <= set(AlarmState)


def test_files_are_restored_only_where_there_are_none(made, tmp_path):
    """What is there stays; the backup's stand beside it."""
    target = tmp_path / "new"
    target.mkdir()
    (target / "steam.yaml").write_text("time_zone: UTC\n")
    settings = load_settings(target / "steam.yaml")

    told = restore_files(ArchiveReader(made), settings, target / "steam.yaml")

    assert [Path(each).name for each in told] == ["steam.yaml.restored", "plant.yaml"]
    assert (target / "steam.yaml").read_text() == "time_zone: UTC\n"
    assert "mill" in (target / "plant.yaml").read_text()


@pytest.mark.influx
def test_commands_on_influxdb_back_up_and_restore_into_an_empty_database(
    influxdb, tmp_path, monkeypatch, stores
):
    """As typed: a backup, a refused restore into the same database, one into a new one, compared."""
    monkeypatch.setenv("STEAM_INFLUXDB_TOKEN", influxdb.token)
    store, other = stores("influx"), stores("influx")
    fill(store)
    for name, each in (("one", store), ("other", other)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "plant.yaml").write_text("sites: [{name: mill}]\n")
        (tmp_path / name / "steam.yaml").write_text(
            "deployment: server\n"
            "retention: {raw_days: null, rollup_days: null, events_days: null}\n"
            f"influxdb: {{url: '{influxdb.url}', org: '{influxdb.org}', database: {each._database}}}\n"
        )

    def run(app, *arguments, at):
        return CliRunner().invoke(
            app,
            [str(tmp_path / "b.tar"), *arguments, "--config", str(tmp_path / at / "steam.yaml")],
        )

    made = run(backup_command.app, at="one")
    refused = run(restore_command.app, at="one")
    restored = run(restore_command.app, "--json", at="other")
    again = run(restore_command.app, "--into-filled", at="other")

    assert (made.exit_code, refused.exit_code) == (0, 1), made.output
    assert "holds something already" in refused.output
    assert restored.exit_code == 0, restored.output
    told = msgspec.json.decode(restored.stdout)
    assert told["records"]["boiler"] == 2 * 618 + 1
    assert told["differences"] == told["refused"] == []
    assert again.exit_code == 0, again.output
    assert other.alarm_heads() == store.alarm_heads()
