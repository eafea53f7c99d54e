"""What messages mean to the evaluator: outcomes, settlement, devices, live values, changes."""

import pytest

from bridge.live import AcknowledgeAlarm
from bridge.messages import Ack, Cmd, Diag, State
from bridge.plant import Assignment, Boiler, Device, OwnMetric, Plant, PlantFile, Site
from bridge.records import AlarmEvent, AlarmState
from bridge.topics import Kind
from processor.alarms.compiled import MAX_WATCHES
from processor.alarms.journal import transition_id, verify
from processor.evaluation import Evaluation, Outcome
from processor.troubles import Trouble
from tests.unit.processor.alarms.sending import (
    LEVEL,
    PRESSURE,
    START,
    START_MS,
    Sender,
    birth,
    data,
    definition,
    loss,
    moment,
    plant_with,
    us,
)

UNACK, NORMAL = AlarmState.UNACK, AlarmState.NORMAL


# -- outcomes and settlement


def test_message_in_order_is_evaluated_and_settled():
    """The common case: nothing waits, nothing comes out."""
    sender = Sender(plant_with(definition()))

    taken = sender.send(data(1, (9.0,)))

    assert (taken.outcome, list(taken.events), list(taken.commands)) == (Outcome.EVALUATED, [], [])
    assert sender.evaluation.settled == 1


def test_message_delivered_twice_is_a_duplicate():
    """The same identity with the same content is taken once."""
    sender = Sender(plant_with(definition()))
    sender.send(data(1, (11.0,)))

    taken = sender.send(data(1, (11.0,)))

    assert (taken.outcome, list(taken.events)) == (Outcome.DUPLICATE, [])
    assert sender.evaluation.settled == 2


def test_messages_that_wait_keep_everything_after_them_unsettled():
    """Only a prefix that is completely evaluated may be acknowledged."""
    sender = Sender(plant_with(definition(), devices=("d1", "d2")))
    sender.send(data(1, (9.0,)))
    sender.send(data(3, (11.0,)))
    sender.send(data(1, (9.0,)), device="d2")
    assert sender.evaluation.settled == 1

    taken = sender.send(data(2, (9.0,)))

    assert [event.state for event in taken.events] == [UNACK]
    assert sender.evaluation.settled == 4


def test_message_missing_for_two_seconds_is_no_longer_waited_for():
    """The order goes on after 2 s, by the tick."""
    sender = Sender(plant_with(definition()))
    sender.send(data(1, (9.0,)), at=0)
    sender.send(data(3, (11.0,)), at=0)

    assert sender.tick(at=1.9) == []
    assert [event.state for event in sender.tick(at=2)] == [UNACK]
    assert sender.evaluation.settled == 2


def test_message_of_another_content_under_a_waiting_identity_is_settled_too():
    """A second message under the identity of one that waits does not push it out."""
    sender = Sender(plant_with(definition()))
    sender.send(data(1, (9.0,)))
    sender.send(data(3, (9.0,)), crc=1)
    sender.send(data(3, (9.5,)), crc=2)

    sender.send(data(2, (9.0,)))

    assert sender.evaluation.settled == 4


def test_messages_without_place_in_the_order_are_evaluated_at_once():
    """State, diag, ack and cmd wait for nobody."""
    sender = Sender(plant_with(definition()))
    for message, kind in (
        (State(v=1, s="online", boot=1, conn=1), Kind.STATE),
        (Diag(v=1, b=1, up=0), Kind.DIAG),
        (Ack(v=1, id="c", ok=True), Kind.ACK),
        (Cmd(v=1, id="c", op="rebirth", exp=0), Kind.CMD),
    ):
        assert sender.send(message, kind).outcome is Outcome.EVALUATED
    assert sender.evaluation.settled == 4


def test_message_with_several_rows_judges_each():
    """Rows of one message follow each other."""
    sender = Sender(plant_with(definition()))

    sender.send(data(1, (9.0,), (11.0,), (9.0,)))

    assert sender.log == [("hi", UNACK, 2_000_001), ("hi", AlarmState.RTN_UNACK, 3_000_001)]


