"""The store port over a real InfluxDB where it goes wrong: accounts, buckets, types, sizes."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest

from bridge.records import Batch, DeviceStatus, Rows
from store.errors import Misconfigured, Refused, StoreError, TooLarge, Unavailable
from store.influx import InfluxStore
from store.port import Retention
from tests.servers.influxdb import InfluxDB, InfluxDBServer
from tests.servers.ports import free_port

AT_US = 1_795_471_800_123_456
FOR_EVER = Retention(raw_days=None, rollup_days=None, events_days=None)


def store_on(server: InfluxDB, **changes) -> InfluxStore:
    asked = {"token": server.token, "org": server.org, "database": "steam"} | changes
    return InfluxStore(server.url, **asked)


@pytest.fixture
def database() -> str:
    return f"t{secrets.token_hex(4)}"


@pytest.fixture
def store(influxdb, database) -> Iterator[InfluxStore]:
    with store_on(influxdb, database=database) as made:
        made.init(FOR_EVER)
        yield made


def batch_of(values, *, device="esp-01", metrics=("a",)) -> Batch:
    rows = Rows(
        site="mill",
        boiler="b1",
        device=device,
        boot=1,
        seq=1,
        metrics=metrics,
        times_us=[AT_US + index for index in range(len(values))],
        values=[[value] for value in values],
    )
    return Batch(batch_id="2026-11-23_22-10", rows=[rows])


def rows_in(store: InfluxStore) -> list[Rows]:
    return store.rows("mill", "b1", 0, 2 * AT_US)


@pytest.mark.influx
def test_influx_type_conflict_is_refused_in_its_words_and_the_rest_stored(
    store, influxdb, database
):
    """A point of another type is refused, told in InfluxDB's words; its neighbours are stored."""
    line = (
        b'boiler,boiler=b1,device=old,site=mill a="text",boot=1i,seq=1i,batch_id="b" %d\n' % AT_US
    )
    parameters = {"bucket": f"{database}/raw", "precision": "us", "org": influxdb.org}
    influxdb.request("POST", "/api/v2/write", query=parameters, body=line)
    batch = batch_of([1.5, 2.5])
    status = DeviceStatus(
        site="mill",
        device="esp-01",
        kind="birth",
        at_us=AT_US,
        boot=1,
        conn=1,
        seq=1,
        state=None,
        body="{}",
    )

    with pytest.raises(Refused, match="refuses at least one point") as caught:
        store.write(Batch(batch_id="b", rows=batch.rows, statuses=[status]))

    assert "type" in caught.value.words
    assert store.statuses(0, 2 * AT_US) == [status]


def test_influx_record_that_line_protocol_cannot_carry_is_refused():
    """A name that would break the line is refused before anything is sent."""
    with (
        InfluxStore("http://127.0.0.1:9") as store,
        pytest.raises(Refused, match="cannot be a tag"),
    ):
        store.write(batch_of([1.0], device="two\nlines"))


@pytest.mark.influx
def test_influx_points_of_others_do_not_break_reading(store, influxdb, database):
    """A point that another program wrote among ours is read, or told as what it is."""
    parameters = {"bucket": f"{database}/raw", "precision": "us", "org": influxdb.org}
    lines = b"boiler,boiler=b1,site=mill a=1 %d\nbatch rows=1i,bytes=2i %d\n" % (AT_US, AT_US)
    influxdb.request("POST", "/api/v2/write", query=parameters, body=lines)

    (found,) = rows_in(store)

    assert (found.metrics, found.values, found.boot, found.device) == (("a",), [[1.0]], 0, "")
    with pytest.raises(Misconfigured, match="did not write"):
        store.batches(0, 2 * AT_US)


