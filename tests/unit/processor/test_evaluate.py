"""The evaluator's loop: published first, acknowledged after."""

import random
import threading
from pathlib import Path

import msgspec
import pytest

from bridge.clock import to_us
from bridge.live import AcknowledgeAlarm, encode_command
from bridge.messages import TimeBounds
from bridge.plant import parse_plant
from bridge.records import AlarmState, Batch
from device.steamlink import codec
from processor.adapters.embedded_troubles import EmbeddedTroubles
from processor.alarms.journal import verify
from processor.backoff import Backoff
from processor.counters import EvaluatorCounters
from processor.delivery import Delivery, Origin
from processor.evaluate import Evaluator
from processor.health import Health
from processor.placing import Placement
from processor.results import PROBE
from processor.takeover import in_thread
from processor.troubles import Trouble
from store.errors import Unavailable
from store.fake import FakeStore
from tests.fakes import FakeClock, FakeLiveOut, FakeResults, FakeSource
from tests.messages import DATA_KEY, PLANT, START_MS, data


class AwayStore(FakeStore):
    """A store that never answers."""

    def alarm_heads(self):
        raise Unavailable("no store")


class SilentStore(FakeStore):
    """A store that takes a question and does not answer until it is let go."""

    def __init__(self):
        super().__init__()
        self.asked = threading.Event()
        self.let_go = threading.Event()

    def alarm_heads(self):
        self.asked.set()
        assert self.let_go.wait(30)
        return super().alarm_heads()


STALE_PLANT = parse_plant(
    """\
sites: [{name: mill}]
boilers:
  - name: b1
    site: mill
    alarms:
      - {name: high_pressure, metric: steam_pressure, type: HI, setpoint: 10, deadband: 0.5}
      - {name: silent, metric: steam_pressure, type: STALE, setpoint: 30}
devices:
  - {name: dev1, site: mill, boiler: b1}
""",
    Path("plant.yaml"),
)