def test_reading_of_bad_quality_in_one_row_does_not_touch_the_others():
    """Quality belongs to one reading."""
    sender = Sender(plant_with(definition(), definition("low", LEVEL, "LO", 20.0)))
    rows = ((11.0, 50.0), (11.0, 10.0))

    sender.send(data(1, *rows, metrics=(PRESSURE, LEVEL), quality={"0,0": 0}))

    assert sender.log == [("hi", UNACK, 2_000_001), ("low", UNACK, 2_000_001)]


# -- devices


def test_birth_without_clock_is_answered_with_the_time():
    """A device that does not know the time is told it, for a minute.

    The answer says which birth it answers: a broker may keep it for another connection.
    """
    sender = Sender(plant_with())

    (site, device, cmd), *others = sender.send(birth(clock=0, boot=7, conn=2)).commands

    assert (site, device, others) == ("mill", "d1", [])
    assert (cmd.op, cmd.exp) == ("time", START_MS + 60_000)
    assert cmd.args == {"utc": START_MS, "boot": 7, "conn": 2, "up": birth(clock=0).up}
    assert cmd.id == f"time-7-2-{START_MS}"


@pytest.mark.parametrize(
    ("clock", "ahead_ms", "answers"),
    [(2, -600_000, 0), (2, 0, 0), (2, 5_000, 0), (2, 5_001, 1), (1, -600_000, 1), (1, 0, 1)],
)
def test_birth_is_answered_with_the_time_unless_ntp_keeps_its_clock(clock, ahead_ms, answers):
    """A clock that only drifts is put right before it takes commands for expired."""
    message = birth(clock=clock, t=START_MS + ahead_ms)

    commands = Sender(plant_with()).send(message).commands

    assert [cmd.op for _, _, cmd in commands] == ["time"] * answers


def test_birth_delivered_twice_is_a_duplicate():
    """A birth that was taken is not answered again."""
    sender = Sender(plant_with())
    sender.send(birth(clock=0))

    taken = sender.send(birth(clock=0))

    assert (taken.outcome, list(taken.commands)) == (Outcome.DUPLICATE, [])


def test_birth_shows_firmware_and_state():
    """Dashboards see what the device said."""
    sender = Sender(plant_with())
    sender.send(birth(firmware="2.1"), at=5)
    sender.send(data(4, (1.0,), boot=3), at=6)

    device = sender.device()

    assert (device.state, device.firmware) == ("online", "2.1")
    assert (device.boot, device.seq, device.last_seen_us) == (3, 4, us(6))


@pytest.mark.parametrize(
    ("boot", "conn", "state"),
    [(2, 4, "offline"), (2, 3, "online"), (1, 9, "online"), (3, 1, "offline")],
)
def test_offline_older_than_the_last_birth_is_ignored(boot, conn, state):
    """The will of an earlier connection says nothing about this one."""
    sender = Sender(plant_with())
    sender.send(birth(boot=2, conn=4))

    sender.send(State(v=1, s="offline", boot=boot, conn=conn))

    assert sender.device().state == state


def test_device_never_heard_of_is_unknown():
    """A registered device is shown before it speaks."""
    device = Sender(plant_with()).device()

    assert (device.state, device.boot, device.seq, device.last_seen_us) == ("unknown", 0, 0, 0)


@pytest.mark.parametrize(
    "birth_again",
    [
        birth(boot=1, conn=1, up=10),
        birth(boot=1, conn=1, up=4_500),
        birth(boot=5, conn=1, up=10),
        birth(boot=7, conn=1, up=10),
    ],
)
def test_board_that_lost_its_counters_goes_on_live(birth_again):
    """After a birth that shows a restart or a reflash, numbers begin anew and rows are live."""
    sender = Sender(plant_with(definition()))
    boot = 6 if birth_again.boot > 1 else 1
    sender.send(birth(boot=boot, conn=2 if birth_again.up > 1000 else 1, up=0))
    for seq in range(1, 6):
        sender.send(data(seq, (9.0,), boot=boot), at=seq)

    sender.send(birth_again, at=60)
    sender.send(data(1, (11.0,), boot=birth_again.boot, at=60), at=60)

    assert [
        (event.state, event.retroactive) for event in sender.events if event.boiler == "b1"
    ] == [(UNACK, False)]


