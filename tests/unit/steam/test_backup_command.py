"""`steam backup` and `steam restore` as they are typed, in the embedded deployment."""

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from bridge.messages import Reason
from bridge.records import Batch, Rows
from processor.adapters.sqlite_quarantine import SqliteQuarantine
from processor.quarantine import BadMessage
from steam.backup.new_file import new_file, remove_unfinished
from steam.commands import backup, restore
from steam.held_folder import held
from steam.settings import load_settings
from steam.stores import store_of

AT_US = 1_795_471_800_123_456
ROOT = Path(__file__).resolve().parents[3]
BAD = BadMessage(
    routing_key="steam.v1.mill.esp-01.data",
    body=b"\x00no",
    reason=Reason.MALFORMED,
    detail="no JSON",
    at_us=AT_US,
)


@pytest.fixture
def plant(tmp_path):
    """A folder with settings, plant, a store of three rows and a quarantine of one message."""
    folder = tmp_path / "plant"
    folder.mkdir()
    (folder / "steam.yaml").write_text("retention: {raw_days: null}\n")
    (folder / "plant.yaml").write_text("sites: [{name: mill}]\n")
    settings = load_settings(folder / "steam.yaml")
    store = store_of(settings)
    store.init(settings.retention)
    rows = Rows(
        site="mill",
        boiler="b1",
        device="esp-01",
        boot=1,
        seq=1,
        metrics=("a",),
        times_us=[AT_US, AT_US + 1, AT_US + 2],
        values=[[1.5], [2.0], [None]],
    )
    store.write(Batch(batch_id="2026-11-23_22-10", rows=[rows]))
    store.close()
    quarantine = SqliteQuarantine(settings.data_path / "quarantine.sqlite")
    quarantine.open()
    quarantine.put([BAD])
    quarantine.close()
    return folder


def run(app, *arguments, config):
    return CliRunner().invoke(app, [*map(str, arguments), "--config", str(config)])


def back_up(plant, *arguments):
    done = run(backup.app, *arguments, config=plant / "steam.yaml")
    assert done.exit_code == 0, done.output
    return done


def restored(file, config, *arguments):
    return run(restore.app, file, *arguments, config=config)


def rows_in(folder):
    settings = load_settings(folder / "steam.yaml")
    store = store_of(settings)
    try:
        return store.rows("mill", "b1", AT_US, AT_US + 10)
    finally:
        store.close()


def test_restore_on_a_new_machine_brings_everything_back(plant, tmp_path):
    """Without a steam.yaml that of the backup is taken; rows, plant and quarantine are there."""
    back_up(plant, tmp_path / "b.tar")
    new = tmp_path / "new"
    new.mkdir()

    done = restored(tmp_path / "b.tar", new / "steam.yaml")

    assert done.exit_code == 0, done.output
    assert "compared: all of it is there" in done.output
    for name in ("steam.yaml", "plant.yaml"):
        assert (new / name).read_bytes() == (plant / name).read_bytes()
    assert rows_in(new) == rows_in(plant) != []
    quarantine = SqliteQuarantine(new / "data" / "quarantine.sqlite")
    quarantine.open()
    assert quarantine.messages() == [BAD]
    quarantine.close()


def test_backup_holds_no_accounts_and_is_its_owners_alone(plant, tmp_path):
    """Nothing but the known members; nobody else may read plant and readings."""
    (plant / "data" / "accounts.passwords").write_text("esp-01:hash")

    back_up(plant, tmp_path / "b.tar")

    assert (tmp_path / "b.tar").stat().st_mode & 0o777 == 0o600
    with tarfile.open(tmp_path / "b.tar") as tar:
        assert tar.getnames() == [
            "settings/steam.yaml",
            "settings/plant.yaml",
            "files/quarantine.sqlite",
            "data/2026-11-23.gz",
            "manifest.json",
        ]


def test_backup_to_a_folder_keeps_the_newest_and_other_peoples_files(plant, tmp_path):
    """Only files named as this command names them are removed, and what a killed backup left."""
    folder = tmp_path / "backups"
    folder.mkdir()
    mine = [f"steam-backup-2026-01-0{day}_00-00-00.tar" for day in (1, 2, 3)]
    others = ["steam-backup-mine.tar", "plant.yaml", "steam-backup-2026-01-01_00-00-00.tar.old"]
    for name in (*mine, *others, ".steam-backup-2026-01-04_00-00-00.tar.killed"):
        (folder / name).write_bytes(b"x")

    told = back_up(plant, "--to", folder, "--keep", 2, "--json")

    made = msgspec.json.decode(told.stdout)
    assert made["removed"] == mine[:2]
    left = {path.name for path in folder.iterdir()}
    assert left == {*others, mine[2], Path(made["file"]).name}


