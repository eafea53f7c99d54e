"""One suite for every adapter of the store port: fake, SQLite, InfluxDB."""

import random
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.clock import to_us
from bridge.records import (
    AlarmEvent,
    AlarmState,
    Batch,
    BatchSummary,
    DeviceStatus,
    Insight,
    Rows,
)
from store.errors import Misconfigured, Refused
from store.fake import FakeStore
from store.port import Reading, Retention, Series, Store
from store.sqlite import SqliteStore
from tests.servers.influxdb import InfluxDB

NOW = datetime(2026, 11, 23, 22, 10, 30, tzinfo=UTC)
NOW_US = to_us(NOW)
SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
FOR_EVER = Retention(raw_days=None, rollup_days=None, events_days=None)
BATCH_ID = "2026-11-23_22-10"
METRICS = ("steam_pressure", "water_level", "oxygen")
HOSTILE = [
    'say "no"',
    "back\\slash",
    "ends in a backslash\\",
    "\\",
    '\\"',
    "two\nlines\r\nand\ta tab",
    "comma, equals= and space",
    "Caldeira nº 1 — 8 °C ✓ 🔥 日本",
    "x'; DROP MEASUREMENT boiler; --",
    "$boiler {{.}} %s %d %% \\n \\u0041",
    "nul \x00 and \x7f",
    "<script>alert(1)</script>",
]


@pytest.fixture(params=["fake", "sqlite", pytest.param("influx", marks=pytest.mark.influx)])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """A function that gives stores over one and the same empty place, not yet initialised."""
    opened: list[Store] = []
    if request.param == "fake":
        one = FakeStore(initialised=False, clock=lambda: NOW)
        make: Callable[[], Store] = lambda: one  # noqa: E731
    elif request.param == "sqlite":
        make = lambda: SqliteStore(tmp_path / "steam.db", clock=lambda: NOW)  # noqa: E731
    else:
        from store.influx import InfluxStore

        server: InfluxDB = request.getfixturevalue("influxdb")
        database = f"t{secrets.token_hex(4)}"
        make = lambda: InfluxStore(  # noqa: E731
            server.url, token=server.token, org=server.org, database=database, clock=lambda: NOW
        )

    def opened_store() -> Store:
        store = make()
        store.open()
        opened.append(store)
        return store

    yield opened_store
    for store in opened:
        store.close()
    if request.param == "influx":
        _drop(server, database)


@pytest.fixture
def store(new_store: Callable[[], Store]) -> Store:
    """An initialised, empty store."""
    made = new_store()
    made.init(FOR_EVER)
    return made


def _drop(server: InfluxDB, database: str) -> None:
    if server.version.startswith("1."):
        server.request("POST", "/query", query={"q": f'DROP DATABASE "{database}"'})
        return
    found = msgspec.json.decode(server.request("GET", "/api/v2/buckets?limit=100"))["buckets"]
    for bucket in found:
        if bucket["name"].startswith(f"{database}/"):
            server.request("DELETE", f"/api/v2/buckets/{bucket['id']}")


def rows_of(
    values: list[list[float | None]],
    times_us: list[int],
    *,
    metrics: tuple[str, ...] = METRICS,
    device: str = "esp-01",
    boiler: str = "b1",
    boot: int = 3,
    seq: int = 17,
    quality: dict[tuple[int, int], int] | None = None,
) -> Rows:
    """One message of rows of boiler b1."""
    return Rows(
        site="mill",
        boiler=boiler,
        device=device,
        boot=boot,
        seq=seq,
        metrics=metrics,
        times_us=times_us,
        values=values,
        quality=quality or {},
    )


def write_rows(store: Store, *rows: Rows, batch_id: str = BATCH_ID) -> None:
    store.write(Batch(batch_id=batch_id, rows=list(rows)))


def read_rows(store: Store, boiler: str = "b1") -> list[Rows]:
    return store.rows("mill", boiler, NOW_US - DAY, NOW_US + DAY)


def values_of(rows: Rows) -> dict[str, float | None]:
    return dict(zip(rows.metrics, rows.values[0], strict=True))