class Bench:
    """An evaluator on fakes, turned by hand."""

    def __init__(self, store=None, results=None, plant=PLANT, start=lambda work: work()):
        self.plant = plant
        self.start = start
        self.source = FakeSource()
        self.results = results or FakeResults()
        self.live_out = FakeLiveOut()
        self.counters = EvaluatorCounters()
        self.clock = FakeClock()
        self.stopping = threading.Event()
        self.store = store
        self.evaluator = self.make()

    def make(self):
        return Evaluator(
            self.source,
            self.results,
            self.live_out,
            lambda: self.plant,
            self.store,
            self.counters,
            self.clock,
            retention=None,
            backoff=Backoff(0.001, 0.002, random.Random(1)),
            loop=Health().loop("evaluate"),
            start=self.start,
        )

    def turns(self, seconds, step=0.25):
        """Let time pass without messages."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            self.evaluator.turn(self.stopping)

    def acknowledge(self, identity):
        """Have an operator acknowledge the alarm now."""
        command = AcknowledgeAlarm(
            id=identity,
            boiler="b1",
            definition="high_pressure",
            by="Ana",
            at_us=to_us(self.clock()),
        )
        self.source.put("steam.commands", encode_command(command), origin=Origin.OPERATOR)
        self.clock.advance(1)
        self.evaluator.turn(self.stopping)

    def probe(self):
        """Have a probe delivered."""
        self.source.put("steam.evaluate", PROBE, origin=Origin.PROCESSOR)
        self.evaluator.turn(self.stopping)

    def record(self):
        """Store what was published, as the recorders do."""
        self.store.write(Batch(batch_id="2026-11-23_12-00", alarm_events=self.results.published))

    @property
    def states(self):
        """The states of what was published, in order."""
        return [event.state for event in self.results.published]

    def send(self, seq, **values):
        self.source.put(DATA_KEY, data(seq, at_ms=START_MS + seq * 1000, **values))
        self.clock.advance(1)
        self.evaluator.turn(self.stopping)


def birth(boot):
    """A birth of dev1."""
    return codec.encode_birth(
        device="dev1",
        firmware="1.0",
        board="sim",
        boot=boot,
        conn=1,
        reset="power_on",
        clock=2,
        up_ms=10,
        utc_ms=START_MS,
        oldest=None,
        metrics=[("steam_pressure", "bar", 2, 0.0, 16.0, 1000)],
    )


def test_reading_beyond_the_limit_is_published_then_acknowledged():
    """A pressure above its limit raises an alarm, and the message is settled after."""
    bench = Bench()

    bench.send(1)
    bench.send(2, pressure=10.4)

    (event,) = bench.results.published
    assert (event.boiler, event.definition, event.state) == (
        "b1",
        "high_pressure",
        AlarmState.UNACK,
    )
    assert event.value == 10.4
    assert bench.source.acknowledged == 2
    assert bench.counters.flow.identity().holds


def test_results_not_confirmed_keep_the_message_unacknowledged():
    """While the broker does not confirm, nothing is acknowledged; then it is tried again."""
    bench = Bench(results=FakeResults(failures=1))

    bench.send(1, pressure=10.4)
    assert bench.source.acknowledged == 0
    assert "away" in bench.evaluator.fault

    bench.evaluator.turn(bench.stopping)
    assert [event.state for event in bench.results.published] == [AlarmState.UNACK]
    assert bench.source.acknowledged == 1


def test_message_ahead_of_a_gap_waits_two_seconds_for_it():
    """A message after a missing one is neither judged nor acknowledged until the wait is over."""
    bench = Bench()
    bench.send(1)

    bench.send(3, pressure=10.4)
    assert bench.source.acknowledged == 1
    assert bench.results.published == []

    bench.clock.advance(2.1)
    bench.evaluator.turn(bench.stopping)
    assert len(bench.results.published) == 1
    assert bench.source.acknowledged == 2


def test_duplicate_is_counted_and_acknowledged():
    """The same message again changes nothing and is counted as a duplicate."""
    bench = Bench()
    bench.send(1, pressure=10.4)

    bench.source.put(DATA_KEY, data(1, at_ms=START_MS + 1000, pressure=10.4), redelivered=True)
    bench.evaluator.turn(bench.stopping)

    assert len(bench.results.published) == 1
    assert bench.counters.flow.snapshot().outcomes == {"evaluated": 1, "duplicate": 1}
    assert bench.source.acknowledged == 2


def test_operator_acknowledges_an_alarm():
    """An operator command turns UNACK into ACKED, with who and why."""
    bench = Bench()
    bench.send(1, pressure=10.4)
    command = AcknowledgeAlarm(
        id="c1",
        boiler="b1",
        definition="high_pressure",
        by="Ana",
        at_us=to_us(bench.clock()),
        note="seen",
    )

    bench.source.put("steam.commands", encode_command(command), origin=Origin.OPERATOR)
    bench.evaluator.turn(bench.stopping)

    event = bench.results.published[-1]
    assert (event.state, event.by, event.note) == (AlarmState.ACKED, "Ana", "seen")
    assert bench.source.acknowledged == 2


def test_bad_messages_and_bad_commands_are_counted_and_acknowledged():
    """What cannot be read harms nothing: the recorder keeps it, the evaluator goes on."""
    bench = Bench()
    bench.source.put(DATA_KEY, b"garbage")
    bench.source.put("steam.commands", b"garbage", origin=Origin.OPERATOR)
    bench.source.put("steam.v1.mill.ghost.data", data(1))
    bench.evaluator.turn(bench.stopping)

    assert bench.source.acknowledged == 3
    assert bench.counters.flow.snapshot().quarantined == {"malformed": 1, "unknown_device": 1}
    assert bench.counters.flow.identity().holds


def test_live_values_are_shown_when_they_changed():
    """Dashboards get the latest values of a site, and its alarms."""
    bench = Bench()

    bench.send(1, pressure=10.4)

    (live,) = [live for live in bench.live_out.shown if live.site == "mill"]
    (boiler,) = [each for each in live.boilers if each.boiler == "b1"]
    assert boiler.readings["steam_pressure"].value == 10.4
    assert [alarm.definition for alarm in boiler.alarms] == ["high_pressure"]
    msgspec.json.encode(live)


def test_birth_without_a_clock_is_answered_with_the_time():
    """A device that does not know the time is told it."""
    bench = Bench()
    birth = codec.encode_birth(
        device="dev1",
        firmware="1.0",
        board="sim",
        boot=1,
        conn=1,
        reset="power_on",
        clock=0,
        up_ms=10,
        utc_ms=None,
        oldest=None,
        metrics=[("steam_pressure", "bar", 2, 0.0, 16.0, 1000)],
    )

    bench.source.put("steam.v1.mill.dev1.birth", birth)
    bench.evaluator.turn(bench.stopping)

    ((site, device, cmd),) = bench.live_out.commands
    assert (site, device, cmd.op) == ("mill", "dev1", "time")


def test_take_over_raises_nothing_that_is_recorded():
    """A second evaluator goes on where the first stopped: no alarm is raised twice."""
    store = FakeStore()
    first = Bench(store=store)
    first.send(1, pressure=10.4)
    rows = Placement(PLANT).place(
        Delivery(1, DATA_KEY, data(1, at_ms=START_MS + 1000, pressure=10.4)),
        TimeBounds.at(first.clock(), None),
    )
    store.write(
        Batch(batch_id="2026-11-23_12-00", rows=rows.rows, alarm_events=first.results.published)
    )

    second = Bench(store=store)
    second.clock.advance(1)
    second.send(2, pressure=10.6)
    second.send(3, pressure=9.0)

    assert [event.state for event in second.results.published] == [AlarmState.RTN_UNACK]
    assert second.results.published[0].prev == first.results.published[0].hash


def test_store_away_at_take_over_does_not_stop_the_evaluator():
    """Alarms go out although nothing is known of the past."""
    bench = Bench(store=AwayStore())

    bench.send(1, pressure=10.4)

    assert len(bench.results.published) == 1


# -- which evaluator is active


def test_standby_evaluator_says_nothing_but_probes():
    """Without a delivery it judges, publishes, shows and beats nothing, whatever time passes."""
    bench = Bench(results=FakeResults(alone=False), plant=STALE_PLANT)

    bench.turns(100)

    assert bench.results.published == []
    assert bench.results.beats == []
    assert bench.live_out.shown == []
    assert bench.results.probes == 20


def test_probe_delivered_makes_an_evaluator_active_in_an_idle_plant():
    """The owner of an idle queue judges staleness, beats and shows; it probes no more."""
    bench = Bench(results=FakeResults(alone=False), plant=STALE_PLANT)
    bench.turns(5)
    probes = bench.results.probes

    bench.probe()
    bench.turns(40)

    assert [event.definition for event in bench.results.published] == ["silent"]
    assert bench.results.beats
    assert {live.site for live in bench.live_out.shown} == {"mill", ""}
    assert bench.results.probes == probes


def test_probe_is_acknowledged_and_not_counted():
    """A probe is no device's message: the account holds without it."""
    bench = Bench(results=FakeResults(alone=False))

    bench.probe()
    bench.send(1)
    bench.probe()

    assert bench.source.acknowledged == 3
    assert str(bench.counters.flow.identity()) == (
        "evaluate: received 1 = evaluated 1 + duplicate 0 + quarantined 0 + in_flight 0 + returned 0"
    )


