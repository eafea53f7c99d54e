"""A device's answers to commands, its numbers and its clock."""

import json

import pytest

from device.sim.session import Identity, MetricDescription, Session
from device.steamlink import codec

NOW_MS = 1_795_392_000_000


def session(**changes) -> Session:
    """A session that has sent three data messages."""
    identity = Identity(
        site="plant",
        device="b01",
        metrics=[
            MetricDescription(name="oxygen", unit="%", decimals=1, low=0, high=21, period_ms=1000)
        ],
    )
    made = Session(identity, **({"boot": 7, "offset_ms": NOW_MS} | changes))
    for second in range(3):
        made.up_ms = 1000 * (second + 1)
        made.data(["oxygen"], [[0, 3.5]], utc_ms=NOW_MS + made.up_ms)
    return made


def answer(to: Session, op: str, args=None, *, id_="c1", exp=NOW_MS + 60_000):
    """Give a command; the ack as a dict, the other messages, the backlog."""
    command = json.dumps({"v": 1, "id": id_, "op": op, "args": args or {}, "exp": exp}).encode()
    now, later = to.answer(command, 4, (7, 2))
    return json.loads(now[0].payload), now[1:], later


def test_session_numbers_data_and_events_together():
    """Data and events of a boot share one count that starts at 1."""
    made = session()

    event = made.event("reset", {"reason": "watchdog"}, up_ms=4000, utc_ms=NOW_MS + 4000)

    assert (event.boot, event.seq) == (7, 4)
    assert json.loads(event.payload)["n"] == 4


def test_session_restart_counts_boot_and_begins_again():
    """After a restart boot is higher, seq and uptime begin again, the birth gives the reason."""
    made = session()

    made.restart("watchdog", NOW_MS + 9000)
    birth = json.loads(made.birth(1, None).payload)

    assert (birth["boot"], birth["up"], birth["t"], birth["reset"]) == (
        8,
        0,
        NOW_MS + 9000,
        "watchdog",
    )
    assert made.data(["oxygen"], [[0, 3.5]], utc_ms=NOW_MS).seq == 1


def test_command_time_sets_an_unknown_clock():
    """A device without a clock says so, takes the time, and dates by it from then on."""
    made = session(offset_ms=None)
    before = json.loads(made.birth(1, None).payload)

    ack, _, _ = answer(made, "time", {"utc": NOW_MS + 50_000}, exp=0)
    after = json.loads(made.birth(1, None).payload)

    assert (before["clock"], before["t"]) == (0, None)
    assert (ack["ok"], ack["res"]) == (True, {"utc": NOW_MS + 50_000})
    assert (after["clock"], after["t"]) == (1, NOW_MS + 50_000)


def test_command_rebirth_births_again_on_the_same_connection():
    """The birth asked for carries the connection and the oldest stored number."""
    ack, now, _ = answer(session(), "rebirth")

    birth = json.loads(now[0].payload)
    assert ack["ok"] is True
    assert now[0].kind == "birth"
    assert (birth["conn"], birth["oldest"]) == (4, [7, 2])


def test_command_identify_says_who():
    """The answer names site, device, firmware and boot."""
    ack, _, _ = answer(session(), "identify")

    assert ack["res"]["device"] == "b01"
    assert ack["res"]["boot"] == 7


def test_command_replay_gives_the_same_bytes_again():
    """Stored messages come again byte for byte; what is no longer there is counted."""
    made = session()

    ack, _, later = answer(made, "replay", {"from": 2, "to": 5})

    assert ack["res"] == {"count": 2, "missing": 2}
    assert [(message.boot, message.seq) for message in later] == [(7, 2), (7, 3)]
    assert json.loads(later[0].payload)["n"] == 2


def test_command_repeated_gets_its_first_answer():
    """A command delivered twice (QoS 1) is carried out once."""
    made = session()
    first, births, _ = answer(made, "rebirth")

    again, nothing, _ = answer(made, "rebirth")

    assert again == first
    assert (len(births), nothing) == (1, [])


@pytest.mark.parametrize(
    ("op", "args", "exp", "words"),
    [
        ("rebirth", {}, NOW_MS, "expired"),
        ("time", {"utc": "noon"}, NOW_MS, "milliseconds"),
        ("replay", {"from": 1}, NOW_MS + 60_000, "numbers"),
        ("replay", {"from": 3, "to": 1}, NOW_MS + 60_000, "from before to"),
        ("ota", {}, NOW_MS + 60_000, "cannot"),
        ("fire", {}, NOW_MS + 60_000, "unknown"),
    ],
)
def test_command_that_cannot_be_done_is_answered_with_why(op, args, exp, words):
    """A refused command gets ok false and a reason, and is counted."""
    made = session()

    ack, now, later = answer(made, op, args, exp=exp)

    assert ack["ok"] is False
    assert words in ack["err"]
    assert (now, later, made.refused_commands) == ([], [], 1)


def test_command_not_json_is_counted_and_not_answered():
    """Rubbish on the command topic harms nothing."""
    made = session()

    assert made.answer(b"\xff", 1, None) == ([], [])
    assert made.refused_commands == 1


def test_commands_remembered_are_few():
    """The device remembers the last sixteen commands, not all of them."""
    made = session()
    for number in range(40):
        answer(made, "identify", id_=f"c{number}")

    assert len(made._answered) == 16


def test_session_state_and_diag_are_of_the_contract():
    """Will and diag carry boot and connection or the figures of the link."""
    made = session()

    will = made.state("offline", 3)
    diag = made.diag(backlog=5, oldest=(7, 1), drops=2, reconnects=1)

    assert will.payload == codec.encode_state(state="offline", boot=7, conn=3)
    assert json.loads(diag.payload)["backlog"] == 5


def test_session_answers_a_command_with_half_a_surrogate_pair():
    """What UTF-8 cannot carry comes back as a question mark and ends nothing."""
    ack, _, _ = answer(session(), "\ud800go")

    assert ack["ok"] is False
    assert ack["err"].startswith("?go: unknown")
