"""The notifier as a whole, with targets that do as they are told."""

import random
import threading
from datetime import timedelta

import pytest

from bridge.clock import from_us
from bridge.records import AlarmState
from processor.counters import NotifierCounters
from processor.notifier.routes import NotificationSettings, Route
from processor.notifier.service import Notifier
from processor.notifier.source import LedgerFailed, MemoryLedger, Outcome
from processor.notifier.sqlite_ledger import SqliteLedger
from processor.notifier.sqlite_outbox import SqliteOutbox
from processor.notifier.target import RoutedTarget
from tests.unit.processor.notifier.fakes import (
    PLANT,
    T0_US,
    MemorySource,
    ScriptedTarget,
    event,
    until,
)

ALL = Route(name="all", targets=[], system=False)


class Clocks:
    """Wall clock and monotonic clock, moved together by hand."""

    def __init__(self):
        self.now_s = 0.0

    def monotonic(self):
        """Seconds."""
        return self.now_s

    def wall(self):
        """The aware moment."""
        return from_us(T0_US) + timedelta(seconds=self.now_s)


class Running:
    """Notifiers in threads of their own, ended with the test."""

    def __init__(self):
        self._running = []

    def start(self, source, targets, *, ledger=None, clocks=None, routes=(ALL,), **settings):
        """Start a notifier on targets given by name."""
        clocks = clocks or Clocks()
        routed = [
            RoutedTarget(name=name, target=target, language="en", routes=tuple(routes))
            for name, target in targets.items()
        ]
        notifier = Notifier(
            NotificationSettings(**settings),
            lambda: PLANT,
            source,
            ledger or MemoryLedger(),
            routed,
            NotifierCounters(),
            clock=clocks.wall,
            monotonic=clocks.monotonic,
            rng=random.Random(1),
            first_retry_s=1.0,
        )
        stopping = threading.Event()
        thread = threading.Thread(target=self._run, args=(notifier, stopping))
        thread.start()
        self._running.append((stopping, thread))
        return notifier

    def _run(self, notifier, stopping):
        # The clocks stand still, so only what is offered wakes a worker that waits to retry.
        notifier.run(stopping)

    def stop(self):
        """End them all."""
        for stopping, thread in self._running:
            stopping.set()
            thread.join(10)
        self._running.clear()


@pytest.fixture
def running():
    running = Running()
    yield running
    running.stop()


@pytest.fixture
def source():
    return MemorySource()


def nudge(notifier, target, clocks, done):
    """Move time on until a waiting retry has been made."""

    def moved():
        clocks.now_s += 400.0
        worker = notifier._workers[target]
        with worker._changed:
            worker._changed.notify()
        return done()

    until(moved)


def test_notifier_transition_reaches_every_target_once_and_is_done(running, source):
    """Each target gets the text, and the source forgets the transition."""
    a, b = ScriptedTarget(), ScriptedTarget()
    notifier = running.start(source, {"a": a, "b": b})

    source.put([event(1)])
    until(lambda: source.finished == ["e1"])

    assert len(a.sent) == len(b.sent) == 1
    assert a.sent[0].title.startswith("ALARM P1 · Caldeira 1")
    assert notifier.counters.notifications_sent == 2
    assert notifier.pending == 0


def test_notifier_dead_target_delays_no_other_and_is_retried(running, source):
    """The good target has all at once; the dead one gets each once when it returns."""
    clocks = Clocks()
    good, dead = ScriptedTarget(), ScriptedTarget(broken=True)
    notifier = running.start(source, {"good": good, "dead": dead}, clocks=clocks)

    source.put([event(1), event(2)])
    until(lambda: len(good.sent) == 2 and dead.attempts >= 1)
    assert source.finished == []

    dead.broken = False
    nudge(notifier, "dead", clocks, lambda: source.finished == ["e1", "e2"])

    assert (len(good.sent), len(dead.sent)) == (2, 2)
    counters = notifier.counters.target("dead")
    assert counters.failed == dead.attempts - 2
    assert counters.retried >= 1
    assert counters.waiting == 0


def test_notifier_slow_target_delays_no_other(running, source):
    """While one target hangs in a send, another gets everything."""
    slow, fast = ScriptedTarget(), ScriptedTarget()
    slow.blocked.clear()
    running.start(source, {"slow": slow, "fast": fast})

    source.put([event(n) for n in range(5)])
    until(lambda: len(fast.sent) == 5)

    assert slow.sent == []
    slow.blocked.set()
    until(lambda: len(source.finished) == 5)


def test_notifier_flood_while_a_target_hangs_becomes_one_message(running, source):
    """More than ten that wait are told in one notification."""
    target = ScriptedTarget()
    target.blocked.clear()
    running.start(source, {"t": target})
    source.put([event(0)])
    until(lambda: target.attempts == 1)

    source.put([event(n) for n in range(1, 31)])
    target.blocked.set()
    until(lambda: len(source.finished) == 31)

    assert len(target.sent) <= 3
    assert "alarm transitions" in target.sent[-1].title


def test_notifier_gives_up_after_the_time_set_and_notes_it(running, source):
    """A target that never works ends a transition after give_up_after_h, not before."""
    clocks, ledger = Clocks(), MemoryLedger()
    good, dead = ScriptedTarget(), ScriptedTarget(broken=True)
    notifier = running.start(
        source, {"good": good, "dead": dead}, clocks=clocks, ledger=ledger, give_up_after_h=1.0
    )
    source.put([event(1)])
    until(lambda: dead.attempts == 1)

    nudge(notifier, "dead", clocks, lambda: source.finished == ["e1"])

    assert clocks.now_s >= 3600.0 - 1.0
    assert ledger.settled("e1") == {"good", "dead"}
    assert notifier.counters.target("dead").given_up == 1
    assert len(good.sent) == 1


