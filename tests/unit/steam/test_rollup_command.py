"""`steam rollup`: which spans and boilers it computes, and what it refuses."""

import json

import pytest
from typer.testing import CliRunner

from bridge.clock import from_us, to_us, utc_now
from bridge.records import Batch, BatchSummary, Rows
from bridge.series import ROLL_UPS
from steam.commands.rollup import app
from store.port import Retention
from store.sqlite import SqliteStore
from tests.fakes import START

MINUTE, _, HOUR = ROLL_UPS
START_US = to_us(START) // HOUR * HOUR


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Calls `steam rollup` in a folder whose store has an hour of two boilers."""
    (tmp_path / "plant.yaml").write_text(
        "sites: [{name: mill}]\nboilers: [{name: b1, site: mill}]\n"
    )
    (tmp_path / "steam.yaml").write_text("retention: {raw_days: null}\n")
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    store = SqliteStore(tmp_path / "data" / "steam.sqlite")
    store.open()
    store.init(Retention(raw_days=None))
    for boiler in ("b1", "gone"):
        times = [START_US + minute * MINUTE for minute in range(60)]
        rows = Rows(
            site="mill",
            boiler=boiler,
            device=f"d-{boiler}",
            boot=1,
            seq=1,
            metrics=("a",),
            times_us=times,
            values=[[1.0]] * 60,
        )
        summary = BatchSummary(
            batch_id=boiler,
            recorder="r1",
            at_us=START_US,
            rows=60,
            messages=1,
            bytes=1,
            quarantined=0,
            lag_ms=0,
            first_at_us=times[0],
            last_at_us=times[-1],
        )
        store.write(Batch(batch_id=boiler, rows=[rows], summary=summary))
    store.close()

    def run(*arguments):
        done = CliRunner().invoke(app, list(arguments))
        return done.exit_code, done.output

    return run


def span():
    """The hour that has rows, as options."""
    return (
        "--from",
        from_us(START_US).isoformat(),
        "--to",
        from_us(START_US + HOUR).isoformat(),
    )


def test_rollup_of_a_span_stores_every_width(call):
    """An hour of one boiler is 60 minutes, 4 quarters, 1 hour."""
    code, said = call(*span(), "--json")

    assert code == 0
    assert list(json.loads(said)["windows"].values()) == [60, 4, 1]


def test_rollup_of_a_boiler_that_is_gone_is_named_with_its_site(call):
    """What plant.yaml has no more can still be repaired."""
    code, said = call(*span(), "--boiler", "mill/gone", "--json")

    assert (code, json.loads(said)["windows"]["boiler_1h"]) == (0, 1)


def test_rollup_of_the_last_days_begins_that_long_ago(call):
    """A job by the clock needs no date."""
    days = (utc_now() - START).days + 2
    code, said = call("--days", str(days), "--json")

    assert (code, json.loads(said)["windows"]["boiler_1m"]) == (0, 60)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--boiler", "gone"), "no boiler 'gone'"),
        (("--from", "2026-02-02", "--to", "2026-02-01"), "--to 2026-02-01 is not after --from"),
        (("--from", "yesterday"), "'yesterday' is no date"),
        (("--from", "2026-02-01", "--days", "3"), "give --days or --from"),
    ],
)
def test_rollup_of_nothing_is_refused(call, arguments, told):
    """A span or a boiler that cannot be is told, with exit code 2."""
    code, said = call(*arguments)

    assert code == 2
    assert told in said
