"""The history: many sessions, one question."""

import threading

import pytest

from bridge.clock import from_us
from panel_app.data.history import LIVE_TTL_S, PAST_TTL_S, History, aligned_span
from store.errors import Unavailable
from store.port import Series

NOW_US = 1_800_000_000_000_000
PAST = (NOW_US - 7_200_000_000, NOW_US - 3_600_000_000)
LIVE = (NOW_US - 3_600_000_000, NOW_US)


class Source:
    """A store that counts what it is asked, and waits where it is told to."""

    def __init__(self):
        self.asked = []
        self.failure = None
        self.gate = threading.Event()
        self.gate.set()

    def series(self, site, boiler, metrics, start_us, end_us, points):
        self.asked.append((boiler, start_us, end_us))
        self.gate.wait(10)
        if self.failure:
            raise self.failure
        return [
            Series(
                metric=metric,
                step_us=0,
                times_us=[],
                minimum=[],
                maximum=[],
                mean=[],
                last=[],
                count=[],
            )
            for metric in metrics
        ]

    def batches(self, start_us, end_us):
        self.asked.append(("batches", start_us, end_us))
        return []

    def alarm_events(self, start_us, end_us, *, boiler=None, limit=10_000):
        self.asked.append((boiler, start_us, limit))
        return []


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def now():
    return [NOW_US]


@pytest.fixture
def history(source, now):
    made = History(source, clock=lambda: from_us(now[0]), entries=4)
    yield made
    made.close()


def ask(history, span=LIVE, boiler="c1"):
    return history.series("norte", boiler, ("oxygen",), span, 500)


def test_same_question_at_the_same_time_is_asked_once(history, source):
    """Ten sessions that look at one view cost the store one query."""
    source.gate.clear()
    futures = [ask(history) for _ in range(10)]
    source.gate.set()

    answers = [future.result(10) for future in futures]

    assert len(source.asked) == 1
    assert all(answer is answers[0] for answer in answers)


@pytest.mark.parametrize(("span", "ttl_s"), [(LIVE, LIVE_TTL_S), (PAST, PAST_TTL_S)])
def test_answer_is_given_again_until_it_is_old(history, source, now, span, ttl_s):
    """A span that reaches the present ages in a second, a past one in a minute."""
    ask(history, span).result(10)
    now[0] += round(ttl_s * 1e6) - 1
    ask(history, span).result(10)
    assert len(source.asked) == 1

    now[0] += 1
    ask(history, span).result(10)

    assert len(source.asked) == 2


def test_failure_is_told_and_not_kept(history, source):
    """After the store is back the same question is asked again at once."""
    source.failure = Unavailable("no answer from 127.0.0.1:8086")
    with pytest.raises(Unavailable):
        ask(history).result(10)

    source.failure = None

    assert ask(history).result(10)[0].metric == "oxygen"


def test_answers_kept_are_bounded(history, source):
    """The least recently used answer goes first."""
    for boiler in ("a", "b", "c", "d"):
        ask(history, PAST, boiler).result(10)
    ask(history, PAST, "a").result(10)
    ask(history, PAST, "e").result(10)
    source.asked.clear()

    ask(history, PAST, "a").result(10)
    ask(history, PAST, "b").result(10)

    assert [boiler for boiler, *_ in source.asked] == ["b"]


def test_different_questions_do_not_share_an_answer(history, source):
    """Boiler, span and limit are part of the question."""
    history.alarm_events(LIVE).result(10)
    history.alarm_events(LIVE, boiler="c1").result(10)
    history.alarm_events(LIVE, limit=5).result(10)
    history.batches(LIVE).result(10)

    assert len(source.asked) == 4


def test_aligned_span_is_the_same_for_sessions_a_moment_apart():
    """The end is put on the grid of one point's width, never before the asked end."""
    hour_us = 3_600_000_000
    first = aligned_span(NOW_US + 1, hour_us, 600)
    second = aligned_span(NOW_US + 5_999_999, hour_us, 600)

    assert first == second
    assert first[1] >= NOW_US + 5_999_999
    assert first[1] - first[0] == hour_us