def test_unfinished_file_of_a_backup_at_work_is_left(tmp_path):
    """Only what nobody is writing any more goes."""
    pattern = "steam-backup-????-??-??_??-??-??.tar"
    with new_file(tmp_path / "steam-backup-2026-01-01_00-00-00.tar") as file:
        file.write(b"x")
        remove_unfinished(tmp_path, pattern)
        assert len(list(tmp_path.iterdir())) == 1

    assert [path.name for path in tmp_path.iterdir()] == ["steam-backup-2026-01-01_00-00-00.tar"]


def test_restore_refuses_a_filled_store_and_adds_to_it_when_told(plant, tmp_path):
    """Nothing is written over unasked; asked for, it is compared too."""
    back_up(plant, tmp_path / "b.tar")

    refused = restored(tmp_path / "b.tar", plant / "steam.yaml")
    added = restored(tmp_path / "b.tar", plant / "steam.yaml", "--into-filled")

    assert refused.exit_code == 1
    assert "holds something already" in refused.output
    assert added.exit_code == 0, added.output
    assert "compared: all of it is there" in added.output
    assert "left" in added.output  # the quarantine that is there


def test_restore_beside_a_running_steam_is_refused(plant, tmp_path):
    """Two must not write to one data folder."""
    back_up(plant, tmp_path / "b.tar")

    with held(plant / "data"):
        done = restored(tmp_path / "b.tar", plant / "steam.yaml", "--into-filled")

    assert done.exit_code == 1
    assert "another Steam runs" in done.output


def test_backup_beside_a_running_steam_is_made(plant, tmp_path):
    """A writer in the middle of a transaction does not hold it up."""
    with held(plant / "data"), sqlite3.connect(plant / "data" / "steam.sqlite") as writer:
        writer.execute("BEGIN IMMEDIATE")
        back_up(plant, tmp_path / "b.tar")
        writer.rollback()
    writer.close()

    assert restored(tmp_path / "b.tar", plant / "steam.yaml", "--check").exit_code == 0


def test_check_writes_nothing(plant, tmp_path):
    """Not even where there are no settings."""
    back_up(plant, tmp_path / "b.tar")
    new = tmp_path / "new"
    new.mkdir()

    done = restored(tmp_path / "b.tar", new / "steam.yaml", "--check")

    assert done.exit_code == 0, done.output
    assert "whole" in done.output
    assert list(new.iterdir()) == []


def test_restore_of_a_damaged_file_writes_nothing(plant, tmp_path):
    """What is cut short is told, with exit code 1, and the new folder stays empty."""
    back_up(plant, tmp_path / "b.tar")
    body = (tmp_path / "b.tar").read_bytes()
    (tmp_path / "b.tar").write_bytes(body[:3000])
    new = tmp_path / "new"
    new.mkdir()

    done = restored(tmp_path / "b.tar", new / "steam.yaml")

    assert done.exit_code == 1
    assert "cut short" in done.output or "is missing" in done.output
    assert list(new.iterdir()) == []


def test_plant_that_differs_stays_and_the_other_is_put_beside(plant, tmp_path):
    """A person decides which of two plants is right."""
    back_up(plant, tmp_path / "b.tar")
    (plant / "plant.yaml").write_text("sites: [{name: other}]\n")

    done = restored(tmp_path / "b.tar", plant / "steam.yaml", "--into-filled")

    assert done.exit_code == 0, done.output
    assert (plant / "plant.yaml").read_text() == "sites: [{name: other}]\n"
    assert (plant / "plant.yaml.restored").read_text() == "sites: [{name: mill}]\n"
    assert not (plant / "steam.yaml.restored").exists()


def test_backup_without_room_says_so_and_leaves_nothing(plant, tmp_path):
    """A limit on the size of files stands for a full disk."""
    folder = tmp_path / "backups"
    folder.mkdir()
    (plant / "plant.yaml").write_text("sites: [{name: mill}]\n" + "# why\n" * 50_000)
    arguments = [str(folder / "b.tar"), "--config", str(plant / "steam.yaml")]

    done = subprocess.run(
        [sys.executable, "-m", "steam", "backup", *arguments],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )

    assert done.returncode == 1, done.stderr
    assert "no room for" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(folder.iterdir()) == []


def test_backup_that_is_cancelled_leaves_nothing(plant, tmp_path, monkeypatch):
    """SIGTERM in the middle, as a cluster sends it, removes the unfinished file."""
    folder = tmp_path / "backups"
    folder.mkdir()
    seen = []

    def cancel(*_):
        seen.extend(folder.iterdir())
        os.kill(os.getpid(), signal.SIGTERM)
        return {}

    monkeypatch.setattr("steam.backup.making.Making._add_side_files", cancel)

    done = run(backup.app, folder / "b.tar", config=plant / "steam.yaml")

    assert len(seen) == 1
    assert done.exit_code == 128 + signal.SIGTERM
    assert list(folder.iterdir()) == []
