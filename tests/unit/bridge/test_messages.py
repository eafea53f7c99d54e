"""Decoding of the wire contract: what is taken in, and why the rest is refused."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.clock import to_us
from bridge.messages import Data, Event, Reason, Refused, TimeBounds, decode
from bridge.topics import Kind

T_MS = 1_760_000_000_000


def payload(**changes):
    message = {
        "v": 1,
        "b": 3,
        "n": 1_234,
        "up": 5_000,
        "t": T_MS,
        "ts": 2,
        "k": ["steam_pressure", "water_level"],
        "r": [[0, 7.93, 51.0], [1000, None, 52]],
    }
    message.update(changes)
    return json.dumps({k: v for k, v in message.items() if v is not ...}).encode()


def refusal(body, kind=Kind.DATA):
    with pytest.raises(Refused) as caught:
        decode(kind, body)
    return caught.value


def test_data_well_formed_is_decoded_with_its_values():
    """A good message keeps every value; null is no value and a whole number is a float."""
    data = decode(Kind.DATA, payload())

    assert isinstance(data, Data)
    assert data.r == [[0, 7.93, 51.0], [1000, None, 52.0]]


def test_data_row_time_is_a_pure_function_of_the_message():
    """A row's time is (t + dt) in ms, made unique by the last three digits of seq."""
    data = decode(Kind.HIST, payload())

    assert data.times_us() == [T_MS * 1000 + 234, (T_MS + 1000) * 1000 + 234]


@pytest.mark.parametrize(
    "body",
    [
        b'{"v":1,"s":"online","boot":1,"conn":1,"x":"\xff"}',
        b'{"v":1,"s":"online","boot":1,"conn":1,"\xff":1}',
        b'{"v":1,"s":"online","boot":1,"conn":1,"x":{"y":["\xed\xa0\x80"]}}',
    ],
)
def test_message_not_utf8_in_an_unknown_key_is_malformed(body):
    """The whole payload is UTF-8, keys that this version does not know included."""
    refused = refusal(body, Kind.STATE)

    assert refused.reason is Reason.MALFORMED
    assert "not UTF-8 at byte" in refused.detail


def test_message_with_unknown_keys_in_utf8_is_taken():
    """An unknown key with text beyond ASCII is skipped."""
    body = '{"v":1,"s":"online","boot":1,"conn":1,"x":"caldeira nº 1"}'.encode()

    assert decode(Kind.STATE, body).s == "online"


def test_data_quality_is_read_by_row_and_column():
    """`q` maps "row,column" to the codes that are not good."""
    assert decode(Kind.DATA, payload(q={"1,0": 24})).quality() == {(1, 0): 24}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", Reason.MALFORMED),
        (b"\xff\xfe", Reason.MALFORMED),
        (b"[" * 60_000, Reason.MALFORMED),
        (b"null", Reason.MALFORMED),
        (payload().replace(b"7.93", b"NaN"), Reason.MALFORMED),
        (payload().replace(b"7.93", b"1e999"), Reason.MALFORMED),
        (payload().replace(b"7.93", b"true"), Reason.MALFORMED),
        (payload().replace(b"7.93", b'"7.93"'), Reason.MALFORMED),
        (payload(v=2), Reason.UNKNOWN_VERSION),
        (payload(v=True), Reason.UNKNOWN_VERSION),
        (payload(v=...), Reason.UNKNOWN_VERSION),
        (payload(t=...), Reason.CLOCK_UNKNOWN),
        (payload(t=None), Reason.CLOCK_UNKNOWN),
        (payload(ts=0), Reason.MALFORMED),
        (payload(b=-1), Reason.MALFORMED),
        (payload(n=2**32), Reason.MALFORMED),
        (payload(t=-5), Reason.MALFORMED),
        (payload(r=[]), Reason.MALFORMED),
        (payload(r=[[0, 1.0]]), Reason.MALFORMED),
        (payload(r=[[0, 1.0, 2.0], [0, 1.0, 2.0]]), Reason.MALFORMED),
        (payload(r=[[0.5, 1.0, 2.0]]), Reason.MALFORMED),
        (payload(r=[[None, 1.0, 2.0]]), Reason.MALFORMED),
        (payload(r=[[i, 1.0, 2.0] for i in range(501)]), Reason.MALFORMED),
        (payload(k=["steam_pressure", "steam_pressure"]), Reason.MALFORMED),
        (payload(k=["Steam Pressure", "x"]), Reason.MALFORMED),
        (payload(k=["steam_pressure", "water_level_q"]), Reason.MALFORMED),
        (payload(q={"2,0": 0}), Reason.MALFORMED),
        (payload(q={"0,2": 0}), Reason.MALFORMED),
        (payload(q={"0,0": 193}), Reason.MALFORMED),
        (payload(q={"x": 0}), Reason.MALFORMED),
        (b" " * 65_537, Reason.OVERSIZE),
    ],
)
def test_data_at_fault_is_refused_with_its_reason(body, reason):
    """Each fault of a data message is refused with the reason of the closed list."""
    assert refusal(body).reason is reason


