"""The health endpoints over real HTTP."""

import json
import socket
import struct
import urllib.error
import urllib.request

import pytest

from processor.health import Health, HealthServer


class Monotonic:
    """A clock that stands until moved."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        """The moment at which it stands, in seconds."""
        return self.now


@pytest.fixture
def clock():
    return Monotonic()


@pytest.fixture
def health(clock):
    return Health(clock)


@pytest.fixture
def server(health):
    with HealthServer("127.0.0.1", 0, health, lambda: b"steam_up 1\n") as server:
        yield server


def get(server, path):
    """(status, body) of a GET."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_healthz_loop_that_turns_is_well(server, health, clock):
    """A loop that ticked within its limit gives 200."""
    loop = health.loop("writer", limit_s=10)
    clock.now += 9
    loop.tick()
    clock.now += 9

    status, body = get(server, "/healthz")

    assert (status, json.loads(body)["ok"]) == (200, True)


def test_healthz_loop_that_hangs_is_named(server, health, clock):
    """A loop without a turn within its limit gives 503 with its name and since when."""
    health.loop("reader", limit_s=10)
    health.loop("writer", limit_s=100)
    clock.now += 42

    status, body = get(server, "/healthz")

    checks = {check["name"]: check for check in json.loads(body)["checks"]}
    assert status == 503
    assert "42 s" in checks["reader"]["detail"]
    assert checks["writer"]["ok"]


def test_readyz_store_away_is_not_ready_though_alive(server, health):
    """What is needed and away gives 503 with the reason; the process still lives."""
    faults = {"store": "cannot reach InfluxDB at localhost:8086"}
    health.loop("writer")
    health.needs("source", lambda: "")
    health.needs("store", lambda: faults["store"])

    status, body = get(server, "/readyz")

    assert status == 503
    assert faults["store"] in body.decode()
    assert get(server, "/healthz")[0] == 200
    faults["store"] = ""
    assert get(server, "/readyz")[0] == 200


def test_metrics_are_served_as_text(server):
    """/metrics answers what the exposition gives."""
    assert get(server, "/metrics?x=1") == (200, b"steam_up 1\n")


def test_unknown_path_says_what_there_is(server):
    """Any other path is 404 and names the endpoints."""
    status, body = get(server, "/../../etc/passwd")

    assert status == 404
    assert b"/healthz" in body


def test_server_closed_frees_its_port(health):
    """After close the same port can be taken again at once."""
    first = HealthServer("127.0.0.1", 0, health, lambda: b"")
    first.open()
    first.close()

    with HealthServer("127.0.0.1", first.port, health, lambda: b"") as second:
        assert get(second, "/healthz")[0] == 200


def test_health_request_that_breaks_off_is_no_news(health, capfd):
    """A probe that closes its connection early leaves no traceback behind."""
    with HealthServer("127.0.0.1", 0, health, lambda: b"x" * 50_000_000) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            connection.recv(10)
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/healthz") as answer:
            assert answer.status == 200

    assert "Traceback" not in capfd.readouterr().err
