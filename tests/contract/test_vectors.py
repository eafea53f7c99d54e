"""Golden vectors bind both sides of the contract: what a device encodes, the processor decodes."""

import json
from pathlib import Path

import msgspec
import pytest

from bridge.messages import Cmd, decode
from bridge.topics import parse_routing_key, routing_key_of
from device.steamlink import codec

CASES = sorted((Path(__file__).parents[1] / "cases" / "contract").glob("*.json"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_vector_is_decoded_as_the_kind_it_is(path):
    """Every payload of the device side is a message of its kind, and loses nothing on the way."""
    case = json.loads(path.read_text(encoding="utf-8"))
    topic = parse_routing_key(case["routing_key"])

    message = decode(topic.kind, case["payload"].encode())

    assert routing_key_of(case["topic"]) == case["routing_key"]
    assert topic.kind.value == case["kind"]
    said = {name: value for name, value in json.loads(case["payload"]).items() if value is not None}
    understood = json.loads(msgspec.json.encode(message))
    assert {name: understood[name] for name in said} == said


def test_command_of_the_processor_is_understood_by_the_device():
    """What the processor sends as a command, the device's codec decodes."""
    cmd = Cmd(v=1, id="c-1", op="time", args={"utc": 1_760_000_000_000}, exp=1_760_000_060_000)

    command = codec.decode_cmd(msgspec.json.encode(cmd))

    assert (command.id, command.op, command.args["utc"]) == ("c-1", "time", 1_760_000_000_000)
    assert command.expires_ms == 1_760_000_060_000
