"""The recorder's loop: stored or quarantined first, acknowledged after."""

import random
import threading
import time
from contextlib import contextmanager
from datetime import UTC, timedelta

import pytest
from structlog.testing import capture_logs

from processor.backoff import Backoff
from processor.counters import RecorderCounters
from processor.delivery import Origin
from processor.gathering import FlushRule
from processor.health import Health
from processor.quota import Quota
from processor.record import Recorder
from processor.troubles import TroubleBook
from processor.writing import Abandoned, Writing
from store.errors import Misconfigured, Refused, TooLarge, Unavailable
from store.fake import FakeStore
from tests.fakes import FakeClock, FakeQuarantine, FakeSource
from tests.messages import DATA_KEY, PLANT, data


class ScriptedStore:
    """A store that answers each write as scripted, then takes everything."""

    def __init__(self, *answers, poison=None, at_most=10_000):
        self.answers = list(answers)
        self.poison = poison
        self.at_most = at_most
        self.batches = []
        self.failure = None

    def check(self):
        if self.failure is not None:
            raise self.failure
        return "scripted"

    def write(self, batch):
        if self.failure is not None:
            raise self.failure
        if self.answers and (answer := self.answers.pop(0)) is not None:
            raise answer
        if len(batch.rows) > self.at_most:
            raise TooLarge("more than the server takes")
        if any(rows.seq == self.poison for rows in batch.rows):
            raise Refused("refused", "partial write: field type conflict")
        self.batches.append(batch)

    @property
    def seqs(self):
        return sorted(rows.seq for batch in self.batches for rows in batch.rows)


class Bench:
    """A recorder on fakes, turned by hand."""

    def __init__(
        self, store, quarantine=None, *, quota=None, most_waiting=100, rule=None, after_s=None
    ):
        self.source = FakeSource()
        self.quarantine = quarantine or FakeQuarantine()
        self.store = store
        self.counters = RecorderCounters()
        self.clock = FakeClock()
        self.troubles = TroubleBook()
        self.writing = Writing(
            store,
            self.quarantine,
            self.counters,
            self.clock,
            zone=UTC,
            recorder="r1",
            backoff=Backoff(0.001, 0.002, random.Random(1)),
            troubles=self.troubles,
            quota=quota,
            most_waiting=most_waiting,
        )
        self.recorder = Recorder(
            self.source,
            self.writing,
            lambda: PLANT,
            self.counters,
            self.clock,
            rule=rule or FlushRule(idle_s=0.0),
            retention=None,
            loop=Health().loop("record"),
            troubles=self.troubles,
            hand_back_after_s=after_s,
        )

    def run(self):
        """Turn once with what is waiting, then stop as SIGTERM would."""
        stopping = threading.Event()
        turn = self.recorder.turn

        def turn_and_stop():
            turn()
            stopping.set()

        self.recorder.turn = turn_and_stop
        self.recorder.run(stopping)

    @contextmanager
    def running(self):
        """The recorder's writer at work; turns are made by `until`."""
        self.recorder._worker.open()
        yield self
        self.recorder._drain()

    def until(self, reached):
        """Turn, a second each, until something is so."""
        deadline = time.monotonic() + 10
        while not reached():
            assert time.monotonic() < deadline
            self.recorder.turn()
            self.clock.advance(1)


def test_messages_are_stored_then_acknowledged():
    """Everything fetched is written in one batch and acknowledged with one number."""
    bench = Bench(ScriptedStore())
    for seq in range(1, 51):
        bench.source.put(DATA_KEY, data(seq))

    bench.run()

    assert bench.store.seqs == list(range(1, 51))
    assert bench.source.acknowledged == 50
    assert bench.source.closed
    assert bench.counters.flow.identity().holds
    assert bench.counters.flow.snapshot().outcomes == {"stored": 50}