def test_evaluator_reconnected_is_on_standby_until_it_gets_a_delivery():
    """Another may have become active while the connection was gone."""
    bench = Bench(results=FakeResults(alone=False), plant=STALE_PLANT)
    bench.send(1)
    shown = len(bench.live_out.shown)

    bench.source.connections += 1
    bench.turns(100)
    assert (bench.results.published, len(bench.live_out.shown)) == ([], shown)

    bench.probe()
    assert len(bench.live_out.shown) > shown


def test_evaluator_that_is_alone_is_active_as_soon_as_it_is_connected():
    """On one machine nobody has to ask; a broker that is away says nothing of boilers."""
    bench = Bench(plant=STALE_PLANT)
    bench.source.connected = False
    bench.turns(60)
    assert (bench.results.published, bench.live_out.shown) == ([], [])

    bench.source.connected = True
    bench.turns(40)
    assert [event.definition for event in bench.results.published] == ["silent"]


# -- the queue's lag


def test_broker_away_makes_nothing_stale():
    """Without a connection nobody knows how fresh the readings are."""
    bench = Bench(plant=STALE_PLANT)
    bench.send(1)

    bench.source.connected = False
    bench.turns(60)

    assert bench.results.published == []


@pytest.mark.parametrize("trickle", [0, 5])
def test_backlog_after_a_restart_makes_nothing_stale(trickle):
    """The lag is the age of the backlog's rows, not the time since the process began.

    A backlog that is worked off within 5 s is no alarm of its own.
    """
    bench = Bench(plant=STALE_PLANT)
    bench.clock.advance(600)
    bench.evaluator = bench.make()
    for seq in range(1, 601):
        bench.source.put(DATA_KEY, data(seq, at_ms=START_MS + seq * 1000))
        if seq == trickle or seq % 200 == 0:
            bench.clock.advance(0.1)
            bench.evaluator.turn(bench.stopping)
    bench.turns(20)

    assert bench.results.published == []