def test_birth_on_demand_changes_nothing_in_the_order():
    """A rebirth in the same connection, with greater uptime, is no restart."""
    sender = Sender(plant_with(definition()))
    sender.send(birth(up=0))
    for seq in range(1, 4):
        sender.send(data(seq, (9.0,)), at=seq)

    sender.send(birth(up=3500), at=4)
    sender.send(data(4, (11.0,)), at=4)

    assert [(event.state, event.retroactive) for event in sender.events] == [(UNACK, False)]


def test_identity_used_again_raises_a_system_alarm_and_is_judged():
    """The same identity with other content is evaluated as late, and told."""
    sender = Sender(plant_with(definition()))
    sender.readings(9.0, 9.0)

    sender.send(data(1, (9.1,)), at=3)

    (event,) = sender.events
    assert (event.boiler, event.site, event.type) == ("_steam", "", "SYSTEM")
    assert (event.definition, event.state, event.priority) == ("identity_reused_d1", UNACK, 2)
    assert (event.at_us, event.recorded_at_us) == (us(1) + 1, us(3))
    assert "boot 1, seq 1" in event.note


def test_identity_used_again_is_told_once_and_over_after_a_minute():
    """A reflashed board raises one alarm, which returns once it is quiet."""
    sender = Sender(plant_with(definition()))
    sender.readings(9.0, 9.0, 9.0)
    sender.send(data(1, (9.1,)), at=5)
    sender.send(data(2, (9.1,)), at=6)

    assert sender.tick(at=65.9) == []
    sender.tick(at=66)

    assert [event.state for event in sender.events] == [UNACK, AlarmState.RTN_UNACK]
    sender.acknowledge("identity_reused_d1", "_steam", at=70)
    assert sender.evaluation.live("", sender.now).boilers[0].alarms == []


def test_lost_messages_are_counted_once():
    """A gap below the oldest stored is loss; a loss event of the same adds nothing."""
    sender = Sender(plant_with())
    sender.readings(9.0)
    sender.readings(9.0, first=11)
    sender.tick(at=14)
    assert sender.device().lost == 0

    sender.send(Diag(v=1, b=1, up=0, oldest=(1, 6)), Kind.DIAG)
    assert sender.device().lost == 4
    sender.send(loss(12, 2, 5))
    assert sender.device().lost == 4
    sender.send(birth(oldest=(1, 11)))
    assert sender.device().lost == 9


# -- operators


def test_acknowledging_an_active_alarm_makes_it_acked():
    """The operator's name and words are in the journal and on the dashboard."""
    sender = Sender(plant_with(definition()))
    sender.readings(11.0)

    sender.acknowledge(at=5, note="going there")

    event = sender.events[-1]
    assert (event.state, event.previous, event.at_us) == (AlarmState.ACKED, UNACK, us(5))
    assert (event.by, event.note, event.value) == ("ana", "going there", 11.0)
    (alarm,) = sender.evaluation.live("mill", sender.now).boilers[0].alarms
    assert (alarm.state, alarm.acknowledged_by) == (AlarmState.ACKED, "ana")
    assert alarm.since_us == us(1) + 1


@pytest.mark.parametrize(
    ("name", "boiler", "words"),
    [
        ("hi", "b1", "nothing to acknowledge"),
        ("no", "b1", "no alarm no at b1"),
        ("hi", "b9", "no alarm hi at b9"),
        ("hi", "_steam", "no alarm hi at _steam"),
    ],
)
def test_acknowledging_nothing_says_why(name, boiler, words):
    """A command without effect gives no event, and words for the log."""
    sender = Sender(plant_with(definition()))
    sender.readings(9.0)

    done = sender.acknowledge(name, boiler)

    assert list(done.events) == []
    assert words in done.refusal


def test_acknowledging_the_same_twice_is_refused():
    """A command delivered again changes nothing."""
    sender = Sender(plant_with(definition()))
    sender.readings(11.0)
    sender.acknowledge(at=2)

    assert "is ACKED" in sender.acknowledge(at=2).refusal


