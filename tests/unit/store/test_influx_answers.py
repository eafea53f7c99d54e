"""What each answer of InfluxDB means to the caller, after its status and its words."""

import subprocess
import sys
from pathlib import Path

import pytest

from store.errors import Misconfigured, Refused, TooLarge, Unavailable
from store.influx_answers import Place, query_error, rows_of, status_error
from store.influx_http import without_account
from store.influx_setup import go_seconds, shard_seconds

PLACE = Place("http://influxdb:8086", "steam/raw")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"error":"partial write: field type conflict dropped=1"}', Refused),
        (422, b'{"code":"unprocessable entity","message":"failure writing points"}', Refused),
        (401, b'{"code":"unauthorized","message":"unauthorized access"}', Misconfigured),
        (403, b'{"error":"user is not authorized to write"}', Misconfigured),
        (404, b'{"error":"database not found: \\"steam\\""}', Misconfigured),
        (500, b'{"error":"retention policy not found: raw"}', Misconfigured),
        (413, b"", TooLarge),
        (408, b"", Unavailable),
        (429, b"", Unavailable),
        (500, b'{"error":"timeout"}', Unavailable),
        (502, b"<html>Bad Gateway</html>", Unavailable),
        (503, b'{"code":"unavailable","message":"busy"}', Unavailable),
        (301, b"", Misconfigured),
        (405, b"\xff\xfe", Misconfigured),
    ],
)
def test_status_error_says_what_the_caller_must_do(status, body, kind):
    """Each status is one kind of error, whose text names server and bucket."""
    error = status_error(status, body, PLACE)

    assert type(error) is kind
    assert "http://influxdb:8086" in str(error)
    assert "steam/raw" in str(error)


def test_status_error_carries_the_servers_words_and_wait():
    """Refused keeps the server's own words; Unavailable keeps how long to wait."""
    refused = status_error(400, b'{"error":"partial write: dropped=1"}', PLACE)
    busy = status_error(429, b"", PLACE, "7")
    dated = status_error(503, b"", PLACE, "Mon, 23 Nov 2026 22:10:00 GMT")

    assert isinstance(refused, Refused)
    assert refused.words == "partial write: dropped=1"
    assert isinstance(busy, Unavailable)
    assert busy.retry_after_s == 7.0
    assert isinstance(dated, Unavailable)
    assert dated.retry_after_s is None


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("database not found: steam", Misconfigured),
        ("retention policy not found: raw", Misconfigured),
        ("not authorized to execute statement 'SHOW DATABASES'", Misconfigured),
        ("query-timeout limit exceeded", Unavailable),
        ("undefined function blah()", Refused),
    ],
)
def test_query_error_within_a_200_is_recognised(words, kind):
    """InfluxQL tells of faults inside a 200: they mean the same as a status would."""
    assert type(query_error(words, PLACE)) is kind


def test_rows_of_an_answer_that_is_not_influxdbs_is_misconfigured():
    """A proxy's page with status 200 is no empty result."""
    with pytest.raises(Misconfigured, match="URL"):
        rows_of(b"<html>Welcome</html>", PLACE)


def test_rows_of_an_answer_joins_tags_and_columns():
    """Each row has its series' tags beside its columns; no series is no row."""
    body = (
        b'{"results":[{"statement_id":0,"series":[{"name":"x","tags":{"boiler":"b1"},'
        b'"columns":["time","n"],"values":[[5,1],[6,null]]}]},{"statement_id":1}]}'
    )

    assert rows_of(body, PLACE) == [
        [{"boiler": "b1", "time": 5.0, "n": 1.0}, {"boiler": "b1", "time": 6.0, "n": None}],
        [],
    ]


def test_without_account_hides_user_and_password():
    """An account in the URL is never shown."""
    assert without_account("http://u:p@ss@host:8086/") == "http://host:8086"


@pytest.mark.parametrize(
    ("policy", "days", "shard_days"),
    [
        ("raw", 90, 7),
        ("raw", 30, 1),
        ("raw", 1, 1),
        ("raw", None, 7),
        ("rollup", 1825, 28),
        ("events", None, 364),
        ("events", 365, 28),
    ],
)
def test_shard_seconds_are_a_small_part_of_the_retention(policy, days, shard_days):
    """Shards are long where data is kept long, and never longer than it is kept."""
    assert shard_seconds(policy, days) == shard_days * 86_400


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("2160h0m0s", 7_776_000), ("1h1m1s", 3661)]
)
def test_go_seconds_reads_go_durations(text, seconds):
    """Durations as InfluxDB 1.8 shows them are read in seconds."""
    assert go_seconds(text) == seconds


def test_importing_the_store_imports_neither_numpy_nor_pandas():
    """Importing every adapter loads no NumPy, no pandas and not yet urllib3."""
    program = (
        "import sys, store.influx, store.sqlite, store.fake, bridge.series\n"
        "print(sorted({'numpy', 'pandas', 'urllib3'} & sys.modules.keys()))"
    )

    found = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
        timeout=60,
    )

    assert found.stdout.strip() == "[]"


def test_error_of_the_whole_answer_is_told():
    """InfluxDB answers 200 with an error where a number of its answer is none."""
    with pytest.raises(Refused, match="unsupported value"):
        rows_of(b'{"error":"json: unsupported value: +Inf"}', Place("http://x"))


def test_answer_that_was_cut_is_refused():
    """A limit at the server would silently leave rows out."""
    body = b'{"results":[{"series":[{"columns":["time"],"values":[[1]],"partial":true}]}]}'

    with pytest.raises(Misconfigured, match="max-row-limit"):
        rows_of(body, Place("http://x"))


@pytest.mark.parametrize(
    ("asked", "waited"), [("inf", None), ("nan", None), ("86400", 300.0), ("2", 2.0), ("-1", 0.0)]
)
def test_wait_that_the_server_asks_for_is_bounded(asked, waited):
    """A store that is well again is not left for a day, and a wait is a number."""
    error = status_error(503, b"", Place("http://x"), asked)

    assert error.retry_after_s == waited