@pytest.mark.influx
def test_influx_missing_bucket_is_misconfigured_on_each_path(influxdb, database):
    """Writing to, reading from and checking buckets that are not there ask for `store init`."""
    with store_on(influxdb, database=database) as store:
        for ask in (
            lambda: store.write(batch_of([1.0])),
            lambda: store.batches(0, AT_US),
            store.check,
        ):
            with pytest.raises(Misconfigured, match="steam store init"):
                ask()


@pytest.mark.influx
def test_influx_missing_events_bucket_is_misconfigured(store, influxdb, database):
    """One bucket of the three gone: the text names it."""
    if influxdb.version.startswith("1."):
        drop = f'DROP RETENTION POLICY "events" ON "{database}"'
        influxdb.request("POST", "/query", query={"q": drop})
    else:
        found = influxdb.request("GET", "/api/v2/buckets", query={"name": f"{database}/events"})
        number = msgspec.json.decode(found)["buckets"][0]["id"]
        influxdb.request("DELETE", f"/api/v2/buckets/{number}")

    with pytest.raises(Misconfigured, match=f"{database}/events"):
        store.alarm_heads()
    with pytest.raises(Misconfigured, match=f"{database}/events"):
        store._http.write(f"{database}/events", b"alarm_event n=1i 1795471800123456\n")
    assert store.init(FOR_EVER) == [f"made the bucket {database}/events, its data is kept for ever"]


@pytest.mark.influx
@pytest.mark.parametrize("token", ["", "nobody:wrong"])
def test_influx_wrong_token_is_misconfigured_and_not_shown(store, influxdb, database, token):
    """A token that the server does not accept is told, but not printed, on each path."""
    with store_on(influxdb, database=database, token=token) as other:
        for ask in (
            lambda: other.write(batch_of([1.0])),
            lambda: other.latest("mill", "b1"),
            other.check,
            lambda: other.init(Retention()),
        ):
            with pytest.raises(Misconfigured, match="token") as caught:
                ask()
            assert "nobody:wrong" not in str(caught.value)


@pytest.mark.influx
def test_influx_reader_may_read_but_not_write(store, influxdb, database):
    """An account that may only read is told that it may not write or make buckets."""
    store.write(batch_of([1.0]))
    token = _reader_token(influxdb, database)

    with store_on(influxdb, database=database, token=token) as reader:
        assert len(rows_in(reader)) == 1
        with pytest.raises(Misconfigured, match="grant"):
            reader.write(batch_of([1.0]))
        with pytest.raises(Misconfigured):
            reader.init(Retention())


def _reader_token(server: InfluxDB, database: str) -> str:
    if server.version.startswith("1."):
        for statement in (
            f"CREATE USER \"{database}\" WITH PASSWORD 'reader'",
            f'GRANT READ ON "{database}" TO "{database}"',
        ):
            server.request("POST", "/query", query={"q": statement})
        return f"{database}:reader"
    found = msgspec.json.decode(server.request("GET", "/api/v2/buckets?limit=100"))["buckets"]
    wanted = {
        "orgID": next(bucket["orgID"] for bucket in found),
        "permissions": [
            {"action": "read", "resource": {"type": "buckets", "id": bucket["id"]}}
            for bucket in found
            if bucket["name"].startswith(f"{database}/")
        ],
    }
    body = msgspec.json.encode(wanted)
    made = server.request("POST", "/api/v2/authorizations", body=body)
    token: str = msgspec.json.decode(made)["token"]
    return token


@pytest.mark.influx
def test_influx_unknown_organisation_is_misconfigured(influxdb, database):
    """On 2.x an organisation that is not there is named; 1.8 knows no organisations."""
    if influxdb.version.startswith("1."):
        pytest.skip("InfluxDB 1.8 has no organisations")
    with (
        store_on(influxdb, database=database, org="nobody") as store,
        pytest.raises(Misconfigured, match="nobody"),
    ):
        store.init(FOR_EVER)


