"""Line protocol: what is encoded reads back as what was meant."""

import math
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import series
from bridge.records import (
    AlarmEvent,
    AlarmState,
    Batch,
    BatchSummary,
    DeviceStatus,
    Insight,
    Rows,
)

BATCH_ID = "2026-11-23_22-10"
AT_US = 1_795_471_800_123_456

names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,31}", fullmatch=True)
metric_names = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True).filter(
    lambda name: not name.endswith("_q") and name not in series.RESERVED_FIELDS
)
floats = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8"), max_size=200)
times = st.integers(0, 2**52)


class Point(NamedTuple):
    """One point as InfluxDB would understand the line."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, float | int | str | bool]
    time_us: int


def parse(body: bytes) -> list[Point]:
    """Read line protocol, character by character, after InfluxDB's reference."""
    text, points, at = body.decode("utf-8"), [], 0
    while at < len(text):
        measurement, at = _word(text, at, ", ")
        tags: dict[str, str] = {}
        while text[at] == ",":
            key, at = _word(text, at + 1, "=")
            tags[key], at = _word(text, at + 1, ", ")
        fields: dict[str, float | int | str | bool] = {}
        at += 1
        while True:
            key, at = _word(text, at, "=")
            fields[key], at = _value(text, at + 1)
            if text[at] == " ":
                break
            assert text[at] == ","
            at += 1
        end = text.index("\n", at)
        points.append(Point(measurement, tags, fields, int(text[at + 1 : end])))
        at = end + 1
    return points


def _word(text: str, at: int, ends: str) -> tuple[str, int]:
    found = ""
    while text[at] not in ends:
        if text[at] == "\\" and text[at + 1] in ",= ":
            at += 1
        found += text[at]
        at += 1
    return found, at


def _value(text: str, at: int) -> tuple[float | int | str | bool, int]:
    if text[at] == '"':
        found, at = "", at + 1
        while text[at] != '"':
            if text[at] == "\\" and text[at + 1] in '"\\':
                at += 1
            found += text[at]
            at += 1
        return found, at + 1
    end = at
    while text[end] not in ", ":
        end += 1
    word = text[at:end]
    if word in ("true", "false"):
        return word == "true", end
    return (int(word[:-1]) if word.endswith("i") else float(word)), end


def rows_of(values, metrics=("steam_pressure", "water_level"), times_us=None, quality=None) -> Rows:
    return Rows(
        site="mill",
        boiler="b1",
        device="esp-01",
        boot=1,
        seq=5,
        metrics=tuple(metrics),
        times_us=times_us or [AT_US + index for index in range(len(values))],
        values=values,
        quality=quality or {},
    )


def test_encode_rows_writes_the_documented_line():
    """One row is one line: tags in alphabetical order, floats, codes, batch_id, boot and seq."""
    rows = rows_of([[7.93, None], [8.0, 51.5]], quality={(0, 0): 80})

    assert series.encode_rows(rows, BATCH_ID) == (
        b"boiler,boiler=b1,device=esp-01,site=mill steam_pressure=7.93,steam_pressure_q=80i,"
        b'batch_id="2026-11-23_22-10",boot=1i,seq=5i 1795471800123456\n'
        b"boiler,boiler=b1,device=esp-01,site=mill steam_pressure=8.0,water_level=51.5,"
        b'batch_id="2026-11-23_22-10",boot=1i,seq=5i 1795471800123457\n'
    )