def alarm(n: int, state: AlarmState = AlarmState.UNACK, **changes: object) -> AlarmEvent:
    """The event number `n` of boiler b1, a second after the one before."""
    known: dict[str, object] = {
        "id": f"id-{n}",
        "site": "mill",
        "boiler": "b1",
        "definition": "pressure-high",
        "type": "HI",
        "metric": "steam_pressure",
        "state": state,
        "previous": AlarmState.NORMAL,
        "priority": 2,
        "at_us": NOW_US + n * SECOND,
        "recorded_at_us": NOW_US + n * SECOND + 250_000,
        "value": 10.1,
        "setpoint": 10.0,
        "n": n,
        "prev": f"h{n - 1}",
        "hash": f"h{n}",
    }
    return AlarmEvent(**(known | changes))


def write_alarms(store: Store, *events: AlarmEvent) -> None:
    store.write(Batch(batch_id=BATCH_ID, alarm_events=list(events)))


def read_alarms(store: Store, **asked: object) -> list[AlarmEvent]:
    return store.alarm_events(NOW_US - DAY, NOW_US + DAY, **asked)


def status(kind: str = "birth", **changes: object) -> DeviceStatus:
    known: dict[str, object] = {
        "site": "mill",
        "device": "esp-01",
        "kind": kind,
        "at_us": NOW_US,
        "boot": 3,
        "conn": 1,
        "seq": 17,
        "state": "online",
        "body": '{"v":1}',
    }
    return DeviceStatus(**(known | changes))


def flush(at_us: int, batch_id: str = BATCH_ID, **changes: object) -> BatchSummary:
    known: dict[str, object] = {
        "batch_id": batch_id,
        "recorder": "recorder-0",
        "at_us": at_us,
        "rows": 10,
        "messages": 4,
        "bytes": 900,
        "quarantined": 1,
        "lag_ms": 120,
        "first_at_us": at_us - 2 * SECOND,
        "last_at_us": at_us - SECOND,
    }
    return BatchSummary(**(known | changes))


# Rows


def test_rows_written_come_back_with_boot_seq_and_codes(store):
    """A row is read with its values, its device, boot and seq, and the codes that are not good."""
    sent = rows_of(
        [[7.93, 51.0, None], [7.94, None, 3.25]],
        [NOW_US + 17, NOW_US + 17 + SECOND],
        quality={(0, 2): 0, (1, 2): 64},
    )

    write_rows(store, sent)

    first, second = read_rows(store)
    assert first == Rows(
        site="mill",
        boiler="b1",
        device="esp-01",
        boot=3,
        seq=17,
        metrics=("oxygen", "steam_pressure", "water_level"),
        times_us=[NOW_US + 17],
        values=[[None, 7.93, 51.0]],
        quality={(0, 0): 0},
    )
    assert values_of(second) == {"oxygen": 3.25, "steam_pressure": 7.94}
    assert second.quality == {(0, 0): 64}
    assert second.times_us == [NOW_US + 17 + SECOND]


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=60))
def test_rows_any_finite_float_comes_back_exactly(store, values):
    """Every finite float is read as the same float."""
    metrics = tuple(f"m{column}" for column in range(len(values)))

    write_rows(store, rows_of([list(values)], [NOW_US], metrics=metrics))

    (found,) = read_rows(store)
    assert {metric: values_of(found)[metric] for metric in metrics} == dict(
        zip(metrics, values, strict=True)
    )


def test_rows_value_that_is_not_finite_is_no_value(store):
    """NaN and infinity are stored as no value; the rest of the row is kept."""
    write_rows(store, rows_of([[float("nan"), float("inf"), 3.1]], [NOW_US]))

    (found,) = read_rows(store)
    assert values_of(found) == {"oxygen": 3.1}


def test_rows_without_any_value_are_kept(store):
    """A row of nulls is still a row: its boot and seq prove that the message arrived."""
    write_rows(store, rows_of([[None, None, None]], [NOW_US], seq=99))

    (found,) = read_rows(store)
    assert (found.metrics, found.seq, found.boot) == ((), 99, 3)