def test_bad_messages_are_quarantined_and_harm_no_neighbour():
    """One bad message among good ones is kept with its reason; the others are stored."""
    bench = Bench(ScriptedStore())
    bench.source.put(DATA_KEY, data(1))
    bench.source.put(DATA_KEY, b"\x00garbage")
    bench.source.put(DATA_KEY, data(2))

    bench.run()

    assert bench.store.seqs == [1, 2]
    assert [bad.body for bad in bench.quarantine.kept] == [b"\x00garbage"]
    assert bench.source.acknowledged == 3
    snapshot = bench.counters.flow.snapshot()
    assert snapshot.quarantined == {"malformed": 1}
    assert bench.counters.flow.identity().holds


@pytest.mark.parametrize(
    ("routing_key", "body", "origin"),
    [
        (
            "steam.v1.mill.dev2.state",
            b'{"v":1,"s":"online","boot":1,"conn":1,"x":"\xff"}',
            Origin.DEVICE,
        ),
        ("steam.results", b'[{"id":"\xff"}]', Origin.PROCESSOR),
    ],
)
def test_message_not_utf8_ends_no_recording(routing_key, body, origin):
    """A byte that is no UTF-8 costs its own message only, wherever it stands."""
    bench = Bench(ScriptedStore())
    bench.source.put(DATA_KEY, data(1))
    bench.source.put(routing_key, body, origin=origin)
    bench.source.put(DATA_KEY, data(2))

    bench.run()

    assert bench.store.seqs == [1, 2]
    assert [bad.body for bad in bench.quarantine.kept] == [body]
    assert bench.source.acknowledged == 3
    assert bench.counters.flow.snapshot().quarantined == {"malformed": 1}


