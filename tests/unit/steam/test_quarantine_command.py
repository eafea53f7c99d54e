"""`steam quarantine` over the file of one machine: seen, exported, dropped."""

import base64
import re

import msgspec
import pytest
from typer.testing import CliRunner

from bridge.messages import Reason
from processor.adapters.sqlite_quarantine import SqliteQuarantine
from processor.quarantine import BadMessage
from steam.commands.quarantine import app
from steam.console import visible
from steam.desk import QUARANTINE_FILE

HOSTILE = b'\x1b]0;owned\x07\x1b[2J{"v":1}\n\xff second line'


@pytest.fixture
def run(tmp_path):
    config = tmp_path / "steam.yaml"
    config.write_text("plant: plant.yaml\n")
    (tmp_path / "data").mkdir()
    quarantine = SqliteQuarantine(tmp_path / "data" / QUARANTINE_FILE)
    quarantine.open()
    quarantine.put(
        [
            BadMessage(
                routing_key="steam.v1.mill.dev1.data",
                body=HOSTILE,
                reason=Reason.MALFORMED,
                detail="not JSON \x1b[31mred",
                at_us=1_795_435_200_000_000,
            ),
            BadMessage(
                routing_key="steam.v1.mill.dev2.data",
                body=b"{}",
                reason=Reason.UNKNOWN_METRIC,
                detail="x",
                at_us=1_795_435_201_000_000,
            ),
        ]
    )
    quarantine.close()

    def run(*arguments, expect=0):
        done = CliRunner().invoke(app, [*map(str, arguments), "--config", str(config)])
        assert done.exit_code == expect, done.output
        return done.output

    return run


def listed(run, *options):
    return msgspec.json.decode(run("list", "--json", *options))


def test_list_chooses_by_device_reason_and_place(run):
    """Each option leaves out what it does not name."""
    assert len(listed(run)) == 2
    assert [each["reason"] for each in listed(run, "--device", "dev2")] == ["unknown_metric"]
    assert len(listed(run, "--reason", "malformed")) == 1
    assert listed(run, "--place", "dead") == []


def test_show_writes_no_control_character_of_the_message(run):
    """What a device sent cannot speak to the terminal."""
    identity = listed(run, "--device", "dev1")[0]["id"]

    for text in (run("show", identity), run("list")):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    assert r"\x1b]0;owned\x07" in run("show", identity)


def test_export_writes_every_byte(run, tmp_path):
    """The file holds what came, in base64, and nothing is removed."""
    file = tmp_path / "evidence.jsonl"

    run("export", file)

    bodies = [
        base64.b64decode(msgspec.json.decode(line)["body"])
        for line in file.read_bytes().splitlines()
    ]
    assert bodies == [HOSTILE, b"{}"]
    assert len(listed(run)) == 2


def test_drop_removes_one_message(run):
    """Only the one that was named; a second time there is none."""
    identity = listed(run, "--device", "dev1")[0]["id"]

    run("drop", identity, "--yes")

    assert [each["routing_key"] for each in listed(run)] == ["steam.v1.mill.dev2.data"]
    run("drop", identity, "--yes", expect=1)


def test_retry_of_everything_must_be_asked_for(run):
    """Without saying which, nothing is sent again."""
    run("retry", expect=2)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("nº 1 — ✓", "nº 1 — ✓"), ("a\x1bb", r"a\x1bb"), ("a\u202eb", r"a\u202eb"), ("\t", r"\t")],
)
def test_visible_escapes_what_a_terminal_obeys(text, shown):
    """Letters of any language stay; control and direction characters are escapes."""
    assert visible(text) == shown
