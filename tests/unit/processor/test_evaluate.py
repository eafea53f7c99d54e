"""The evaluator's loop: published first, acknowledged after."""

import random
import threading

import msgspec

from bridge.clock import to_us
from bridge.live import AcknowledgeAlarm, encode_command
from bridge.records import AlarmState
from device.steamlink import codec
from processor.backoff import Backoff
from processor.counters import EvaluatorCounters
from processor.delivery import Origin
from processor.evaluate import Evaluator
from processor.health import Health
from store.errors import Unavailable
from store.fake import FakeStore
from tests.fakes import FakeClock, FakeLiveOut, FakeResults, FakeSource
from tests.messages import DATA_KEY, PLANT, START_MS, data


class AwayStore(FakeStore):
    """A store that never answers."""

    def alarm_heads(self):
        raise Unavailable("no store")


class Bench:
    """An evaluator on fakes, turned by hand."""

    def __init__(self, store=None, results=None):
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
            lambda: PLANT,
            self.store,
            self.counters,
            self.clock,
            retention=None,
            backoff=Backoff(0.001, 0.002, random.Random(1)),
            loop=Health().loop("evaluate"),
        )

    def send(self, seq, **values):
        self.source.put(DATA_KEY, data(seq, at_ms=START_MS + seq * 1000, **values))
        self.clock.advance(1)
        self.evaluator.turn(self.stopping)


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

    live = bench.live_out.shown[-1]
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
    from bridge.messages import TimeBounds
    from bridge.records import Batch
    from processor.delivery import Delivery
    from processor.placing import Placement

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