@pytest.mark.influx
def test_influx_point_beyond_the_retention_is_refused(influxdb, database):
    """A point older than the bucket keeps is refused in the server's words."""
    with store_on(influxdb, database=database) as store:
        store.init(Retention(raw_days=7))

        with pytest.raises(Refused, match="retention"):
            store._http.write(f"{database}/raw", b"boiler,site=mill a=1 1000000\n")


@pytest.mark.influx
def test_influx_request_that_is_too_large_says_so(store, influxdb, database):
    """More than the server takes (25 MB on 1.8) is TooLarge, though it hangs up while we send."""
    if not influxdb.version.startswith("1."):
        pytest.skip("InfluxDB 2.7 has no limit by default")

    with pytest.raises(TooLarge):
        store._http.write(f"{database}/raw", b"#" * 26_000_000)


@pytest.mark.influx
def test_influx_server_killed_and_back_is_used_again(influxdb_server: InfluxDBServer):
    """While the server is away each call is Unavailable at once; afterwards the store goes on."""
    with store_on(influxdb_server.address) as store:
        store.init(FOR_EVER)
        store.write(batch_of([1.5]))
        influxdb_server.kill()

        with pytest.raises(Unavailable, match="cannot reach"):
            store.write(batch_of([1.5, 2.5]))
        with pytest.raises(Unavailable, match="cannot reach"):
            store.latest("mill", "b1")

        influxdb_server.start()
        store.write(batch_of([1.5, 2.5]))
        assert [rows.values for rows in rows_in(store)] == [[[1.5]], [[2.5]]]


def test_influx_unreachable_server_is_unavailable():
    """Opening a store whose server is away is no error; asking it is Unavailable."""
    url = f"http://127.0.0.1:{free_port()}"

    with InfluxStore(url, token="t") as store:
        for ask in (
            lambda: store.write(batch_of([1.0])),
            store.check,
            store.alarm_heads,
            lambda: store.init(FOR_EVER),
        ):
            with pytest.raises(Unavailable, match=f"cannot reach InfluxDB at {url}"):
                ask()


@pytest.mark.parametrize("url", ["influxdb:8086", "", "ftp://influxdb"])
def test_influx_url_that_is_none_is_misconfigured(url):
    """A URL without http:// is told before anything is asked."""
    with pytest.raises(Misconfigured, match="http://influxdb:8086"):
        InfluxStore(url).open()


@contextmanager
def answering(status: int, headers: dict[str, str], *, silent: bool = False) -> Iterator[str]:
    """A server that gives every request the same answer, or none until the end; yields its URL."""
    ended = threading.Event()

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            if silent:
                ended.wait(30)
                return
            self.send_response(status)
            for name, value in (headers | {"Content-Length": "0"}).items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_):
            """Nothing: the tests' output stays clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            ended.set()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (413, TooLarge),
        (429, Unavailable),
        (503, Unavailable),
        (500, Unavailable),
        (404, Misconfigured),
        (302, Misconfigured),
        (422, Refused),
    ],
)
def test_influx_status_means_the_same_for_writes_and_queries(status, kind):
    """Each status is its kind of error on both paths, made once: no retry of the client's own."""
    with answering(status, {"Retry-After": "3"}) as url, InfluxStore(url, token="t") as store:
        errors: list[StoreError] = []
        for ask in (lambda: store.write(batch_of([1.0])), store.alarm_heads):
            with pytest.raises(kind) as caught:
                ask()
            errors.append(caught.value)

    if kind is Unavailable:
        assert [error.retry_after_s for error in errors] == [3.0, 3.0]


def test_influx_server_that_does_not_answer_is_unavailable():
    """A server that takes the request and is silent is given up after the time-out."""
    with (
        answering(204, {}, silent=True) as url,
        InfluxStore(url, token="t", timeout_s=0.2) as store,
    ):
        with pytest.raises(Unavailable, match=r"within 0\.2 s"):
            store.write(batch_of([1.0]))
        with pytest.raises(Unavailable, match=r"within 0\.2 s"):
            store.alarm_heads()
