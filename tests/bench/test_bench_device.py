"""What the firmware's bench makes of the rows that it heard."""

import json
from types import SimpleNamespace

from tests.bench import bench_device
from tests.bench.bench_device import Heard, missing, p99

BOOTED_S = 1_700_000_000.0
PERIOD_MS = 500


def heard(ups):
    """A listener that heard rows of a boot, each at once."""
    listener = Heard(boot=2)
    listener.rows = {up: (BOOTED_S + up / 1000, 0.0) for up in ups}
    return listener


def message(kind, up_ms, at_s, boot=2, seq=1):
    """A message with one row of `up_ms`."""
    data = {"b": boot, "n": seq, "up": up_ms, "t": int(at_s * 1000), "r": [[0, 7.5]]}
    return SimpleNamespace(topic=f"steam/v1/mill/dev1/{kind}", payload=json.dumps(data))


def test_lateness_of_punctual_rows_is_theirs():
    """Each period has its row, a little late."""
    late = heard(range(501, 60_502, PERIOD_MS)).lateness_ms(BOOTED_S + 0.5, BOOTED_S + 60)

    assert late == [1] * 119
    assert (p99(late), missing(late)) == (1, 0)


def test_lateness_of_a_stalled_loop_is_not_that_of_the_rows_it_began():
    """The loop stands 2.5 s of every 5: half of the periods have no row, and the bench is not met."""
    ups = [up + 1 for up in range(500, 60_500, PERIOD_MS) if up % 5000 < 2500]

    late = heard(ups).lateness_ms(BOOTED_S + 0.5, BOOTED_S + 60)

    assert len(late) == 119
    assert missing(late) == 60
    assert p99(late) > 2000


def test_lateness_without_a_row_at_the_end_counts_the_rows_that_did_not_come():
    """A device that has stopped sampling is not punctual."""
    late = heard(range(501, 30_502, PERIOD_MS)).lateness_ms(BOOTED_S + 0.5, BOOTED_S + 60)

    assert missing(late) == 58


def test_lateness_of_rows_still_to_come_counts_them_as_missing():
    """The rows of an outage come last: until then their span is not a punctual one."""
    late = heard(range(60_501, 90_502, PERIOD_MS)).lateness_ms(BOOTED_S + 5, BOOTED_S + 60)

    assert (len(late), missing(late)) == (110, 110)


def test_lateness_of_nothing_is_not_met():
    """Without a row there is no percentile."""
    late = heard([]).lateness_ms(BOOTED_S + 0.5, BOOTED_S + 60)

    assert not bench_device.met(dict(bench_device.TARGETS) | {"jitter_p99_ms": p99(late)})


def test_lag_of_a_row_that_comes_as_backlog_is_its_own(monkeypatch):
    """A row sampled while draining that waits for the backlog is late, whatever its topic."""
    listener = Heard(boot=2)
    monkeypatch.setattr(bench_device.time, "time", lambda: BOOTED_S + 10)
    listener.take(None, None, message("data", 9500, BOOTED_S + 9.5))
    listener.take(None, None, message("hist", 4000, BOOTED_S + 4))
    listener.take(None, None, message("hist", 4000, BOOTED_S + 4, boot=1, seq=7))

    assert listener.most_lag_s(BOOTED_S + 1, BOOTED_S + 10) == 6
    assert listener.most_lag_s(BOOTED_S + 5, BOOTED_S + 10) == 0.5
    assert (listener.live_since_s, listener.backlog) == (BOOTED_S + 10, {7})


def test_met_with_a_row_missing_is_false():
    """All other figures good, one period without a row."""
    figures = dict(bench_device.TARGETS)

    assert bench_device.met(figures)
    assert not bench_device.met(figures | {"rows_missing": 1})