# -- the account


def test_message_held_for_order_is_in_flight_until_it_is_acknowledged():
    """A message has ended once it is acknowledged, and not when it was looked at."""
    bench = Bench()
    bench.send(1)
    bench.send(3)
    bench.source.put(DATA_KEY, b"garbage")
    bench.evaluator.turn(bench.stopping)

    now = bench.counters.flow.snapshot()
    assert (now.received, now.in_flight, now.outcomes["evaluated"], now.quarantined) == (
        3,
        2,
        1,
        {},
    )

    bench.clock.advance(2.1)
    bench.evaluator.turn(bench.stopping)
    assert bench.counters.flow.snapshot().in_flight == 0
    assert bench.counters.flow.identity().holds


def test_messages_not_acknowledged_when_the_connection_goes_are_counted_as_returned():
    """The broker hands them over again: they are received twice and evaluated once."""
    bench = Bench()
    bench.send(1)
    bench.send(3)
    bench.source.connections += 1
    bench.evaluator.turn(bench.stopping)
    assert bench.counters.flow.snapshot().returned == 1

    bench.source.put(DATA_KEY, data(3, at_ms=START_MS + 3000), redelivered=True)
    bench.send(2)

    assert str(bench.counters.flow.identity()) == (
        "evaluate: received 4 = evaluated 2 + duplicate 1 + quarantined 0 + in_flight 0 + returned 1"
    )
    assert bench.source.acknowledged == 4


def test_rows_and_time_held_back_are_counted():
    """What `/metrics` shows of an evaluator is what it did."""
    bench = Bench(results=FakeResults(failures=1))

    bench.send(1, pressure=10.4)

    assert bench.counters.rows == 1
    assert bench.counters.held_seconds > 0


# -- records that cannot be read


def test_store_away_at_take_over_is_asked_again_and_its_records_respected():
    """What was acknowledged before is acknowledged still, without a second alarm."""
    store = FakeStore()
    first = Bench(store=store)
    first.send(1, pressure=10.4)
    first.acknowledge("c1")
    first.record()
    store.failure = Unavailable("no store")

    second = Bench(store=store)
    second.clock.advance(10)
    second.turns(4)
    store.failure = None
    second.turns(4)
    second.send(20, pressure=10.6)
    second.send(21, pressure=8)

    assert second.states == [AlarmState.NORMAL]
    assert verify(first.results.published + second.results.published) == []


def test_alarm_over_and_acknowledged_while_the_store_was_away_does_not_come_back():
    """The state recorded last counts, whatever the numbers of the events."""
    store = FakeStore()
    first = Bench(store=store)
    for seq, pressure in enumerate((10.4, 8, 10.4, 8, 10.4), start=1):
        first.send(seq, pressure=pressure)
    first.record()

    store.failure = Unavailable("no store")
    second = Bench(store=store)
    second.clock.advance(20)
    second.send(30, pressure=10.5)
    second.send(31, pressure=8)
    second.acknowledge("c1")
    store.failure = None
    second.record()
    assert second.states == [AlarmState.UNACK, AlarmState.RTN_UNACK, AlarmState.NORMAL]
    assert store.open_alarms() == []

    third = Bench(store=store)
    third.clock.advance(60)
    third.send(40, pressure=10.5)

    assert store.alarm_heads()["b1"] == second.results.published[-1]
    log = [event for bench in (first, second, third) for event in bench.results.published]
    assert third.states == [AlarmState.UNACK]
    (told,) = verify(log)
    assert "begins the chain anew after event 5" in told