def test_fault_of_steams_own_is_logged_once_and_ends_no_recording(monkeypatch):
    """What nobody expected is quarantined, told once for its kind, and recording goes on."""
    monkeypatch.setattr("processor.placing._status", lambda *_: 1 // 0)
    bench = Bench(ScriptedStore())
    for _ in range(3):
        bench.source.put("steam.v1.mill.dev1.state", b'{"v":1,"s":"online","boot":1,"conn":1}')
    bench.source.put(DATA_KEY, data(1))

    with capture_logs() as logs:
        bench.run()

    assert bench.store.seqs == [1]
    assert bench.counters.flow.snapshot().quarantined == {"unexpected": 3}
    assert len([line for line in logs if "ZeroDivisionError" in line.get("reason", "")]) == 1


@pytest.mark.parametrize("fault", [Unavailable("down"), Misconfigured("no bucket steam/raw")])
def test_store_away_is_waited_for(fault, monkeypatch):
    """A store that is down or misconfigured is tried again; nothing is lost or refused."""
    monkeypatch.setattr("processor.writing._MISCONFIGURED_WAIT_S", 0.001)
    bench = Bench(ScriptedStore(fault, fault, fault))
    bench.source.put(DATA_KEY, data(1))

    bench.run()

    assert bench.store.seqs == [1]
    assert bench.source.acknowledged == 1
    assert bench.counters.write_failures == 3
    assert bench.writing.fault == ""


def test_store_refusing_one_point_costs_only_its_message():
    """A refused batch is bisected: the culprit is quarantined with the server's words."""
    bench = Bench(ScriptedStore(poison=13))
    for seq in range(1, 33):
        bench.source.put(DATA_KEY, data(seq))

    bench.run()

    assert bench.store.seqs == [seq for seq in range(1, 33) if seq != 13]
    (bad,) = bench.quarantine.kept
    assert bad.body == data(13)
    assert "field type conflict" in bad.detail
    assert bench.counters.flow.snapshot().quarantined == {"store_refused": 1}
    assert bench.counters.flow.identity().holds
    assert bench.source.acknowledged == 32


def test_store_answering_too_large_gets_halves():
    """A request that is too large is halved until the server takes it."""
    bench = Bench(ScriptedStore(at_most=10))
    for seq in range(1, 41):
        bench.source.put(DATA_KEY, data(seq))

    bench.run()

    assert bench.store.seqs == list(range(1, 41))
    assert all(len(batch.rows) <= 10 for batch in bench.store.batches)


def test_quarantine_away_is_waited_for_by_the_bad_alone():
    """While the quarantine is away good messages are stored and acknowledged one by one."""
    bench = Bench(ScriptedStore(), FakeQuarantine(failures=1_000_000))
    with bench.running():
        bench.source.put(DATA_KEY, data(1))
        bench.source.put(DATA_KEY, b"bad")
        bench.source.put(DATA_KEY, data(2))
        bench.until(lambda: len(bench.source.acknowledged_alone) == 2)
        assert bench.writing.fault == "the quarantine is away"
        bench.source.put(DATA_KEY, data(3))
        bench.until(lambda: len(bench.source.acknowledged_alone) == 3)
        assert bench.counters.flow.in_flight == 1

        bench.quarantine.failures = 0
        bench.until(lambda: bench.counters.flow.in_flight == 0)

        bench.source.put(DATA_KEY, data(4))
        bench.until(lambda: bench.source.acknowledged == 5)

    assert bench.source.acknowledged_alone == [1, 3, 4, 2]
    assert bench.store.seqs == [1, 2, 3, 4]
    assert [bad.body for bad in bench.quarantine.kept] == [b"bad"]
    assert bench.writing.fault == ""
    assert bench.counters.flow.identity().holds


def test_quarantine_away_too_long_holds_the_recorder(monkeypatch):
    """Beyond what may wait nothing is dropped: the writer holds until the quarantine is back."""
    monkeypatch.setattr("processor.writing.AWAY_PAUSE", timedelta(milliseconds=1))
    bench = Bench(ScriptedStore(), FakeQuarantine(failures=20), most_waiting=2)
    for _ in range(3):
        bench.source.put(DATA_KEY, b"bad")

    with bench.running():
        bench.until(lambda: bench.source.acknowledged == 3)

    assert len(bench.quarantine.kept) == 3
    assert bench.counters.over_quota == 0


def test_quarantine_full_ends_no_recording():
    """A full quarantine keeps what it can; some wait, the rest is counted; the good go on."""
    bench = Bench(ScriptedStore(), FakeQuarantine(room=2), most_waiting=3)
    with bench.running(), capture_logs() as logs:
        for seq in range(1, 11):
            bench.source.put(DATA_KEY, data(seq))
            bench.source.put(DATA_KEY, b"bad %d" % seq)
        bench.until(lambda: len(bench.source.acknowledged_alone) == 17)
        bench.clock.advance(60)
        bench.source.put(DATA_KEY, data(11))
        bench.until(lambda: len(bench.source.acknowledged_alone) == 18)

        assert bench.counters.over_quota == 5
        assert bench.counters.flow.in_flight == 3
        bench.quarantine.room = 5
        bench.until(lambda: bench.counters.flow.in_flight == 0)

    assert bench.store.seqs == list(range(1, 12))
    assert [bad.body for bad in bench.quarantine.kept] == [b"bad %d" % n for n in range(1, 6)]
    assert len([line for line in logs if "counted and dropped" in line["event"]]) == 1
    assert bench.counters.flow.identity().holds


def test_flood_beyond_the_share_of_a_device_is_counted_only():
    """Of one device and reason only a share is kept; the log says so once."""
    bench = Bench(ScriptedStore(), quota=Quota(5))
    for seq in range(1, 21):
        bench.source.put(DATA_KEY, b"bad")
        bench.source.put(DATA_KEY, data(seq))
    bench.source.put("steam.v1.mill.dev2.data", b"bad")

    with capture_logs() as logs:
        bench.run()

    assert len(bench.quarantine.kept) == 6
    assert bench.counters.over_quota == 15
    assert bench.counters.flow.snapshot().quarantined == {"malformed": 21}
    assert bench.source.acknowledged == 41
    assert bench.counters.flow.identity().holds
    assert [line["device"] for line in logs if "filled its share" in line["event"]] == ["dev1"]


def test_copies_beyond_the_share_cost_no_reading():
    """Messages with an unknown metric go on being stored when no more copies are kept."""
    bench = Bench(ScriptedStore(), quota=Quota(2))
    for seq in range(1, 6):
        bench.source.put(DATA_KEY, data(seq, metrics=("steam_pressure", "mystery")))

    bench.run()

    assert bench.store.seqs == [1, 2, 3, 4, 5]
    assert len(bench.quarantine.kept) == 2
    assert (bench.counters.copied, bench.counters.over_quota) == (2, 3)
    assert bench.counters.flow.snapshot().outcomes == {"stored": 5}


def test_bisected_flush_leaves_one_true_summary():
    """Whatever it took to store a flush, `batch` tells once what was stored and what refused."""
    store = FakeStore()
    store.refusing = lambda rows: "poison" if rows.seq == 3 else None
    bench = Bench(store)
    for seq in range(1, 9):
        bench.source.put(DATA_KEY, data(seq))
    bench.source.put(DATA_KEY, b"bad")

    bench.run()

    (minute,) = store.batches(0, 2**60)
    assert (minute.flushes, minute.rows, minute.messages, minute.quarantined) == (1, 7, 9, 2)
    assert len(store.rows("mill", "b1", 0, 2**60)) == 7


def test_summary_refused_by_the_store_costs_no_reading():
    """A store that takes readings but no summary gets the readings; nothing is quarantined."""

    class Store(ScriptedStore):
        def write(self, batch):
            if batch.summary is not None:
                raise Refused("refused", "no such tag")
            super().write(batch)

    bench = Bench(Store())
    bench.source.put(DATA_KEY, data(1))

    bench.run()

    assert bench.store.seqs == [1]
    assert bench.quarantine.kept == []
    assert bench.source.acknowledged == 1


def test_store_away_bounds_what_is_gathered():
    """With the writer busy and a whole flush gathered, nothing more is taken from the source."""
    bench = Bench(ScriptedStore(*[Unavailable("down")] * 1_000_000), rule=FlushRule(rows=10))
    bench.recorder._worker.open()
    for seq in range(1, 201):
        bench.source.put(DATA_KEY, data(seq))
        bench.recorder.turn()
        if seq == 10:
            # The writer has the first flush in work before the second is handed over.
            deadline = time.monotonic() + 10
            while not bench.recorder._worker.free:
                assert time.monotonic() < deadline

    assert bench.source.attended > 100
    assert len(bench.recorder._gathering) <= 10
    assert bench.counters.flow.in_flight <= 30
    assert bench.source.acknowledged == 0
    bench.recorder._worker._stopping.set()


def test_flushes_after_an_outage_are_no_larger_than_the_rule_says():
    """What gathered meanwhile is written in parts that the store takes at once."""
    bench = Bench(ScriptedStore(), rule=FlushRule(rows=10))
    for seq in range(1, 96):
        bench.source.put(DATA_KEY, data(seq))
    with bench.running():
        bench.until(lambda: bench.source.acknowledged == 95)

    assert bench.store.seqs == list(range(1, 96))
    assert [len(batch.rows) for batch in bench.store.batches] == [10] * 9 + [5]


def test_stop_while_writing_is_held_ends_at_once():
    """Where a fault holds the writer, stopping does not wait for it to go away."""
    bench = Bench(ScriptedStore(*[Unavailable("down", retry_after_s=60.0)] * 5))
    bench.recorder._worker.open()
    bench.source.put(DATA_KEY, data(1))
    bench.until(lambda: bench.writing.fault)

    began = time.monotonic()
    bench.recorder._drain()

    assert time.monotonic() - began < 5
    assert bench.source.acknowledged == 0
    assert bench.counters.flow.snapshot().returned == 1
    assert bench.counters.flow.identity().holds


def test_stop_while_a_write_hangs_ends_within_one_patience(monkeypatch):
    """A store that never answers delays the stop once; its messages go back to the broker."""
    monkeypatch.setattr("processor.record._DRAIN_S", 0.1)
    monkeypatch.setattr("processor.writer._LAST_WORD_S", 0.1)
    answer = threading.Event()

    class Store(ScriptedStore):
        def write(self, batch):
            answer.wait(30)

    bench = Bench(Store())
    bench.recorder._worker.open()
    began = time.monotonic()
    for seq in range(1, 4):
        bench.source.put(DATA_KEY, data(seq))
        bench.recorder.turn()
        bench.clock.advance(1)
        bench.recorder.turn()
    bench.recorder._drain()

    assert time.monotonic() - began < 5
    answer.set()
    bench.recorder._worker._thread.join()
    assert bench.source.acknowledged == 0
    assert bench.counters.flow.snapshot().returned == 3
    assert bench.counters.flow.identity().holds


def test_stop_while_the_store_is_away_acknowledges_nothing():
    """What could not be written before the stop goes back to the broker."""
    bench = Bench(ScriptedStore(*[Unavailable("down")] * 100_000))
    gathered_from = bench.recorder._gathering
    bench.source.put(DATA_KEY, data(1))
    bench.recorder._gather(bench.source.fetch(0))
    stopping = threading.Event()
    stopping.set()

    with pytest.raises(Abandoned):
        bench.writing.commit(gathered_from.take(), stopping)

    assert bench.source.acknowledged == 0
    assert bench.counters.flow.in_flight == 1


def test_results_refused_by_the_store_cost_no_reading():
    """An alarm event that the store refuses is quarantined alone; the rows beside it are stored."""
    import msgspec

    from bridge.records import AlarmEvent, AlarmState

    class Store(ScriptedStore):
        def write(self, batch):
            if batch.alarm_events:
                raise Refused("refused", "bad tag")
            super().write(batch)

    event = AlarmEvent(
        id="1",
        site="mill",
        boiler="b1",
        definition="d",
        type="HI",
        metric="steam_pressure",
        state=AlarmState.UNACK,
        previous=AlarmState.NORMAL,
        priority=1,
        at_us=1,
        recorded_at_us=1,
    )
    bench = Bench(Store())
    for seq in range(1, 6):
        bench.source.put(DATA_KEY, data(seq))
    results = msgspec.json.encode([event])
    bench.source.put("steam.results", results, origin=Origin.PROCESSOR)

    bench.run()

    assert bench.store.seqs == [1, 2, 3, 4, 5]
    assert [bad.body for bad in bench.quarantine.kept] == [results]


# -- troubles and handing back


def test_store_that_refuses_is_a_trouble_until_it_takes_again(monkeypatch):
    """A wrong account or bucket is told while it lasts, and the messages stay."""
    monkeypatch.setattr("processor.writing._MISCONFIGURED_WAIT_S", 0.001)
    bench = Bench(ScriptedStore())
    bench.store.failure = Misconfigured("no bucket steam/raw")
    bench.source.put(DATA_KEY, data(1))

    with bench.running():
        bench.until(bench.troubles.standing)
        assert bench.troubles.standing() == {"store_refuses": "no bucket steam/raw"}
        bench.store.failure = None
        bench.until(lambda: bench.source.acknowledged == 1)

    assert bench.troubles.standing() == {}


def test_store_away_is_a_trouble_after_a_minute():
    """A store that is restarted alarms nobody; one that stays away does."""
    bench = Bench(ScriptedStore())
    bench.store.failure = Unavailable("down")
    bench.source.put(DATA_KEY, data(1))

    with bench.running():
        bench.until(bench.troubles.standing)
        assert bench.writing.held_s >= 60
        assert bench.troubles.standing() == {"store_away": "down"}
        bench.store.failure = None
        bench.until(lambda: bench.source.acknowledged == 1)

    assert bench.troubles.standing() == {}
    assert bench.writing.held_s == 0


def test_device_beyond_its_share_is_a_trouble_by_its_name():
    """The one permitted drop is told."""
    bench = Bench(ScriptedStore(), quota=Quota(share=2))
    for _ in range(4):
        bench.source.put(DATA_KEY, b"garbage")

    bench.run()

    assert list(bench.troubles.standing()) == ["device_flooding_dev1"]


def test_unregistered_devices_are_one_trouble_that_names_them():
    """However many there are, they are one alarm."""
    bench = Bench(ScriptedStore())
    for number in range(30):
        bench.source.put(f"steam.v1.mill.new{number}.data", data(1))

    bench.run()

    (note,) = bench.troubles.standing().values()
    assert note.startswith("sent by new0, new1, new2")
    assert "new19;" in note


class FullStore(ScriptedStore):
    """A store that can be read while it takes nothing: its disk is full."""

    def check(self):
        return "scripted"


@pytest.mark.parametrize("store", [ScriptedStore, FullStore])
def test_deliveries_held_for_ten_minutes_are_handed_back_and_taken_anew(monkeypatch, store):
    """The broker would close the channel; so all go back once, and come again with the store."""
    monkeypatch.setattr("processor.record._ASK_STORE_EVERY_S", 0.001)
    bench = Bench(store(), after_s=600)
    bench.store.failure = Unavailable("down")
    for seq in range(1, 6):
        bench.source.put(DATA_KEY, data(seq))
    stopping = threading.Event()
    turn, asked = bench.recorder.turn, []

    def store_answers():
        asked.append(bench.counters.flow.snapshot())
        assert not bench.counters.connected
        assert bench.writing.held_s >= 600
        if len(asked) == 3:
            bench.store.failure = None
            for seq in range(1, 6):
                bench.source.put(DATA_KEY, data(seq), redelivered=True)
        return answers()

    def turn_and_advance():
        turn()
        bench.clock.advance(100 if bench.store.failure else 1)
        if bench.source.acknowledged == 10:
            stopping.set()

    answers, bench.writing.store_answers = bench.writing.store_answers, store_answers
    bench.recorder.turn = turn_and_advance
    bench.recorder.run(stopping)

    assert bench.source.handed_back == 1
    assert (asked[0].in_flight, asked[0].returned) == (0, 5)
    assert set(bench.store.seqs) == {1, 2, 3, 4, 5}
    snapshot = bench.counters.flow.snapshot()
    assert (snapshot.received, snapshot.outcomes["stored"], snapshot.returned) == (10, 5, 5)
    assert bench.counters.flow.identity().holds


def test_bad_messages_held_for_ten_minutes_are_handed_back(monkeypatch):
    """A quarantine that is away holds deliveries too; none is then settled twice."""
    monkeypatch.setattr("processor.record._ASK_STORE_EVERY_S", 0.001)
    quarantine = FakeQuarantine(failures=10_000)
    bench = Bench(ScriptedStore(), quarantine, after_s=600)
    bench.source.put(DATA_KEY, b"garbage")
    stopping = threading.Event()
    turn = bench.recorder.turn

    def turn_and_advance():
        turn()
        bench.clock.advance(50)
        if bench.source.handed_back and quarantine.failures:
            quarantine.failures = 0
            bench.source.put(DATA_KEY, b"garbage", redelivered=True)
        if bench.source.acknowledged == 2:
            stopping.set()

    bench.recorder.turn = turn_and_advance
    bench.recorder.run(stopping)

    assert [bad.body for bad in quarantine.kept] == [b"garbage"]
    snapshot = bench.counters.flow.snapshot()
    assert (snapshot.returned, snapshot.quarantined) == (1, {"malformed": 1})
    assert bench.counters.flow.identity().holds


def test_write_that_ends_after_it_was_left_settles_nothing(monkeypatch):
    """Its messages went back to the broker: it neither counts them nor keeps their bad ones."""
    monkeypatch.setattr("processor.record._DRAIN_S", 0.1)
    monkeypatch.setattr("processor.writer._LAST_WORD_S", 0.1)
    answer = threading.Event()

    class Store(ScriptedStore):
        def write(self, batch):
            assert answer.wait(30)

    bench = Bench(Store())
    bench.recorder._worker.open()
    bench.source.put(DATA_KEY, data(1))
    bench.source.put(DATA_KEY, b"garbage")
    bench.recorder.turn()
    bench.clock.advance(1)
    bench.recorder.turn()
    bench.recorder._drain()
    answer.set()
    bench.recorder._worker._thread.join()

    assert bench.quarantine.kept == []
    assert not bench.writing.waiting
    assert bench.counters.flow.identity().holds


def test_recorder_that_handed_back_tells_no_longer_what_was_wrong():
    """What waited for the quarantine went back, perhaps to another recorder: no alarm stands for it."""
    bench = Bench(ScriptedStore(), FakeQuarantine(failures=10_000))
    bench.source.put(DATA_KEY, b"garbage")
    bench.recorder._worker.open()
    bench.until(lambda: bench.writing.fault)
    bench.recorder._hand_back()

    bench.writing.forget()

    assert bench.writing.fault == ""
    assert "quarantine_away" not in bench.troubles.standing()