@given(
    site=names,
    boiler=names,
    device=names,
    metrics=st.lists(metric_names, min_size=1, max_size=8, unique=True),
    boot=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_encode_rows_reads_back_exactly(site, boiler, device, metrics, boot, data):
    """Every value of every row is read back as the same float, in its place and time."""
    count = data.draw(st.integers(1, 4))
    cells = st.one_of(st.none(), floats)
    values = [
        data.draw(st.lists(cells, min_size=len(metrics), max_size=len(metrics)))
        for _ in range(count)
    ]
    places = st.tuples(st.integers(0, count - 1), st.integers(0, len(metrics) - 1))
    quality = data.draw(st.dictionaries(places, st.integers(0, 192), max_size=3))
    times_us = data.draw(st.lists(times, min_size=count, max_size=count, unique=True))
    rows = Rows(
        site=site,
        boiler=boiler,
        device=device,
        boot=boot,
        seq=7,
        metrics=tuple(metrics),
        times_us=times_us,
        values=values,
        quality=quality,
    )

    points = parse(series.encode_rows(rows, BATCH_ID))

    for index, point in enumerate(points):
        assert point.measurement == "boiler"
        assert point.tags == {"site": site, "boiler": boiler, "device": device}
        assert point.time_us == times_us[index]
        expected = {"batch_id": BATCH_ID, "boot": boot, "seq": 7}
        for column, metric in enumerate(metrics):
            if values[index][column] is not None:
                expected[metric] = values[index][column]
            if (index, column) in quality:
                expected[f"{metric}_q"] = quality[index, column]
        assert point.fields == expected
    assert len(points) == count


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_encode_rows_leaves_out_what_is_no_number(value):
    """NaN, infinity and None are no field; the row keeps its batch_id, boot and seq."""
    (point,) = parse(series.encode_rows(rows_of([[value, value]]), BATCH_ID))

    assert point.fields == {"batch_id": BATCH_ID, "boot": 1, "seq": 5}


def test_encode_rows_takes_whole_numbers_as_floats():
    """An int among the values is a float field: no `i`, so that the field keeps its type."""
    (point,) = parse(series.encode_rows(rows_of([[8, 51]]), BATCH_ID))

    assert type(point.fields["steam_pressure"]) is float


def test_encode_rows_with_a_percent_sign_in_a_name_is_not_a_template():
    """A name with a percent sign reads back as it is."""
    (point,) = parse(series.encode_rows(rows_of([[1.5]], metrics=("%b %d",)), BATCH_ID))

    assert point.fields["%b %d"] == 1.5


@given(texts, texts)
def test_encode_status_text_reads_back_unchanged(body, state):
    """Quotes, backslashes and newlines in a body do not leave their field."""
    status = DeviceStatus(
        site="mill",
        device="esp-01",
        kind="event",
        at_us=AT_US,
        boot=None,
        conn=2,
        seq=None,
        state=state,
        body=body,
    )

    (point,) = parse(series.encode_status(status, BATCH_ID))

    assert point.tags == {"device": "esp-01", "kind": "event", "site": "mill"}
    assert point.fields == {"batch_id": BATCH_ID, "body": body, "conn": 2, "state": state}


@given(
    st.builds(
        AlarmEvent,
        id=texts,
        site=names,
        boiler=names,
        definition=names,
        type=texts,
        metric=texts,
        state=st.sampled_from(AlarmState),
        previous=st.sampled_from(AlarmState),
        priority=st.integers(1, 4),
        at_us=times,
        recorded_at_us=times,
        value=st.one_of(st.none(), floats),
        setpoint=st.one_of(st.none(), floats),
        retroactive=st.booleans(),
        by=texts,
        note=texts,
        n=st.integers(0, 2**53),
        prev=texts,
        hash=texts,
    )
)
def test_encode_alarm_event_reads_back_whole(event):
    """Every part of an event is a tag or a field of its own type."""
    (point,) = parse(series.encode_alarm_event(event))

    fields = {"value": None, "setpoint": None} | point.fields
    assert AlarmEvent(at_us=point.time_us, **_with_states(point.tags | fields)) == event
    assert type(fields["retroactive"]) is bool


def _with_states(cells):
    return cells | {name: AlarmState(cells[name]) for name in ("state", "previous")}


def test_encode_raw_and_events_part_a_batch_by_bucket():
    """Rows, statuses, insights and the summary go to raw; alarm events alone to events."""
    event = AlarmEvent(
        id="x",
        site="mill",
        boiler="b1",
        definition="d",
        type="HI",
        metric="m",
        state=AlarmState.UNACK,
        previous=AlarmState.NORMAL,
        priority=1,
        at_us=AT_US,
        recorded_at_us=AT_US,
    )
    batch = Batch(
        batch_id=BATCH_ID,
        rows=[rows_of([[1.0, 2.0]])],
        insights=[
            Insight(site="mill", boiler="b1", name="efficiency", at_us=AT_US, value=88, unit="%")
        ],
        alarm_events=[event],
        summary=BatchSummary(
            batch_id=BATCH_ID,
            recorder="r 0,a=b",
            at_us=AT_US,
            rows=1,
            messages=1,
            bytes=200,
            quarantined=0,
            lag_ms=-3,
            first_at_us=AT_US,
            last_at_us=AT_US,
        ),
    )

    raw, events = parse(series.encode_raw(batch)), parse(series.encode_events(batch.alarm_events))

    assert [point.measurement for point in raw] == ["boiler", "insight", "batch"]
    assert raw[1].fields == {"batch_id": BATCH_ID, "unit": "%", "value": 88.0}
    assert type(raw[1].fields["value"]) is float
    assert raw[2].tags == {"recorder": "r 0,a=b"}
    assert raw[2].fields["lag_ms"] == -3
    assert [point.measurement for point in events] == ["alarm_event"]


@pytest.mark.parametrize("text", ["", "a\\", "a\nb", "\x00", "\ud800", "\x7f"])
def test_escape_tag_refuses_what_line_protocol_cannot_carry(text):
    """An empty tag, a backslash or a control character is refused, not silently changed."""
    with pytest.raises(ValueError, match="cannot be a tag"):
        series.escape_tag(text)


def test_bucket_has_one_name_for_both_versions():
    """The bucket's name is database and retention policy with a slash."""
    assert series.bucket(series.RAW) == "steam/raw"
    assert series.bucket(series.EVENTS, "test") == "test/events"
