"""`steam device command`: what is asked for, and how an answer is shown."""

from inspect import signature

import msgspec
import pytest
from typer.testing import CliRunner

from bridge.clock import utc_now
from bridge.device_commands import MOST_BYTES, Commander, CommandRefused, DeviceFault, NoAnswer
from bridge.messages import Ack, Cmd
from device.steamlink import mqtt
from steam.commands import device_command
from steam.commands.device import app

PLANT = "sites: [{name: s}]\nboilers: [{name: b1, site: s}]\ndevices: [{name: d1, site: s, boiler: b1}]\n"
NOW_S = 1_795_000_000


class Line:
    """Answers every command with `res`, and keeps what was asked."""

    def __init__(self, res):
        self.res = res
        self.asked = []

    def ask(self, cmd, wait_s):
        self.asked.append((cmd, wait_s))
        return Ack(v=1, id=cmd.id, ok=True, res=self.res)


@pytest.fixture
def line(tmp_path, monkeypatch):
    from datetime import UTC, datetime

    line = Line({"fw": "0.2.0"})

    def commander_of(settings, name, wait_s):
        return Commander(name, line, lambda: datetime.fromtimestamp(NOW_S, UTC), wait_s)

    monkeypatch.setattr(device_command, "commander_of", commander_of)
    (tmp_path / "steam.yaml").write_text("plant: plant.yaml\n")
    (tmp_path / "plant.yaml").write_text(PLANT)
    monkeypatch.chdir(tmp_path)
    return line


def run(*arguments, expect=0, stdin=None):
    done = CliRunner().invoke(app, ["command", "d1", *arguments], input=stdin)
    assert done.exit_code == expect, done.output
    return done.output


def test_command_carries_arguments_and_expires_after_the_wait(line):
    """What is sent is of the contract, and dies 5 s after nobody waits any more."""
    run("replay", "--args", '{"from": 1, "to": 2}', "--wait", "7")

    ((cmd, wait_s),) = line.asked
    assert msgspec.json.decode(msgspec.json.encode(cmd), type=Cmd) == cmd
    assert (cmd.op, cmd.args, wait_s) == ("replay", {"from": 1, "to": 2}, 7)
    assert cmd.exp == (NOW_S + 7 + 5) * 1000


def test_arguments_come_from_standard_input_too(line):
    """So that a secret stands in no history of a shell."""
    run("patch_config", "--args", "-", stdin='{"wifi": {"password": "geheim 1"}}')

    assert line.asked[0][0].args == {"wifi": {"password": "geheim 1"}}


def test_command_longer_than_a_device_takes_is_refused(line):
    """The device could not even answer: it reads past such a packet."""
    note = {"sensors": [{"kind": "x" * 100}] * 80}

    told = run("patch_config", "--args", msgspec.json.encode(note).decode(), expect=1)

    assert "a device takes 8064; send less at once" in told
    assert line.asked == []


def test_longest_command_fits_into_a_packet_of_a_device(line):
    """With the longest of topics, and what MQTT puts before it."""
    for filler in range(7_000, 8_200):
        try:
            Commander("d1", line, utc_now).do("patch_config", {"a": "x" * filler})
        except CommandRefused:
            break

    longest = max(len(msgspec.json.encode(cmd)) for cmd, _ in line.asked)
    topic = f"steam/v1/{'s' * 32}/{'d' * 32}/cmd"
    assert longest == MOST_BYTES
    assert 2 + len(topic) + 2 + longest <= signature(mqtt.Client).parameters["max_packet"].default


def test_time_is_sent_without_being_typed(line):
    """A device without a clock is given this machine's."""
    run("time")

    assert line.asked[0][0].args["utc"] > 1_700_000_000_000


def test_answer_is_json_without_control_characters(line):
    """What a device says cannot speak to the terminal."""
    line.res = {"lines": ["\x1b]0;owned\x07", "água"]}

    told = run("log")

    assert "\x1b" not in told
    assert "\x07" not in told
    assert msgspec.json.decode(told) == line.res


def test_refusal_is_told_without_control_characters(line, monkeypatch):
    """Neither a title for the terminal nor a line that looks like ours."""

    def ask(cmd, wait_s):
        return Ack(v=1, id=cmd.id, ok=False, err="\x1b]0;owned\x07no\nall is well\u202e")

    monkeypatch.setattr(line, "ask", ask)

    told = run("log", expect=1)

    assert "refused log: \\x1b]0;owned\\x07no\\nall is well\\u202e" in told
    assert len(told.splitlines()) == 1


def test_fault_with_words_of_a_device_is_told_without_control_characters(line, monkeypatch):
    """Whatever else it said: its board, its log."""

    def ask(cmd, wait_s):
        raise DeviceFault("d1 is a \x1b[2Jboard;\nthis is the second line")

    monkeypatch.setattr(line, "ask", ask)

    assert run("log", expect=1) == "d1 is a \\x1b[2Jboard;\nthis is the second line\n"


@pytest.mark.parametrize("text", ["{", "[]", "7", "[" * 100_000])
def test_arguments_that_are_no_object_are_refused(line, text):
    """Nothing is sent."""
    assert "no JSON object" in run("replay", "--args", text, expect=1)
    assert line.asked == []


def test_commander_tells_refusal_and_silence_apart():
    """A device's own words, or that there were none."""

    class Refusing:
        def ask(self, cmd, wait_s):
            return Ack(v=1, id=cmd.id, ok=False, err="expired")

    class Silent:
        def ask(self, cmd, wait_s):
            return None

    with pytest.raises(CommandRefused, match="d1 refused log: expired"):
        Commander("d1", Refusing(), utc_now).do("log")
    with pytest.raises(NoAnswer, match="d1 did not answer within 10 s"):
        Commander("d1", Silent(), utc_now).do("log")


def test_command_for_a_device_that_plant_does_not_know_is_refused(tmp_path, monkeypatch):
    """An unregistered device's answers belong into quarantine: it is not asked."""
    (tmp_path / "steam.yaml").write_text("plant: plant.yaml\n")
    (tmp_path / "plant.yaml").write_text(PLANT.replace("name: d1,", "name: d7,"))
    monkeypatch.chdir(tmp_path)

    assert "has no device 'd1'" in run("log", expect=1)