def test_refusal_says_what_was_wrong_in_words():
    """A refusal tells a person what to look at."""
    assert "row 1" in refusal(payload(r=[[0, 1.0, 2.0], [0, 1.0, 2.0]])).detail


def test_event_without_time_is_refused_as_clock_unknown():
    """An event must be dated by its device, like a row."""
    body = json.dumps({"v": 1, "b": 1, "n": 1, "up": 1, "ev": "reset", "d": {}}).encode()

    assert refusal(body, Kind.EVENT).reason is Reason.CLOCK_UNKNOWN


def test_event_well_formed_is_decoded():
    """An event keeps its details."""
    message = {"v": 1, "b": 1, "n": 7, "up": 1, "t": T_MS, "ev": "loss", "d": {"count": 3}}

    event = decode(Kind.EVENT, json.dumps(message).encode())

    assert isinstance(event, Event)
    assert event.d == {"count": 3}


@given(st.binary(max_size=300), st.sampled_from(list(Kind)))
def test_decode_any_bytes_raises_nothing_but_refused(body, kind):
    """Whatever arrives is decoded or refused; no other exception leaves the decoder."""
    with suppress(Refused):
        decode(kind, body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=12,
    ),
    st.sampled_from(["v", "b", "n", "up", "t", "ts", "k", "r", "q"]),
)
def test_decode_any_json_in_any_field_raises_nothing_but_refused(value, field):
    """Any JSON value in any field of a good message is decoded or refused."""
    with suppress(Refused):
        decode(Kind.DATA, payload(**{field: value}))


NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def test_times_up_to_five_minutes_ahead_are_taken():
    """A clock that is a little ahead is believed."""
    TimeBounds.at(NOW, None).check([to_us(NOW + timedelta(minutes=5))])


def test_times_beyond_five_minutes_ahead_are_refused():
    """A row of the future is refused with how far ahead it is."""
    with pytest.raises(Refused) as caught:
        TimeBounds.at(NOW, None).check([to_us(NOW + timedelta(minutes=5, seconds=1))])

    assert caught.value.reason is Reason.FUTURE_TIME
    assert "301 s" in caught.value.detail


def test_times_older_than_the_retention_are_refused():
    """A row that the bucket would not keep is refused."""
    kept = timedelta(days=90)

    with pytest.raises(Refused) as caught:
        TimeBounds.at(NOW, kept).check([to_us(NOW - kept) - 1, to_us(NOW)])

    assert caught.value.reason is Reason.ANCIENT_TIME


@pytest.mark.parametrize("row", ["[0,1.5e308,1]", "[0,null,-1e101]", "[0,-1.5e308,1.5e308]"])
def test_reading_that_no_instrument_gives_is_malformed(row):
    """Their sums would be no numbers, and a store's roll-ups of everybody would fail."""
    body = f'{{"v":1,"b":1,"n":1,"up":1,"t":1795392000000,"ts":2,"k":["a","b"],"r":[{row}]}}'

    with pytest.raises(Refused, match="none is beyond 1e\\+100"):
        decode(Kind.DATA, body.encode())