def test_events_on_their_way_to_the_store_at_take_over_are_found_later():
    """What the former evaluator published last reaches the store after it was read."""
    store = FakeStore()
    first = Bench(store=store, results=FakeResults(alone=False))
    first.send(1, pressure=10.4)

    second = Bench(store=store, results=FakeResults(alone=False))
    second.clock.advance(1)
    second.probe()
    first.record()
    second.turns(14)
    assert second.evaluator._evaluation.live("mill", second.clock()).boilers[0].alarms == []
    second.turns(2)
    second.turns(20)
    second.acknowledge("c1")

    assert second.states == [AlarmState.ACKED]
    assert second.results.published[0].n == first.results.published[0].n + 1
    assert verify(first.results.published + second.results.published) == []


def test_store_that_never_answers_delays_an_alarm_by_less_than_five_seconds():
    """A question that hangs holds up its own thread alone, and its answer is folded late."""
    store = SilentStore()
    bench = Bench(store=store, start=in_thread)
    bench.source.put(DATA_KEY, data(1, at_ms=START_MS, pressure=10.4))
    bench.evaluator.turn(bench.stopping)
    assert store.asked.wait(10)
    assert bench.source.acknowledged == 0
    assert bench.counters.flow.snapshot().in_flight == 1

    bench.turns(3.5)

    assert bench.states == [AlarmState.UNACK]
    assert bench.source.acknowledged == 1
    store.let_go.set()
    assert bench.evaluator._recall._attempt.done.wait(10)
    bench.turns(1)
    assert bench.states == [AlarmState.UNACK]


def test_store_that_answers_in_time_lets_messages_wait_for_it():
    """Messages that came while the records were read are judged by them."""
    store = SilentStore()
    first = Bench(store=store)
    store.let_go.set()
    first.send(1, pressure=10.4)
    first.record()
    store.let_go.clear()

    second = Bench(store=store, start=in_thread)
    second.clock.advance(1)
    second.send(2, pressure=10.6)
    assert second.results.published == []
    store.let_go.set()
    assert second.evaluator._recall._attempt.done.wait(10)
    second.send(3, pressure=8)

    assert second.states == [AlarmState.RTN_UNACK]


def test_evaluator_stopped_while_the_store_is_silent_ends():
    """A question under way does not keep a process from stopping."""
    store = SilentStore()
    bench = Bench(store=store, start=in_thread)
    bench.source.put(DATA_KEY, data(1, at_ms=START_MS))
    bench.evaluator.turn(bench.stopping)
    assert store.asked.wait(10)
    bench.stopping.set()
    threading.Timer(0.05, store.let_go.set).start()

    bench.evaluator.run(bench.stopping)

    assert bench.evaluator._recall._attempt.done.is_set()
    assert bench.counters.flow.snapshot().returned == 1


def test_troubles_delivered_raise_system_alarms_and_are_acknowledged():
    """What another process tells through the queue becomes an alarm; nonsense is only logged."""
    bench = Bench()
    body = msgspec.json.encode(
        [Trouble(name="store_away", note="down", at_us=to_us(bench.clock()))]
    )
    bench.source.put("steam.evaluate", b"nonsense", origin=Origin.PROCESSOR)
    bench.source.put("steam.evaluate", body, origin=Origin.PROCESSOR)

    bench.evaluator.turn(bench.stopping)

    (event,) = bench.results.published
    assert (event.boiler, event.definition, event.note) == ("_steam", "store_away", "down")
    assert bench.source.acknowledged == 2
    assert bench.counters.flow.identity().holds


def test_troubles_sent_by_a_device_raise_nothing():
    """Who may raise a system alarm is known by the way a message came."""
    bench = Bench()
    body = msgspec.json.encode([Trouble(name="store_away", note="down", at_us=1)])
    bench.source.put(DATA_KEY, body)

    bench.evaluator.turn(bench.stopping)

    assert bench.results.published == []
    assert bench.counters.flow.snapshot().quarantined == {"malformed": 1}


def test_troubles_of_the_same_process_raise_system_alarms():
    """On one machine they come from thread to thread."""
    bench = Bench()
    told = EmbeddedTroubles()
    bench.evaluator._troubles = told.take
    told.tell([Trouble(name="quarantine_full", note="", at_us=to_us(bench.clock()))])

    bench.evaluator.turn(bench.stopping)

    assert [event.definition for event in bench.results.published] == ["quarantine_full"]