def test_rows_written_twice_are_there_once(store):
    """Writing the same message again, in a later minute, changes no value and adds no row."""
    sent = rows_of(
        [[1.0, 2.0, None], [1.5, 2.5, 3.5]], [NOW_US, NOW_US + SECOND], quality={(0, 2): 0}
    )
    write_rows(store, sent)
    before = read_rows(store)

    write_rows(store, sent, batch_id="2026-11-23_22-11")

    assert read_rows(store) == before
    assert len(before) == 2


def test_rows_with_other_metrics_at_the_same_time_are_united(store):
    """The same identity with other fields is one row; the last value of a field wins."""
    write_rows(store, rows_of([[1.0, 2.0]], [NOW_US], metrics=("a", "b"), quality={(0, 1): 64}))
    write_rows(store, rows_of([[20.0, 3.0]], [NOW_US], metrics=("b", "c"), seq=18))
    write_rows(store, rows_of([[None, 30.0]], [NOW_US], metrics=("a", "c"), seq=19))

    (found,) = read_rows(store)
    assert values_of(found) == {"a": 1.0, "b": 20.0, "c": 30.0}
    assert found.seq == 19
    assert found.quality == {(0, 1): 64}


def test_rows_of_one_batch_at_the_same_time_are_united(store):
    """Two messages of one batch with the same identity are united in their order."""
    write_rows(
        store,
        rows_of([[1.0, 2.0]], [NOW_US], metrics=("a", "b")),
        rows_of([[5.0]], [NOW_US], metrics=("a",), seq=18),
    )

    (found,) = read_rows(store)
    assert values_of(found) == {"a": 5.0, "b": 2.0}
    assert found.seq == 18


def test_rows_of_two_devices_and_two_boilers_stay_apart(store):
    """Rows of the same time belong to their device and their boiler."""
    write_rows(
        store,
        rows_of([[1.0]], [NOW_US], metrics=("a",), device="esp-02"),
        rows_of([[2.0]], [NOW_US], metrics=("a",), device="esp-01"),
        rows_of([[3.0]], [NOW_US], metrics=("a",), boiler="b2"),
    )

    assert [(rows.device, rows.values) for rows in read_rows(store)] == [
        ("esp-01", [[2.0]]),
        ("esp-02", [[1.0]]),
    ]
    assert [rows.values for rows in read_rows(store, "b2")] == [[[3.0]]]


def test_rows_span_is_half_open(store):
    """A row at the start belongs to the span, a row at its end does not."""
    times = [NOW_US, NOW_US + 1, NOW_US + 2]
    write_rows(store, rows_of([[1.0], [2.0], [3.0]], times, metrics=("a",)))

    found = store.rows("mill", "b1", NOW_US, NOW_US + 2)

    assert [rows.times_us[0] for rows in found] == times[:2]


def test_rows_of_an_unknown_boiler_are_none(store):
    """What was never written is empty, not an error."""
    assert store.rows("mill", "nowhere", 0, NOW_US) == []
    assert store.latest("mill", "nowhere") == {}


def test_empty_batch_is_written_without_effect(store):
    """A batch without anything in it is no error."""
    store.write(Batch(batch_id=BATCH_ID))

    assert read_rows(store) == []


# Latest values


def test_latest_gives_the_newest_value_of_each_metric(store):
    """A metric that the newest row lacks is taken from the row before it, with its code."""
    write_rows(
        store,
        rows_of(
            [[1.0, 10.0, None], [2.0, None, None]],
            [NOW_US - 2 * SECOND, NOW_US - SECOND],
            quality={(0, 1): 64},
        ),
        rows_of([[5.5]], [NOW_US - 3 * 3600 * SECOND], metrics=("draft",)),
    )

    assert store.latest("mill", "b1") == {
        "steam_pressure": Reading(NOW_US - SECOND, 2.0, 192),
        "water_level": Reading(NOW_US - 2 * SECOND, 10.0, 64),
        "draft": Reading(NOW_US - 3 * 3600 * SECOND, 5.5, 192),
    }