def test_notifier_route_that_does_not_ask_is_not_told(running, source):
    """Returns, acknowledgements, low priorities and retroactive alarms are done untold."""
    target = ScriptedTarget()
    route = Route(name="r", targets=[], min_priority=2)
    notifier = running.start(source, {"t": target}, routes=[route])

    source.put(
        [
            event(1, state=AlarmState.RTN_UNACK),
            event(2, state=AlarmState.ACKED),
            event(3, priority=3),
            event(4, retroactive=True),
            event(5),
        ]
    )
    until(lambda: len(source.finished) == 5)

    assert len(target.sent) == 1
    assert notifier.counters.unrouted == 4


def test_notifier_redelivery_while_a_target_retries_tells_nobody_twice(running, source):
    """A lost connection hands all over again; who was told is not told again."""
    clocks = Clocks()
    good, dead = ScriptedTarget(), ScriptedTarget(broken=True)
    notifier = running.start(source, {"good": good, "dead": dead}, clocks=clocks)
    source.put([event(1)])
    until(lambda: len(good.sent) == 1 and dead.attempts >= 1)

    source.lose()
    until(lambda: notifier.counters.duplicate == 1)
    dead.broken = False
    nudge(notifier, "dead", clocks, lambda: source.finished == ["e1"])

    assert (len(good.sent), len(dead.sent)) == (1, 1)
    assert source.kept == {}


def test_notifier_restarted_tells_only_who_was_not_told(running, tmp_path):
    """After the process ends with one target dead, the next one tells that target alone."""
    path = tmp_path / "alarms.db"
    good, dead = ScriptedTarget(), ScriptedTarget(broken=True)
    outbox = SqliteOutbox(path)
    outbox.open()
    notifier = running.start(outbox, {"good": good, "dead": dead}, ledger=SqliteLedger(path))
    outbox.put([event(1), event(2)])
    until(lambda: len(good.sent) == 2 and dead.attempts >= 1)
    assert notifier.pending == 2
    running.stop()

    dead.broken = False
    second = running.start(
        SqliteOutbox(path), {"good": good, "dead": dead}, ledger=SqliteLedger(path)
    )
    until(lambda: second.counters.target("dead").sent == 2 and second.pending == 0)
    running.stop()

    with SqliteOutbox(path) as rest:
        assert rest.waiting() == 0
    assert (len(good.sent), len(dead.sent)) == (2, 2)


def test_notifier_ledger_away_still_notifies(running, source):
    """Without its ledger the notifier may repeat itself after a restart, but is not silent."""

    class Broken(MemoryLedger):
        def settled(self, event_id):
            raise LedgerFailed("disk full")

        def note(self, event_ids, target, outcome: Outcome, at_us):
            raise LedgerFailed("disk full")

    target = ScriptedTarget()
    running.start(source, {"t": target}, ledger=Broken())

    source.put([event(1)])
    until(lambda: source.finished == ["e1"])

    assert len(target.sent) == 1


def test_notifier_processor_silent_is_told_once_and_so_is_its_return(running, source):
    """60 s without a heartbeat tell every system route; the return too; others nothing."""
    clocks = Clocks()
    target, deaf = ScriptedTarget(), ScriptedTarget()
    told = Route(name="r", targets=[])
    notifier = running.start(source, {"t": target}, clocks=clocks, routes=[told])
    quiet = running.start(
        MemorySource(),
        {"deaf": deaf},
        clocks=clocks,
    )
    notifier.heartbeat(T0_US)
    until(notifier.well)

    clocks.now_s += 61.0
    until(lambda: len(target.sent) == 1)
    assert not notifier.well()
    clocks.now_s += 10.0
    notifier.heartbeat(T0_US)
    until(lambda: len(target.sent) == 2)

    assert [one.title for one in target.sent] == [
        "ALARM P1 · Steam: the processor is silent",
        "RETURNED · Steam: the processor is back",
    ]
    until(lambda: quiet._watch.silent)
    assert deaf.sent == []


def test_notifier_target_failing_long_is_not_well(running, source):
    """A target that fails for ten minutes stops the dead man's switch."""
    clocks = Clocks()
    dead = ScriptedTarget(broken=True)
    notifier = running.start(source, {"dead": dead}, clocks=clocks, heartbeat_timeout_s=86_400.0)
    source.put([event(1)])
    until(lambda: dead.attempts >= 1)
    until(notifier.well)

    clocks.now_s += 601.0
    until(lambda: clocks.now_s - notifier._turned_s < 1)  # the loop itself turns

    assert not notifier.well()


def test_notifier_bug_in_the_text_still_alarms(running, source, monkeypatch):
    """Where the text cannot be made, the alarm goes out in poor words."""

    def broken(*_):
        raise KeyError("bug")

    monkeypatch.setattr("processor.notifier.service.render", broken)
    target = ScriptedTarget()
    running.start(source, {"t": target})

    source.put([event(1)])
    until(lambda: len(target.sent) == 1)

    assert "agua-muito-baixa" in target.sent[0].body


def test_notifier_worker_that_dies_ends_the_loop_loudly(source):
    """A bug in a worker's thread raises from the loop instead of silencing a target."""

    class Buggy(ScriptedTarget):
        def send(self, notification):
            raise ZeroDivisionError

    notifier = Notifier(
        NotificationSettings(),
        lambda: PLANT,
        source,
        MemoryLedger(),
        [RoutedTarget(name="t", target=Buggy(), language="en", routes=(ALL,))],
        NotifierCounters(),
    )
    source.put([event(1)])

    with pytest.raises(ZeroDivisionError):
        notifier.run(threading.Event())