def test_acknowledging_command_delivered_again_leaves_a_later_alarm_alone():
    """A redelivered command does not silence what its operator never saw."""
    sender = Sender(plant_with(definition()))
    sender.readings(11.0)
    sender.acknowledge(at=1.5, command="c1")
    sender.readings(9.0, 11.0, first=2)

    again = sender.acknowledge(at=5, given=1.5, command="c1")

    assert "taken before" in again.refusal
    assert (sender.state(), len(sender.events)) == (UNACK, 4)


@pytest.mark.parametrize("given", [0, 1.5, 2.9])
def test_acknowledging_before_the_alarm_was_activated_is_refused(given):
    """A command that comes late, or after a restart, is for an earlier activation."""
    sender = Sender(plant_with(definition()))
    sender.readings(11.0, 9.0, 11.0)

    late = sender.acknowledge(at=6, given=given)

    assert "activated after the command was given" in late.refusal
    assert sender.state() is UNACK
    assert sender.acknowledge(at=6, given=5.5).refusal is None
    assert sender.state() is AlarmState.ACKED


def test_acknowledging_that_is_recorded_already_moves_nothing():
    """No alarm changes its state without a record of it."""
    sender = Sender(plant_with(definition()))
    sender.readings(11.0)
    recorded = AlarmEvent(
        id=transition_id("b1", "hi", AlarmState.ACKED, us(2)),
        site="mill",
        boiler="b1",
        definition="hi",
        type="HI",
        metric=PRESSURE,
        state=AlarmState.ACKED,
        previous=UNACK,
        priority=2,
        at_us=us(2),
        recorded_at_us=us(2),
    )
    sender.evaluation._engine.journal.write(recorded, us(2))

    assert sender.acknowledge(at=3, given=2).refusal is not None
    assert (sender.state(), len(sender.events)) == (UNACK, 1)


def test_acknowledging_remembers_a_bounded_number_of_commands():
    """The oldest commands are forgotten."""
    sender = Sender(plant_with(definition()))
    for _ in range(4_200):
        sender.acknowledge()

    assert len(sender.evaluation._commands) == 4_096


def test_acknowledging_from_a_browser_ahead_is_dated_now():
    """The operator's clock cannot date an acknowledgement into the future."""
    sender = Sender(plant_with(definition()))
    sender.readings(11.0)
    command = AcknowledgeAlarm(id="c", boiler="b1", definition="hi", by="ana", at_us=us(500))

    (event,) = sender.evaluation.acknowledge(command, moment(9)).events

    assert event.at_us == us(9)


# -- the evaluator's own alarms


def test_lag_raises_one_system_alarm_that_ends_half_a_minute_after_it():
    """A queue that waits 5 s, for 5 s, is an alarm; it is over after 30 s of less."""
    sender = Sender(plant_with())
    sender.tick(at=-9, lag_s=60)
    sender.tick(at=-5, lag_s=4.9)
    sender.tick(at=-4, lag_s=5)
    sender.tick(at=0.9, lag_s=60)
    sender.tick(at=1, lag_s=5)
    sender.tick(at=2, lag_s=60)
    sender.tick(at=10, lag_s=1)
    sender.tick(at=39, lag_s=1)
    sender.tick(at=40, lag_s=1)

    assert [(e.definition, e.state, e.at_us) for e in sender.events] == [
        ("evaluator_lagging", UNACK, us(1)),
        ("evaluator_lagging", AlarmState.RTN_UNACK, us(40)),
    ]
    assert {event.boiler for event in sender.events} == {"_steam"}


def test_trouble_told_raises_a_system_alarm_that_ends_a_minute_after_the_last_time():
    """However often it is told, it is one alarm; it returns once nobody tells it any more."""
    sender = Sender(plant_with())
    events = []
    for at in (0, 10, 20):
        sender.tick(at=at)
        told = Trouble(name="store_refuses", note="401", at_us=us(at))
        events += sender.evaluation.take_troubles([told], sender.now)
    sender.tick(at=79)
    sender.tick(at=80)

    assert [(event.state, event.at_us, event.note) for event in events] == [(UNACK, us(0), "401")]
    assert [(event.state, event.at_us) for event in sender.events] == [
        (AlarmState.RTN_UNACK, us(80))
    ]