def test_latest_of_a_metric_that_long_stands_behind_many_rows(store):
    """A slow metric is found however many rows of others came after it."""
    fast = [NOW_US - 600 * SECOND + index * SECOND for index in range(600)]
    write_rows(store, rows_of([[8.0]], [NOW_US - 700 * SECOND], metrics=("slow",)))
    write_rows(store, rows_of([[float(index)] for index in range(600)], fast, metrics=("fast",)))

    assert store.latest("mill", "b1") == {
        "fast": Reading(NOW_US - SECOND, 599.0),
        "slow": Reading(NOW_US - 700 * SECOND, 8.0),
    }


def test_latest_leaves_out_what_is_older_than_a_day(store):
    """A value of more than a day ago is not the boiler's latest."""
    write_rows(
        store,
        rows_of([[1.0]], [NOW_US - DAY - SECOND], metrics=("old",)),
        rows_of([[2.0]], [NOW_US - DAY + SECOND], metrics=("young",)),
    )

    assert store.latest("mill", "b1").keys() == {"young"}


def test_latest_of_two_devices_is_the_newer_and_at_a_tie_the_greater(store):
    """Two devices with the same metric: the newer value counts, at the same µs the greater."""
    write_rows(
        store,
        rows_of([[9.0, 1.0]], [NOW_US - 2], metrics=("a", "b"), device="esp-01"),
        rows_of([[8.0, 1.0]], [NOW_US - 1], metrics=("a", "c"), device="esp-02"),
        rows_of([[4.0]], [NOW_US - 1], metrics=("a",), device="esp-03"),
    )

    assert store.latest("mill", "b1")["a"] == Reading(NOW_US - 1, 8.0)


# Series