def test_evaluator_taking_over_knows_events_that_are_published_and_not_stored_yet():
    """What its predecessor published last may not be in the store: the next alarm is not missed."""
    first = Bench(FakeStore())
    first.send(1, pressure=10.4)
    first.record()
    first.send(2, pressure=8.0)
    second = Bench(first.store)
    second.results.unstored = first.results.published[1:]
    second.results.published = []

    second.send(3, pressure=10.6)

    assert first.states == [AlarmState.UNACK, AlarmState.RTN_UNACK]
    assert second.states == [AlarmState.UNACK]
    log = [*first.results.published, *second.results.published]
    assert verify(log) == []


@pytest.mark.parametrize("body", [b"\xff\xfe", b'"' + b"\xc3" + b'"', b"[" * 100_000, b"{}"])
@pytest.mark.parametrize("origin", [Origin.OPERATOR, Origin.PROCESSOR, Origin.DEVICE])
def test_message_that_nobody_can_read_does_not_end_the_evaluation(body, origin):
    """Whatever it is, it is acknowledged with the others, and the next message is judged."""
    bench = Bench()
    bench.source.put(DATA_KEY if origin is Origin.DEVICE else "x", body, origin=origin)
    bench.evaluator.turn(bench.stopping)

    bench.send(1, pressure=12.0)

    assert bench.states == [AlarmState.UNACK]
    assert bench.counters.flow.in_flight == 0


def test_message_at_which_the_evaluation_fails_is_counted_and_the_next_is_judged(monkeypatch):
    """A fault of Steam's own ends no loop; the sum of outcomes holds."""
    bench = Bench()
    take, failing = bench.evaluator._evaluation.take, [True]

    def fail_once(*arguments):
        if failing:
            bench.evaluator._evaluation._taken += 1
            raise KeyError(failing.pop())
        return take(*arguments)

    monkeypatch.setattr(bench.evaluator._evaluation, "take", fail_once)
    bench.send(1, pressure=8.0)
    bench.send(2, pressure=12.0)

    assert bench.states == [AlarmState.UNACK]
    flow = bench.counters.flow.snapshot()
    assert (flow.received, flow.in_flight, dict(flow.quarantined)) == (2, 0, {"unexpected": 1})


def test_alarm_that_a_recorder_stores_late_is_known_in_the_end():
    """Held while the store took nothing, it is found there however late, and returns to normal."""
    first = Bench(store=FakeStore(), results=FakeResults(alone=False))
    first.probe()
    first.send(1, pressure=12.0)
    second = Bench(store=first.store, results=FakeResults(alone=False))
    second.clock.now = first.clock.now
    second.probe()
    second.send(2, pressure=8.0)
    second.turns(60)
    assert second.states == []

    first.record()
    second.turns(330)
    second.send(3, pressure=8.0)
    second.send(4, pressure=8.0)

    assert second.states == [AlarmState.RTN_UNACK]


def test_board_set_up_anew_while_another_evaluated_is_followed_on_taking_over_again():
    """A at boot 57, B hears of boot 1, A takes over: the newest stored row says which is present."""
    store = FakeStore()

    def keep(bench, body):
        placed = Placement(PLANT).place(
            Delivery(1, DATA_KEY, body), TimeBounds.at(bench.clock(), None)
        )
        store.write(Batch(batch_id="2026-11-23_12-00", rows=placed.rows))

    a = Bench(store=store, results=FakeResults(alone=False))
    a.probe()
    for seq in range(1, 4):
        a.send(seq, boot=57)
        keep(a, data(seq, at_ms=START_MS + seq * 1000, boot=57))
    b = Bench(store=store, results=FakeResults(alone=False))
    b.clock.now = a.clock.now
    b.probe()
    b.source.put("steam.v1.mill.dev1.birth", birth(boot=1))
    for seq in range(4, 9):
        body = data(seq, at_ms=START_MS + seq * 1000, boot=1, pressure=8.0)
        b.source.put(DATA_KEY, body)
        b.clock.advance(1)
        b.evaluator.turn(b.stopping)
        keep(b, body)

    a.clock.now = b.clock.now
    a.clock.advance(1)
    a.source.connections += 1
    a.evaluator.turn(a.stopping)
    a.probe()
    a.send(9, boot=1, pressure=12.0)
    a.send(10, boot=1, pressure=12.0)

    assert [(event.state, event.retroactive) for event in a.results.published] == [
        (AlarmState.UNACK, False)
    ]