def test_trouble_told_long_ago_raises_nothing():
    """A queue that waited for an evaluator holds troubles that may be over."""
    sender = Sender(plant_with())
    sender.tick(at=1000)
    told = Trouble(name="store_away", note="", at_us=us(600))

    assert sender.evaluation.take_troubles([told], sender.now) == []


# -- what dashboards are shown


def test_live_shows_the_newest_reading_of_every_known_metric():
    """Readings of several messages, with time and quality; a null does not blank a value."""
    sender = Sender(plant_with())
    sender.send(data(1, (7.0, 50.0), metrics=(PRESSURE, LEVEL)))
    sender.send(data(2, (7.5, None), metrics=(PRESSURE, LEVEL)))
    sender.send(data(3, (8.0,), metrics=(PRESSURE,), quality={"0,0": 64}))
    sender.send(data(4, (1.0,), metrics=("made_up",)))

    readings = sender.evaluation.live("mill", START).boilers[0].readings

    assert {name: (r.value, r.at_us, r.quality) for name, r in readings.items()} == {
        PRESSURE: (8.0, us(3) + 3, 64),
        LEVEL: (50.0, us(1) + 1, 192),
    }


def test_live_shows_a_failed_sensor_without_value():
    """A null with a bad code is a reading of its own."""
    sender = Sender(plant_with())
    sender.send(data(1, (7.0,)))
    sender.send(data(2, (None,), quality={"0,0": 16}))

    reading = sender.evaluation.live("mill", START).boilers[0].readings[PRESSURE]

    assert (reading.value, reading.quality) == (None, 16)


def test_live_lists_alarms_most_urgent_first():
    """Priority, then age."""
    sender = Sender(
        plant_with(
            definition("c", priority=3),
            definition("b", priority=1, setpoint=11.0),
            definition("a", priority=1, setpoint=12.0),
        )
    )
    sender.readings(10.0, 11.0, 12.0)

    alarms = sender.evaluation.live("mill", START).boilers[0].alarms

    assert [(alarm.definition, alarm.value) for alarm in alarms] == [
        ("b", 11.0),
        ("a", 12.0),
        ("c", 10.0),
    ]


def test_live_names_the_sites_that_changed():
    """Only what changed need be shown again."""
    file = PlantFile(
        sites=[Site(name="mill"), Site(name="farm")],
        boilers=[Boiler(name="b1", site="mill"), Boiler(name="b2", site="farm")],
        devices=[Device(name="d1", site="mill", boiler="b1")],
    )
    sender = Sender(Plant(file))
    assert sender.evaluation.take_changed_sites() == {"mill", "farm"}
    assert sender.evaluation.take_changed_sites() == set()

    sender.send(data(1, (1.0,)))
    sender.tick(at=0, lag_s=10)
    sender.tick(at=5, lag_s=10)

    assert sender.evaluation.take_changed_sites() == {"mill", ""}


# -- boilers, devices and changes of the plant


def test_rows_from_before_a_device_was_moved_belong_to_its_earlier_boiler():
    """The boiler of a row is that which its device watched at the row's time."""
    move = moment(10)
    alarms = [definition()]
    file = PlantFile(
        sites=[Site(name="mill")],
        boilers=[
            Boiler(name="b1", site="mill", alarms=alarms),
            Boiler(name="b2", site="mill", alarms=alarms),
        ],
        devices=[
            Device(
                name="d1", site="mill", boiler="b2", since=move, before=[Assignment(boiler="b1")]
            )
        ],
    )
    sender = Sender(Plant(file))

    sender.send(data(1, (11.0,), (11.0,), at=9.5), at=11)

    assert [(event.boiler, event.at_us) for event in sender.events] == [
        ("b1", us(9.5) + 1),
        ("b2", us(10.5) + 1),
    ]