def expected_series(metric: str, readings: list[tuple[int, float]], width: int) -> Series:
    """The series as its definition says, slowly."""
    if width == 0:
        values = [value for _, value in sorted(readings)]
        times = [at for at, _ in sorted(readings)]
        return Series(
            metric=metric,
            step_us=0,
            times_us=times,
            minimum=values,
            maximum=values,
            mean=values,
            last=values,
            count=[1] * len(values),
        )
    grouped: dict[int, list[tuple[int, float]]] = {}
    for at, value in sorted(readings):
        grouped.setdefault(at // width * width, []).append((at, value))
    pieces = [[value for _, value in piece] for piece in grouped.values()]
    return Series(
        metric=metric,
        step_us=width,
        times_us=list(grouped),
        minimum=[min(piece) for piece in pieces],
        maximum=[max(piece) for piece in pieces],
        mean=[sum(piece) / len(piece) for piece in pieces],
        last=[piece[-1] for piece in pieces],
        count=[len(piece) for piece in pieces],
    )


def assert_same_series(found: Series, expected: Series) -> None:
    """Equal in every point; a mean may differ by the order in which it was summed up."""
    assert msgspec.structs.replace(found, mean=[]) == msgspec.structs.replace(expected, mean=[])
    assert found.mean == pytest.approx(expected.mean, rel=1e-9, abs=1e-9)


def test_series_that_fits_the_budget_is_the_rows_themselves(store):
    """Up to `points` stored values are given as they are, with step 0."""
    times = [NOW_US + index * SECOND for index in range(12)]
    write_rows(store, rows_of([[float(index)] for index in range(12)], times, metrics=("a",)))

    (found,) = store.series("mill", "b1", ["a"], NOW_US, NOW_US + MINUTE, 12)

    assert_same_series(
        found, expected_series("a", list(zip(times, map(float, range(12)), strict=True)), 0)
    )


def test_series_beyond_the_budget_keeps_a_spike_of_one_second(store):
    """One second's spike and dip in an hour are still the maximum and minimum of a bucket."""
    values = [[8.0]] * 3600
    values[1801], values[2703] = [31.5], [-4.25]
    times = [NOW_US + index * SECOND for index in range(3600)]
    for low in range(0, 3600, 500):
        write_rows(store, rows_of(values[low : low + 500], times[low : low + 500], metrics=("a",)))

    (found,) = store.series("mill", "b1", ["a"], NOW_US, NOW_US + 3600 * SECOND, 100)

    assert len(found.times_us) <= 100
    assert (max(found.maximum), min(found.minimum)) == (31.5, -4.25)
    assert sum(found.count) == 3600
    assert all(start % found.step_us == 0 for start in found.times_us)
    spike = found.maximum.index(31.5)
    assert 0 <= times[1801] - found.times_us[spike] < found.step_us


def test_series_takes_only_what_lies_in_the_span(store):
    """Values before the start and at the end count in no bucket, though buckets are aligned."""
    times = [NOW_US + index * 100_000 for index in range(200)]
    readings = [(at, float(index)) for index, at in enumerate(times)]
    write_rows(store, rows_of([[value] for _, value in readings], times, metrics=("a",)))
    start, end = times[7], times[190]

    (found,) = store.series("mill", "b1", ["a"], start, end, 20)

    assert found.step_us > 0
    assert_same_series(found, expected_series("a", readings[7:190], found.step_us))


def test_series_gives_each_metric_asked_in_order(store):
    """Sparse, dense and unknown metrics are given each in its own resolution, in order."""
    times = [NOW_US + index * SECOND for index in range(300)]
    dense = [(at, float(index % 7)) for index, at in enumerate(times)]
    write_rows(
        store,
        rows_of(
            [
                [value, None if index % 60 else float(index)]
                for index, (_, value) in enumerate(dense)
            ],
            times,
            metrics=("dense", "sparse"),
        ),
    )

    found = store.series(
        "mill", "b1", ["unknown", "sparse", "dense"], NOW_US, NOW_US + 300 * SECOND, 50
    )

    assert [series.metric for series in found] == ["unknown", "sparse", "dense"]
    assert found[0].times_us == []
    assert_same_series(
        found[1], expected_series("sparse", [(times[k], float(k)) for k in range(0, 300, 60)], 0)
    )
    assert 0 < len(found[2].times_us) <= 50
    assert_same_series(found[2], expected_series("dense", dense, found[2].step_us))


def test_series_unites_the_devices_of_a_boiler(store):
    """Two devices that measure the same metric make one series; at a tie the greater is last."""
    times = [NOW_US + index * SECOND for index in range(40)]
    one = [(at, 5.0 + index) for index, at in enumerate(times)]
    two = [(at, 50.0 - index) for index, at in enumerate(times)]
    write_rows(
        store,
        rows_of([[value] for _, value in one], times, metrics=("a",), device="esp-01"),
        rows_of([[value] for _, value in two], times, metrics=("a",), device="esp-02"),
    )

    (few,) = store.series("mill", "b1", ["a"], NOW_US, NOW_US + 40 * SECOND, 20)
    (all_of_them,) = store.series("mill", "b1", ["a"], NOW_US, NOW_US + 40 * SECOND, 80)

    assert few.step_us > 0
    assert_same_series(few, expected_series("a", one + two, few.step_us))
    assert_same_series(all_of_them, expected_series("a", one + two, 0))


def test_series_budget_below_ten_is_ten(store):
    """A budget of fewer than ten points is treated as ten."""
    times = [NOW_US + index * SECOND for index in range(10)]
    write_rows(store, rows_of([[1.0]] * 10, times, metrics=("a",)))

    (found,) = store.series("mill", "b1", ["a"], NOW_US, NOW_US + MINUTE, 1)

    assert found.step_us == 0


@pytest.mark.parametrize("seed", range(4))
def test_series_of_random_rows_equals_its_definition(store, seed):
    """Random values, gaps, codes and two devices: every adapter gives the definition's points."""
    draw = random.Random(seed)
    readings: dict[str, list[tuple[int, float]]] = {metric: [] for metric in METRICS}
    for device in ("esp-01", "esp-02"):
        times = sorted(draw.sample(range(NOW_US, NOW_US + 20 * MINUTE), 400))
        values = [
            [None if draw.random() < 0.2 else draw.uniform(-1e6, 1e6) for _ in METRICS]
            for _ in times
        ]
        for low in range(0, 400, 100):
            part = slice(low, low + 100)
            order = draw.sample(range(3), 3)
            columns = tuple(METRICS[column] for column in order)
            shuffled = [[row[column] for column in order] for row in values[part]]
            write_rows(store, rows_of(shuffled, times[part], metrics=columns, device=device))
        for at, row in zip(times, values, strict=True):
            for metric, value in zip(METRICS, row, strict=True):
                if value is not None:
                    readings[metric].append((at, value))
    start = NOW_US + draw.randrange(MINUTE)
    end = NOW_US + 15 * MINUTE + draw.randrange(MINUTE)
    points = draw.choice([10, 33, 200, 10_000])

    found = store.series("mill", "b1", list(METRICS), start, end, points)

    for series in found:
        inside = [(at, value) for at, value in readings[series.metric] if start <= at < end]
        assert (series.step_us == 0) == (len(inside) <= points)
        assert len(series.times_us) <= points
        assert_same_series(series, expected_series(series.metric, inside, series.step_us))


# Batches


def test_batches_are_the_sums_of_their_minutes(store):
    """Flushes of two recorders are summed up by the minute, oldest first."""
    minute = NOW_US // MINUTE * MINUTE
    store.write(Batch(batch_id="b", summary=flush(minute + MINUTE, "2026-11-23_22-11", rows=7)))
    store.write(Batch(batch_id="a", summary=flush(minute)))
    store.write(
        Batch(batch_id="a", summary=flush(minute + 59_999_999, rows=5, lag_ms=900, bytes=100))
    )
    store.write(
        Batch(
            batch_id="a",
            summary=flush(minute, recorder="recorder-1", first_at_us=5, last_at_us=minute + 1),
        )
    )

    first, second = store.batches(minute, minute + 2 * MINUTE)

    assert (first.batch_id, second.batch_id) == (BATCH_ID, "2026-11-23_22-11")
    assert (first.flushes, first.rows, first.messages, first.bytes) == (3, 25, 12, 1900)
    assert (first.quarantined, first.lag_ms_max) == (3, 900)
    assert (first.first_at_us, first.last_at_us) == (5, minute + 59_999_999 - SECOND)
    assert (second.flushes, second.rows) == (1, 7)


def test_batches_flush_written_twice_counts_once(store):
    """The summary of a flush is a point too: writing it again counts nothing twice."""
    for _ in range(2):
        store.write(Batch(batch_id=BATCH_ID, summary=flush(NOW_US)))

    assert [minute.flushes for minute in store.batches(NOW_US - MINUTE, NOW_US + MINUTE)] == [1]


def test_batches_span_is_half_open(store):
    """A flush at the end of the span is not in it."""
    store.write(Batch(batch_id=BATCH_ID, summary=flush(NOW_US)))

    assert store.batches(NOW_US - MINUTE, NOW_US) == []
    assert len(store.batches(NOW_US, NOW_US + 1)) == 1


# What devices say of themselves


def test_statuses_come_back_oldest_first(store):
    """Statuses are read as written, by time; numbers and state may be absent."""
    told = [
        status("state", at_us=NOW_US + 5, state="offline"),
        status("birth"),
        status("diag", at_us=NOW_US + 1, boot=None, conn=None, seq=None, state=None),
    ]
    store.write(Batch(batch_id=BATCH_ID, statuses=told))

    assert store.statuses(NOW_US, NOW_US + 5) == [told[1], told[2]]
    assert store.statuses(NOW_US, NOW_US + 6) == [told[1], told[2], told[0]]


def test_statuses_hostile_body_comes_back_unchanged(store):
    """Whatever text a device sends as its body is stored and read unchanged."""
    told = [status(at_us=NOW_US + index, body=text) for index, text in enumerate(HOSTILE)]
    store.write(Batch(batch_id=BATCH_ID, statuses=told))

    assert store.statuses(NOW_US, NOW_US + DAY) == told


def test_statuses_body_of_64_kib_is_kept_whole(store):
    """The longest message there can be is kept whole, also where each byte needs an escape."""
    told = [status(body="ç" * 32_768), status("diag", body='"\\' * 32_768)]
    store.write(Batch(batch_id=BATCH_ID, statuses=told))

    assert store.statuses(NOW_US, NOW_US + DAY) == told


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=st.text(max_size=300))
def test_statuses_any_text_comes_back_unchanged(store, text):
    """Any Unicode text is read as it was written; lone surrogates become question marks."""
    store.write(Batch(batch_id=BATCH_ID, statuses=[status(body=text)]))

    (found,) = store.statuses(NOW_US, NOW_US + 1)
    assert found.body == text


