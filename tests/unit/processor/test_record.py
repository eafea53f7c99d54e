"""The recorder's loop: stored or quarantined first, acknowledged after."""

import random
import threading
from datetime import UTC

import pytest
from structlog.testing import capture_logs

from processor.backoff import Backoff
from processor.counters import RecorderCounters
from processor.delivery import Origin
from processor.gathering import FlushRule
from processor.health import Health
from processor.record import Recorder
from processor.writing import Abandoned, Writing
from store.errors import Misconfigured, Refused, TooLarge, Unavailable
from tests.fakes import FakeClock, FakeQuarantine, FakeSource
from tests.messages import DATA_KEY, PLANT, data


class ScriptedStore:
    """A store that answers each write as scripted, then takes everything."""

    def __init__(self, *answers, poison=None, at_most=10_000):
        self.answers = list(answers)
        self.poison = poison
        self.at_most = at_most
        self.batches = []

    def write(self, batch):
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

    def __init__(self, store, quarantine=None):
        self.source = FakeSource()
        self.quarantine = quarantine or FakeQuarantine()
        self.store = store
        self.counters = RecorderCounters()
        self.clock = FakeClock()
        self.writing = Writing(
            store,
            self.quarantine,
            self.counters,
            self.clock,
            zone=UTC,
            recorder="r1",
            backoff=Backoff(0.001, 0.002, random.Random(1)),
        )
        self.recorder = Recorder(
            self.source,
            self.writing,
            lambda: PLANT,
            self.counters,
            self.clock,
            rule=FlushRule(idle_s=0.0),
            retention=None,
            loop=Health().loop("record"),
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
        ("steam.results", b'[{"id":"\xff"}]', Origin.EVALUATOR),
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


def test_quarantine_away_is_waited_for():
    """A bad message is not acknowledged before the quarantine has it."""
    bench = Bench(ScriptedStore(), FakeQuarantine(failures=3))
    bench.source.put(DATA_KEY, b"bad")

    bench.run()

    assert len(bench.quarantine.kept) == 1
    assert bench.source.acknowledged == 1


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
    bench.source.put("steam.results", results, origin=Origin.EVALUATOR)

    bench.run()

    assert bench.store.seqs == [1, 2, 3, 4, 5]
    assert [bad.body for bad in bench.quarantine.kept] == [results]