def test_boiler_of_two_devices_is_in_alarm_while_either_shows_it():
    """The alarm activates with the first device and returns with the last."""
    sender = Sender(plant_with(definition(), devices=("d1", "d2")))
    sender.send(data(1, (11.0,), at=1))
    sender.send(data(2, (11.0,), at=2), device="d2")
    sender.send(data(2, (9.0,), at=3))
    assert sender.state() is UNACK

    sender.send(data(3, (9.0,), at=4), device="d2")

    assert [state for _, state, _ in sender.log] == [UNACK, AlarmState.RTN_UNACK]


def test_plant_change_keeps_what_did_not_change():
    """Timers and states of unchanged definitions go on."""
    kept = definition(on_delay_s=3)
    sender = Sender(plant_with(kept, definition("lo", type_="LO", setpoint=1.0)))
    sender.readings(11.0, 11.0)

    sender.evaluation.replace_plant(plant_with(definition("new", setpoint=50.0), kept), sender.now)
    sender.readings(11.0, 11.0, first=3)

    assert sender.log == [("hi", UNACK, 4_000_001)]


def test_plant_change_of_a_limit_keeps_the_state_and_judges_anew():
    """An alarm whose limit moved away returns with the next reading."""
    sender = Sender(plant_with(definition()))
    sender.readings(11.0)
    sender.acknowledge()

    sender.evaluation.replace_plant(plant_with(definition(setpoint=20.0)), sender.now)
    assert sender.state() is AlarmState.ACKED
    sender.readings(11.0, first=2)

    assert sender.log[-1][1] is NORMAL
    assert sender.events[-1].setpoint == 20.0


def test_plant_change_without_a_definition_ends_its_alarm():
    """An alarm that nobody defines any more does not stand for ever."""
    sender = Sender(plant_with(definition(), definition("other", setpoint=50.0)))
    sender.readings(11.0)

    sender.evaluation.replace_plant(plant_with(definition("other", setpoint=50.0)), moment(9))
    sender.tick(at=9)

    assert sender.log[-1] == ("hi", NORMAL, 9_000_000)
    assert "plant.yaml" in sender.events[-1].note
    assert verify(sender.events) == []


def two_boilers(boiler="b1", since=None, devices=("d1", "d2")) -> Plant:
    """A plant whose device d1 watches a boiler since a second (before that b1), and d2 b1."""
    moved = since is not None
    known = {
        "d1": Device(
            name="d1",
            site="mill",
            boiler=boiler,
            since=moment(since) if moved else None,
            before=[Assignment(boiler="b1")] if moved else [],
        ),
        "d2": Device(name="d2", site="mill", boiler="b1"),
    }
    return Plant(
        PlantFile(
            sites=[Site(name="mill")],
            boilers=[
                Boiler(name=name, site="mill", alarms=[definition()]) for name in ("b1", "b2")
            ],
            devices=[known[name] for name in devices],
        )
    )


@pytest.mark.parametrize(
    "changed",
    [two_boilers(devices=("d2",)), two_boilers("b2"), two_boilers("b2", 2)],
)
@pytest.mark.parametrize("others", [0, 1])
def test_plant_change_takes_away_the_device_of_an_active_alarm_and_it_returns(changed, others):
    """An alarm that no device can clear any more does not stand for ever."""
    sender = Sender(two_boilers())
    sender.readings(11.0)
    for seq in range(1, 1 + others):
        sender.send(data(seq, (9.0,)), device="d2", at=1)

    sender.evaluation.replace_plant(changed, moment(3))
    sender.tick(at=3)

    assert [state for _, state, _ in sender.log] == [UNACK, AlarmState.RTN_UNACK]
    assert "plant.yaml" in sender.events[-1].note
    assert verify(sender.events) == []


def test_plant_change_takes_away_one_of_two_devices_that_show_an_alarm_and_it_stays():
    """The other device still shows it, and ends it."""
    sender = Sender(two_boilers())
    sender.readings(11.0)
    sender.send(data(1, (11.0,)), device="d2", at=1)

    sender.evaluation.replace_plant(two_boilers("b2"), moment(3))
    sender.tick(at=3)
    assert sender.state() is UNACK

    sender.send(data(4, (9.0,)), device="d2", at=4)
    sender.tick(at=7)
    assert [state for _, state, _ in sender.log] == [UNACK, AlarmState.RTN_UNACK]


