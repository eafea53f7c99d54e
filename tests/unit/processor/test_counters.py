"""What the counters promise: an identity that holds at any time, and Prometheus text."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.adapters.prometheus import exposition
from processor.counters import (
    Counters,
    EvaluatorCounters,
    Flow,
    Histogram,
    NotifierCounters,
    RecorderCounters,
)


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50), st.integers(0, 50)), max_size=20))
def test_flow_whatever_happens_keeps_its_identity(steps):
    """Received equals the sum of the ends while every message ends once."""
    flow = Flow("record", ("stored",))
    for received, bad, returned in steps:
        flow.receive(received, redelivered=received // 2)
        settled = min(bad, flow.in_flight)
        flow.settle(settled, {"stored": settled // 2}, {"malformed": settled - settled // 2})
        flow.give_back(min(returned, flow.in_flight))

    identity = flow.identity()

    assert identity.holds
    assert identity.received == sum(received for received, _, _ in steps)


@pytest.mark.parametrize(("messages", "stored"), [(3, 2), (3, 4), (6, 6)])
def test_flow_message_lost_or_settled_twice_breaks_the_identity(messages, stored):
    """A message without an end, with two, or never received is seen."""
    flow = Flow("record", ("stored",))
    flow.receive(5)

    flow.settle(messages, {"stored": stored})

    assert not flow.identity().holds
    assert "≠" in str(flow.identity())


def test_flow_read_while_written_is_never_seen_halfway():
    """A reader in another thread always sees an identity that holds."""
    record = RecorderCounters()
    done = threading.Event()
    broken = []

    def read():
        while not done.is_set():
            identity = record.flow.identity()
            if not identity.holds:
                broken.append(str(identity))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(5_000):
        record.flow.receive(3)
        record.settle(3, stored=2, quarantined={"malformed": 1})
    done.set()
    reader.join()

    assert broken == []
    assert record.flow.snapshot().outcomes == {"stored": 10_000}


def test_flow_counted_per_batch_costs_little_a_message():
    """At 100 messages a batch the counting stays far below 0.3 µs a message."""
    record = RecorderCounters()
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(200):
            record.flow.receive(100)
            record.settle(100, stored=100)
            record.wrote(100, 10_000, 0.01)
        best = min(best, time.perf_counter() - start)

    assert best / 20_000 < 0.3e-6


def test_histogram_counts_at_bounds_the_way_prometheus_does():
    """An observation equal to a bound belongs to that bound's bucket."""
    histogram = Histogram((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 3.0):
        histogram.observe(seconds)

    assert histogram.cumulative() == [2, 3, 4]
    assert histogram.total == pytest.approx(3.65)


def test_exposition_all_roles_tells_every_figure():
    """The text holds each role's figures with role, outcome, reason and target labels."""
    counters = Counters(RecorderCounters(), EvaluatorCounters(), NotifierCounters())
    counters.record.flow.receive(4, redelivered=1)
    counters.record.settle(3, stored=2, quarantined={"future_time": 1})
    counters.record.wrote(rows=2, written_bytes=300, seconds=0.02)
    counters.evaluate.flow.receive(2)
    counters.evaluate.settle(2, evaluated=1, duplicate=1)
    counters.notify.target("ops (json)").sent = 7

    lines = exposition(counters).decode().splitlines()

    for line in (
        'steam_messages_received_total{role="record"} 4.0',
        'steam_messages_redelivered_total{role="record"} 1.0',
        'steam_messages_in_flight{role="record"} 1.0',
        'steam_messages_settled_total{outcome="stored",role="record"} 2.0',
        'steam_messages_settled_total{outcome="duplicate",role="evaluate"} 1.0',
        'steam_messages_quarantined_total{reason="future_time",role="record"} 1.0',
        'steam_record_write_seconds_bucket{le="0.025"} 1.0',
        "steam_record_rows_total 2.0",
        'steam_notifications_sent_total{target="ops (json)"} 7.0',
    ):
        assert line in lines


def test_counters_without_a_role_leave_it_out():
    """A process that only notifies tells nothing of messages."""
    text = exposition(Counters(notify=NotifierCounters())).decode()

    assert "steam_record" not in text
    assert Counters(notify=NotifierCounters()).identities() == []