def test_statuses_lone_surrogate_becomes_a_question_mark(store):
    """Text that UTF-8 cannot carry does not stop the batch."""
    store.write(Batch(batch_id=BATCH_ID, statuses=[status(body="a\ud800b")]))

    assert store.statuses(NOW_US, NOW_US + 1)[0].body == "a?b"


def test_statuses_number_beyond_64_bits_is_refused(store):
    """A device may send any whole number; one that cannot be stored is refused, not fatal."""
    with pytest.raises(Refused):
        store.write(Batch(batch_id=BATCH_ID, statuses=[status(conn=10**30)]))

    store.write(Batch(batch_id=BATCH_ID, statuses=[status(conn=2**63 - 1)]))
    assert len(store.statuses(NOW_US, NOW_US + 1)) == 1


def test_insights_are_taken(store):
    """Insights are written, twice as well, without an error."""
    insight = Insight(
        site="mill", boiler="b1", name="efficiency", at_us=NOW_US, value=88.25, unit="%"
    )

    for _ in range(2):
        store.write(Batch(batch_id=BATCH_ID, insights=[insight]))


# Alarm events


def test_alarm_events_come_back_whole_newest_first(store):
    """Every part of an event is read as written, absent numbers and flags too."""
    events = [
        alarm(1, by="", note=""),
        alarm(2, AlarmState.ACKED, previous=AlarmState.UNACK, by="ana", note="vi", value=None),
        alarm(3, AlarmState.NORMAL, retroactive=True, setpoint=None),
    ]

    write_alarms(store, *events)

    assert read_alarms(store) == events[::-1]


