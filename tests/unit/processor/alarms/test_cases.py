"""The cases that plant people write: folders of data, each run from its first line to its last."""

import json
from pathlib import Path

import pytest

from bridge.plant import load_plant
from processor.alarms.journal import verify
from tests.unit.processor.alarms.sending import START_MS, Sender, data

CASES = Path(__file__).parents[3] / "cases" / "alarms"
NOT_METRICS = {"at", "arrives", "bad", "acknowledge"}


def lines(path: Path) -> list[dict]:
    """The objects of a .jsonl file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def message_of(line: dict, seq: int):
    """The data message of one line."""
    metrics = tuple(name for name in line if name not in NOT_METRICS)
    bad = {f"0,{metrics.index(name)}": 0 for name in line.get("bad", ())}
    values = tuple(line[name] for name in metrics)
    return data(seq, values, at=line["at"], metrics=metrics, quality=bad or None)


def steps(readings: list[dict]) -> list[tuple[float, dict, object]]:
    """(moment of arrival, line, message or None), in the order of arrival."""
    rows = [line for line in readings if set(line) - NOT_METRICS]
    rows.sort(key=lambda line: line["at"])
    messages = {id(line): message_of(line, seq) for seq, line in enumerate(rows, start=1)}
    found = [(line.get("arrives", line["at"]), line, messages.get(id(line))) for line in readings]
    return sorted(found, key=lambda step: step[0])


def run(folder: Path) -> Sender:
    """Let a case happen, with a tick every quarter of a second."""
    sender = Sender(load_plant(folder / "plant.yaml"))
    ticks = 0
    for moment, line, message in steps(lines(folder / "readings.jsonl")):
        while ticks * 0.25 < moment:
            sender.tick(at=ticks * 0.25)
            ticks += 1
        if message is not None:
            send = sender.hist if "arrives" in line else sender.send
            send(message, at=moment)
        elif "acknowledge" in line:
            sender.acknowledge(line["acknowledge"], at=moment)
        sender.tick(at=moment)
    return sender


def test_cases_are_there():
    """The folder is found, so that no case is silently left out."""
    assert len([folder for folder in CASES.iterdir() if folder.is_dir()]) >= 8


@pytest.mark.parametrize("folder", sorted(CASES.glob("*/")), ids=lambda folder: folder.name)
def test_case_gives_its_expected_transitions(folder):
    """The journal holds exactly the expected transitions, in order, and its chain proves it."""
    sender = run(folder)

    found = []
    for event in sender.events:
        at = (event.at_us // 1000 - START_MS) / 1000
        line = {"at": at, "definition": event.definition, "state": event.state.value}
        found.append(line | ({"retroactive": True} if event.retroactive else {}))
    assert found == lines(folder / "expected_transitions.jsonl")
    assert verify(sender.events) == []