def test_device_moved_at_a_moment_ahead_takes_its_alarm_along_then():
    """Up to `since` the device holds the alarm of its earlier boiler, and no longer."""
    sender = Sender(two_boilers("b2", since=10))
    sender.readings(11.0)

    sender.tick(at=9.9)
    assert sender.state() is UNACK
    sender.tick(at=10)

    assert sender.log[-1] == ("hi", AlarmState.RTN_UNACK, 10_000_000)


def test_rows_from_before_a_move_that_come_after_it_raise_no_lasting_alarm():
    """An alarm shown by the last rows at an earlier boiler returns a minute after them."""
    sender = Sender(two_boilers("b2", since=10))
    sender.send(data(1, (9.0,), at=20), at=20)
    sender.send(data(2, (11.0,), at=9), at=21)
    assert sender.state() is UNACK
    sender.tick(at=22)

    sender.tick(at=82)

    assert [state for _, state, _ in sender.log] == [UNACK, AlarmState.RTN_UNACK]


def test_plant_change_without_a_device_forgets_what_waited():
    """Messages of a device that is gone are settled."""
    sender = Sender(plant_with(definition(), devices=("d1", "d2")))
    sender.send(data(1, (9.0,)), device="d2")
    sender.send(data(5, (9.0,)), device="d2")
    assert sender.evaluation.settled == 1

    sender.evaluation.replace_plant(plant_with(definition()), sender.now)

    assert sender.evaluation.settled == 2
    sender.tick(at=10)


def test_plant_change_keeps_the_newest_readings():
    """Dashboards do not go blank, and nothing turns stale, because plant.yaml changed."""
    stale = definition("quiet", type_="STALE", setpoint=30)
    sender = Sender(plant_with(stale))
    sender.send(data(1, (7.0,), at=20), at=20)

    sender.evaluation.replace_plant(plant_with(stale, definition()), moment(21))

    readings = sender.evaluation.live("mill", START).boilers[0].readings
    assert readings[PRESSURE].value == 7.0
    assert sender.tick(at=45) == []


def test_plant_change_with_a_gap_open_lets_late_rows_come():
    """Late rows of a changed definition find nothing of the old one."""
    sender = Sender(plant_with(definition(deadband=2.0)))
    sender.readings(9.0)
    sender.readings(9.0, first=4)
    sender.tick(at=7)

    sender.evaluation.replace_plant(plant_with(definition(deadband=3.0)), sender.now)
    sender.hist(data(2, (11.0,)))
    sender.hist(data(3, (11.0,)))

    assert {event.retroactive for event in sender.events} == {True}
    assert sender.state() is NORMAL


def test_device_with_ever_new_columns_does_not_fill_the_memory():
    """What is compiled for a device's columns is bounded, and its readings stay."""
    metrics = [f"own_{number}" for number in range(MAX_WATCHES + 20)]
    own = [OwnMetric(name=name, unit="", low=0, high=1) for name in metrics]
    file = PlantFile(
        sites=[Site(name="mill")],
        boilers=[Boiler(name="b1", site="mill", alarms=[definition(metric="own_0")])],
        devices=[Device(name="d1", site="mill", boiler="b1")],
        metrics=own,
    )
    sender = Sender(Plant(file))
    for seq, metric in enumerate(metrics, start=1):
        sender.send(data(seq, (20.0,), metrics=(metric,)))

    boiler = sender.evaluation.live("mill", START).boilers[0]

    assert len(boiler.readings) == len(metrics)
    assert len(sender.evaluation._engine.compiled.devices["d1"].watches) <= MAX_WATCHES
    sender.send(data(len(metrics) + 1, (1.0,), metrics=("own_0",)))
    assert [state for _, state, _ in sender.log] == [UNACK, AlarmState.RTN_UNACK]


def test_evaluation_of_a_plant_without_devices_does_nothing():
    """An empty plant is no fault."""
    evaluation = Evaluation(Plant(PlantFile(sites=[])), START)

    assert (evaluation.tick(START, 0.0), evaluation.settled) == ([], 0)