def test_alarm_event_of_no_site_comes_back_whole(store):
    """System alarms belong to no site; they are read like any other."""
    event = alarm(
        1, site="", boiler="_steam", metric="", value=None, setpoint=None, by="", note="", prev=""
    )
    write_alarms(store, event)

    assert read_alarms(store) == [event]
    assert store.alarm_heads() == {"_steam": event}
    assert store.open_alarms() == [event]


def test_alarm_events_written_twice_are_there_once(store):
    """An event is its boiler, definition, state and time: a redelivery adds none."""
    write_alarms(store, alarm(1), alarm(2))
    write_alarms(store, alarm(1), alarm(2))

    assert [event.n for event in read_alarms(store)] == [2, 1]


def test_alarm_events_limit_gives_the_newest(store):
    """At most `limit` events, the newest; at the same time the higher number first."""
    write_alarms(
        store,
        *(alarm(n) for n in range(1, 6)),
        alarm(6, AlarmState.ACKED, at_us=NOW_US + 4 * SECOND),
        alarm(7, definition="level-low", at_us=NOW_US + 4 * SECOND),
    )

    assert [event.n for event in read_alarms(store, limit=2)] == [5, 7]
    assert [event.n for event in read_alarms(store, limit=3)] == [5, 7, 6]
    assert [event.n for event in read_alarms(store)] == [5, 7, 6, 4, 3, 2, 1]


def test_alarm_events_by_boiler_and_span(store):
    """Only the asked boiler's events, only within the half-open span."""
    write_alarms(store, alarm(1), alarm(2, boiler="b2"), alarm(3))
    start, end = NOW_US + SECOND, NOW_US + 3 * SECOND

    assert [event.n for event in store.alarm_events(start, end)] == [2, 1]
    assert [event.n for event in store.alarm_events(start, end, boiler="b1")] == [1]
    assert store.alarm_events(start, end, boiler="b'; --") == []


def test_alarm_events_hostile_note_comes_back_unchanged(store):
    """What an operator writes is stored and read unchanged."""
    events = [alarm(n, note=text, by=text[:20]) for n, text in enumerate(HOSTILE, start=1)]
    write_alarms(store, *events)

    assert read_alarms(store) == events[::-1]


