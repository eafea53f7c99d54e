"""The watch over the processor, and the dead man's switch over real HTTP."""

import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bridge.clock import to_us
from processor.notifier.watch import DeadMan, Watch, notice
from tests.unit.processor.notifier.fakes import until

NOW = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)


def test_watch_silence_is_told_once_and_its_end_once():
    """60 s without a heartbeat tell; 10 min more tell nothing; the next heartbeat tells."""
    watch = Watch(60.0, started_s=0.0)
    watch.heartbeat(100.0)

    told = [(now_s, watch.check(now_s)) for now_s in (159.9, 160.0, 161.0, 760.0)]
    watch.heartbeat(800.0)
    told += [(now_s, watch.check(now_s)) for now_s in (800.0, 801.0)]

    assert [(now_s, since_s) for now_s, since_s in told if since_s is not None] == [
        (160.0, 60.0),
        (800.0, 700.0),
    ]


def test_watch_never_heard_counts_from_its_start():
    """A processor that never comes is as silent as one that went."""
    watch = Watch(60.0, started_s=1000.0)

    assert watch.check(1059.0) is None
    assert watch.check(1060.0) == 60.0


def test_watch_heartbeats_in_time_tell_nothing():
    """A heartbeat every 10 s keeps it quiet for ever."""
    watch = Watch(60.0, started_s=0.0)

    for now_s in range(0, 3600, 10):
        watch.heartbeat(now_s)
        assert watch.check(now_s + 9.0) is None


def test_notice_dates_the_silence_from_the_last_heartbeat():
    """The notice's times are wall-clock times."""
    watch = Watch(60.0, started_s=0.0)
    since_s = watch.check(90.0)

    told = notice(watch, lambda: NOW, since_s)

    assert told.silent
    assert (told.at_us, told.since_us) == (to_us(NOW), to_us(NOW) - 90_000_000)


@pytest.fixture
def monitor():
    """An external monitor on loopback: (URL, paths asked for, answer's status)."""
    asked, status = [], [200]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/ping/secret", asked, status
    server.shutdown()
    thread.join()
    server.server_close()


def test_dead_man_is_pinged_only_while_all_is_well(monitor):
    """Well: the URL is fetched again and again. Not well: not once more."""
    url, asked, _ = monitor
    well = threading.Event()
    looked = []

    def is_well():
        looked.append(1)
        return well.is_set()

    stopping = threading.Event()
    thread = threading.Thread(target=DeadMan(url, 0.01, is_well).run, args=(stopping,))
    thread.start()
    until(lambda: len(looked) > 3)
    assert asked == []
    well.set()
    until(lambda: len(asked) > 2)
    stopping.set()
    thread.join(5)

    assert set(asked) == {"/ping/secret"}


@pytest.mark.parametrize("away", [False, True])
def test_dead_man_not_reached_keeps_trying_without_its_url(monitor, away):
    """A refusal and a closed port are faults without the URL, and end with the next success."""
    url, _, status = monitor
    status[0] = 503
    dead_man = DeadMan("http://127.0.0.1:1/secret" if away else url, 60.0, lambda: True)

    dead_man.ping()

    assert dead_man.fault
    assert "secret" not in dead_man.fault
    assert dead_man.pings == 0
    if not away:
        status[0] = 200
        dead_man.ping()
        assert (dead_man.pings, dead_man.fault) == (1, "")
