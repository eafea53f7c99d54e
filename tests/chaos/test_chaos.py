"""The short faults of `make chaos`, each judged by its ledger; and the judges themselves."""

import contextlib
import socket
import zlib

import pytest

from bridge.records import Rows
from tests.chaos.cases import CASES
from tests.chaos.ledger import Ledger
from tests.chaos.proxy import Proxy
from tests.chaos.run import run_case

SHORT = [case for case in CASES if case.is_short]
SENT = (
    b'{"v":1,"b":1,"n":7,"up":1,"t":1000,"ts":2,"k":["steam_pressure","oxygen"],'
    b'"r":[[0,8.5,null],[5,9,3]]}'
)


@pytest.mark.chaos
@pytest.mark.timeout(240)
@pytest.mark.parametrize("case", SHORT, ids=[case.name for case in SHORT])
def test_fault_loses_nothing(case, servers, tmp_path):
    """Everything acknowledged is stored or quarantined, once, as sent; alarms are exact; recovery is soon."""
    verdict = run_case(case, tmp_path / case.name, servers)

    assert verdict.faults == []
    assert verdict.comparison.lost == []
    assert verdict.comparison.is_clean
    assert verdict.comparison.stored > 100
    assert verdict.alarms >= 8


# -- the ledger


def stored(times_us, values, *, seq=7):
    return [
        Rows(
            site="mill",
            boiler="b1",
            device="dev1",
            boot=1,
            seq=seq,
            metrics=("oxygen", "steam_pressure"),
            times_us=[at_us],
            values=[list(row)],
            quality={},
        )
        for at_us, row in zip(times_us, values, strict=True)
    ]


@pytest.fixture
def ledger():
    ledger = Ledger()
    ledger.send("dev1", 1, 7, SENT)
    ledger.acknowledge("steam/v1/mill/dev1/data", SENT, 1, 7, 0.0)
    return ledger


ROWS = stored([1_000_007, 1_005_007], [(None, 8.5), (3.0, 9.0)])


def test_ledger_equal_to_the_store_is_clean(ledger):
    """Both rows are there, with their values: nothing to say."""
    result = ledger.compare(ROWS, [])

    assert result.is_clean
    assert (result.acknowledged, result.stored, result.quarantined) == (1, 1, 0)


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([], "lost"),
        (ROWS[:1], "different"),
        (stored([1_000_007, 1_005_007], [(None, 8.5), (3.0, 9.1)]), "different"),
        (stored([1_000_007, 1_005_008], [(None, 8.5), (3.0, 9.0)]), "different"),
        ([*ROWS, *stored([1_006_007], [(3.0, 9.0)])], "duplicated"),
        ([*ROWS, *stored([1_000_008], [(None, 1.0)], seq=8)], "unexpected"),
    ],
)
def test_ledger_finds_what_is_wrong(ledger, rows, kind):
    """A row that is missing, changed, moved, twice or nobody's is named."""
    result = ledger.compare(rows, [])

    assert not result.is_clean
    assert len(getattr(result, kind)) == 1


def test_ledger_takes_a_quarantined_message_for_kept(ledger):
    """The quarantine holds it whole; a bad message that is nowhere is lost."""
    ledger.acknowledge_bad(b"garbage")
    ledger.acknowledge_bad(b"garbage")

    result = ledger.compare([], [SENT, b"garbage"])

    assert (result.quarantined, result.lost) == (2, [("(bad message)", zlib.crc32(b"garbage"), 0)])


def test_ledger_counts_what_arrived_without_a_puback_as_recovered():
    """A message whose PUBACK was lost may be stored all the same."""
    ledger = Ledger()
    ledger.send("dev1", 1, 7, SENT)

    result = ledger.compare(ROWS, [])

    assert result.is_clean
    assert result.recovered == 1


# -- the proxy


@pytest.fixture
def echo():
    """A server that sends back what it gets."""
    import socketserver
    import threading

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            while piece := self.request.recv(1000):
                self.request.sendall(piece)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        with Proxy("127.0.0.1", server.server_address[1]) as proxy:
            yield proxy
        server.shutdown()
        thread.join()


def test_proxy_forwards_both_ways(echo):
    """What goes in comes back."""
    with socket.create_connection(("127.0.0.1", echo.port), timeout=5) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"


@pytest.mark.parametrize(("end", "error"), [("cut", None), ("reset", ConnectionResetError)])
def test_proxy_ends_connections_in_order_or_at_once(echo, end, error):
    """A cut is the end of the stream, a reset an error."""
    with socket.create_connection(("127.0.0.1", echo.port), timeout=5) as client:
        client.sendall(b"hello")
        client.recv(100)
        getattr(echo, end)()
        if error is None:
            assert client.recv(100) == b""
        else:
            with pytest.raises(error):
                client.recv(100)


def test_proxy_half_open_moves_nothing_and_never_heals(echo):
    """While it lasts nothing comes; afterwards the old connection ends and a new one works."""
    with socket.create_connection(("127.0.0.1", echo.port), timeout=5) as client:
        client.sendall(b"hello")
        client.recv(100)
        echo.half_open = True
        client.sendall(b"anybody?")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(100)
        echo.half_open = False
        client.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""
    with socket.create_connection(("127.0.0.1", echo.port), timeout=5) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"


def test_proxy_answers_requests_for_itself(echo):
    """Each HTTP request gets the given answer, its body read to the end."""
    echo.answer = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", echo.port), timeout=5) as client:
        for _ in range(2):
            client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab")
            client.sendall(b"cde")
            assert client.recv(1000) == echo.answer