def test_alarm_heads_are_what_was_recorded_last_of_each_boiler(store):
    """The head of a boiler's chain is what was recorded last, whatever the events' times."""
    write_alarms(
        store,
        alarm(1),
        alarm(3, AlarmState.NORMAL, at_us=NOW_US - MINUTE, retroactive=True),
        alarm(2, AlarmState.ACKED),
        alarm(8, boiler="b2"),
        alarm(7, boiler="b2"),
    )

    heads = store.alarm_heads()

    assert {boiler: (head.n, head.hash) for boiler, head in heads.items()} == {
        "b1": (3, "h3"),
        "b2": (8, "h8"),
    }
    assert heads["b1"] == alarm(3, AlarmState.NORMAL, at_us=NOW_US - MINUTE, retroactive=True)


def test_alarm_state_is_that_recorded_last_where_two_writers_numbered_alike(store):
    """A writer that did not see all records may number anew: its later word counts."""
    later_us = NOW_US + 100 * SECOND
    over = alarm(4, AlarmState.NORMAL, at_us=NOW_US + 50 * SECOND, recorded_at_us=later_us)
    raised = alarm(2, definition="level-low", recorded_at_us=later_us - 1)
    write_alarms(store, *(alarm(n) for n in range(1, 10)), over, raised)

    assert store.alarm_heads() == {"b1": over}
    assert store.open_alarms() == [raised]


def test_alarm_heads_of_an_empty_store_are_none(store):
    """No chain, no head, and nothing open."""
    assert store.alarm_heads() == {}
    assert store.open_alarms() == []
    assert read_alarms(store) == []


def test_open_alarms_are_those_whose_newest_event_is_not_normal(store):
    """The event recorded last decides; what was over before it was seen decides nothing."""
    still_open = alarm(2, AlarmState.ACKED, definition="open")
    write_alarms(
        store,
        alarm(1, definition="open"),
        still_open,
        alarm(3, AlarmState.NORMAL, definition="open", retroactive=True),
        alarm(4, definition="over"),
        alarm(5, AlarmState.RTN_UNACK, definition="over"),
        alarm(6, AlarmState.NORMAL, definition="over"),
        alarm(7, definition="retroactive", retroactive=True),
        alarm(8, definition="open", boiler="b2", at_us=NOW_US - MINUTE),
    )

    assert store.open_alarms() == [
        alarm(8, definition="open", boiler="b2", at_us=NOW_US - MINUTE),
        still_open,
    ]


# Set-up


def test_store_before_init_is_misconfigured(new_store):
    """Writing and reading before `steam store init` ask a person to run it."""
    store = new_store()

    with pytest.raises(Misconfigured, match="init"):
        store.write(Batch(batch_id=BATCH_ID, rows=[rows_of([[1.0]], [NOW_US], metrics=("a",))]))
    with pytest.raises(Misconfigured, match="init"):
        store.latest("mill", "b1")
    with pytest.raises(Misconfigured, match="init"):
        store.alarm_heads()
    with pytest.raises(Misconfigured, match="init"):
        store.check()


def test_init_again_changes_nothing_and_says_so(new_store):
    """The first init tells what it made, the second has nothing to tell and keeps the data."""
    store = new_store()
    assert store.init(FOR_EVER) != []
    write_rows(store, rows_of([[1.0]], [NOW_US], metrics=("a",)))

    assert store.init(FOR_EVER) == []
    assert len(read_rows(store)) == 1


def test_init_with_another_retention_alters_it_and_says_so(store):
    """A changed retention is one sentence each; it holds from then on."""
    changed = Retention(raw_days=None, rollup_days=400, events_days=None)

    assert len(store.init(changed)) == 1
    assert store.init(changed) == []
    assert len(store.init(FOR_EVER)) == 1


def test_check_names_the_server(store):
    """A store that is ready tells what it is."""
    assert store.check()


def test_written_data_is_there_for_another_store(store, new_store):
    """What one process wrote another one reads."""
    write_rows(store, rows_of([[1.0]], [NOW_US], metrics=("a",)))
    write_alarms(store, alarm(1))
    store.close()

    other = new_store()

    assert len(read_rows(other)) == 1
    assert read_alarms(other) == [alarm(1)]
