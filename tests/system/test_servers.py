"""The servers that the other tests trust: they come up for real, survive what they must, and leave nothing behind."""

import os
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as mqtt
import pika
import pytest

from tests.servers import absence
from tests.servers.containers import influxdb_container, rabbitmq_container
from tests.servers.influxdb import InfluxDB, InfluxDBServer, find_program
from tests.servers.influxdb import from_environment as influxdb_from_environment
from tests.servers.mosquitto import MosquittoServer
from tests.servers.ports import free_port
from tests.servers.process import ServerError, ServerProcess, child_env
from tests.servers.rabbitmq import RabbitMQ, RabbitMQServer, without_keys
from tests.servers.rabbitmq import from_environment as rabbitmq_from_environment

pytestmark = pytest.mark.system


def processes_naming(folder: Path) -> list[str]:
    """Return the command lines of living processes that mention `folder` in their arguments or environment."""
    wanted, found = os.fsencode(folder), []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:  # It ended while we looked, or is not ours.
            continue
        if wanted in text and int(entry.name) != os.getpid():
            found.append(f"{entry.name}: {text[:200]!r}")
    return found


def await_no_process(folder: Path) -> list[str]:
    """Return what still runs for `folder` after giving it two seconds to go."""
    deadline = time.monotonic() + 2
    while (left := processes_naming(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def publish(
    broker_host: str, port: int, account: tuple[str, str] | None, topic: str, payload: bytes
) -> None:
    """Publish one QoS 1 message and wait for its PUBACK."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="test-publisher")
    if account:
        client.username_pw_set(*account)
    client.connect(broker_host, port)
    client.loop_start()
    try:
        client.publish(topic, payload, qos=1).wait_for_publish(10)
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.mark.broker
def test_rabbitmq_mqtt_publish_arrives_over_amqp(rabbitmq_vhost: RabbitMQ) -> None:
    """What a device publishes over MQTT, a consumer gets over AMQP under the same key with dots."""
    broker = rabbitmq_vhost
    with broker.connect() as connection:
        channel = connection.channel()
        channel.queue_declare("taken", durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_bind("taken", "amq.topic", "steam.v1.#")

        account = (broker.mqtt_username, broker.password)
        publish(broker.mqtt_host, broker.mqtt_port, account, "steam/v1/norte/b1/data", b"hello")

        method, _, body = channel.basic_get("taken", auto_ack=True)
        assert (method and method.routing_key, body) == ("steam.v1.norte.b1.data", b"hello")


@pytest.mark.broker
def test_rabbitmq_anonymous_mqtt_client_is_refused(rabbitmq: RabbitMQ) -> None:
    """A client without an account gets no MQTT session."""
    reasons = []
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="nobody")
    client.on_connect = lambda *args: reasons.append(args[3])
    client.connect(rabbitmq.mqtt_host, rabbitmq.mqtt_port)
    deadline = time.monotonic() + 10
    while not reasons and time.monotonic() < deadline:
        client.loop(0.2)

    assert [reason.is_failure for reason in reasons] == [True]


@pytest.mark.broker
@pytest.mark.slow
def test_rabbitmq_killed_and_restarted_keeps_confirmed_message_and_ends_without_a_trace(
    rabbitmq_server: RabbitMQServer,
) -> None:
    """A confirmed message in a quorum queue outlives SIGKILL; after close neither broker nor epmd runs."""
    server = rabbitmq_server
    with server.address.connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("kept", durable=True, arguments={"x-queue-type": "quorum"})
        channel.basic_publish(
            "", "kept", b"42", pika.BasicProperties(delivery_mode=2), mandatory=True
        )
    server.await_on_disk("kept")
    server.kill()
    assert not server.broker.running

    server.start()

    with server.address.connect() as connection:
        _, _, body = connection.channel().basic_get("kept", auto_ack=True)
    assert body == b"42"
    server.close()
    assert await_no_process(server.folder) == []


@pytest.mark.broker
def test_rabbitmq_named_in_the_environment_is_used(rabbitmq: RabbitMQ) -> None:
    """The addresses in STEAM_TEST_AMQP_URL and its neighbours win over a broker of our own."""
    named = {
        "STEAM_TEST_AMQP_URL": rabbitmq.amqp_url,
        "STEAM_TEST_MQTT_URL": f"mqtt://{rabbitmq.mqtt_host}:{rabbitmq.mqtt_port}",
        "STEAM_TEST_RABBITMQ_MANAGEMENT_URL": rabbitmq.management_url,
    }

    assert rabbitmq_from_environment(named) == rabbitmq


def test_rabbitmq_named_in_the_environment_but_away_is_an_error() -> None:
    """A named broker that does not answer is never replaced by another one in silence."""
    away = {"STEAM_TEST_AMQP_URL": f"amqp://127.0.0.1:{free_port()}"}

    with pytest.raises(ServerError, match="STEAM_TEST_AMQP_URL is set, but"):
        rabbitmq_from_environment(away)


@pytest.mark.influx
def test_influxdb_named_in_the_environment_is_used(influxdb: InfluxDB) -> None:
    """STEAM_TEST_INFLUXDB_URL wins over a server of our own, and its version is found out."""
    named = {"STEAM_TEST_INFLUXDB_URL": influxdb.url, "STEAM_TEST_INFLUXDB_TOKEN": influxdb.token}

    assert influxdb_from_environment(named) == influxdb


def test_influxdb_named_in_the_environment_but_away_is_an_error() -> None:
    """A named InfluxDB that does not answer is never replaced by another one in silence."""
    away = {"STEAM_TEST_INFLUXDB_URL": f"http://127.0.0.1:{free_port()}"}

    with pytest.raises(ServerError, match="STEAM_TEST_INFLUXDB_URL is set, but"):
        influxdb_from_environment(away)


def test_influxdb_program_of_the_asked_version_is_found(tmp_path: Path) -> None:
    """1.8 comes from the cache folder; STEAM_TEST_INFLUXDB=2 asks for INFLUXD2."""
    program = tmp_path / "steam" / "bin" / "influxd"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    cache = {"XDG_CACHE_HOME": str(tmp_path), "PATH": ""}

    assert find_program(cache) == ("1.8", program)
    assert find_program({**cache, "STEAM_TEST_INFLUXDB": "2"}) is None
    assert find_program({**cache, "STEAM_TEST_INFLUXDB": "2", "INFLUXD2": str(program)}) == (
        "2.7",
        program,
    )


def test_missing_server_skips_at_home_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """With CI=true a test whose server cannot be had fails; at home it is skipped."""
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no broker"):
        absence.go_without("no broker")

    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception, match="no broker") as skip:
        absence.go_without("no broker")
    report = pytest.TestReport(
        "test", ("file", 1, "test"), {}, "skipped", ("file", 1, f"Skipped: {skip.value}"), "setup"
    )
    assert absence.missing([report, report]) == ["no broker"]


def test_containers_without_docker_are_not_offered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where Docker does not answer there is no container, asked for or not, and no error."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.setenv("STEAM_TEST_DOCKER", "1")

    assert rabbitmq_container(tmp_path, conf=None, plugins=None) is None
    assert influxdb_container() is None


@pytest.mark.influx
def test_influxdb_point_written_is_read(influxdb_empty: InfluxDB) -> None:
    """A point written through /api/v2/write is answered by InfluxQL through /query."""
    server = influxdb_empty
    make_bucket(server)

    query = {"bucket": "steam/raw", "org": server.org, "precision": "us"}
    server.request(
        "POST", "/api/v2/write", query=query, body=b"boiler,boiler=b1 steam_pressure=7.93 1000000"
    )

    assert b'["1970-01-01T00:00:01Z",7.93]' in select(server)


@pytest.mark.influx
def test_influxdb_wrong_token_is_refused(influxdb: InfluxDB) -> None:
    """The test server asks for its token, as a production server does."""
    stranger = InfluxDB(url=influxdb.url, version=influxdb.version, token="steam-test:wrong")

    with pytest.raises(urllib.error.HTTPError) as caught:
        stranger.request(
            "POST", "/api/v2/write", query={"bucket": "steam/raw", "org": "steam"}, body=b"m f=1"
        )

    caught.value.close()
    assert caught.value.code == 401


@pytest.mark.influx
def test_influxdb_killed_and_restarted_keeps_written_point_and_ends_without_a_trace(
    influxdb_server: InfluxDBServer, tmp_path: Path
) -> None:
    """A point acknowledged with 204 outlives SIGKILL; after stop nothing of the server runs."""
    server = influxdb_server
    make_bucket(server.address)
    query = {"bucket": "steam/raw", "org": "steam", "precision": "us"}
    server.address.request(
        "POST", "/api/v2/write", query=query, body=b"boiler steam_pressure=7.93 1000000"
    )
    server.kill()
    server.start()

    assert b'["1970-01-01T00:00:01Z",7.93]' in select(server.address)
    server.stop()
    assert await_no_process(tmp_path / "influxdb") == []


def test_mosquitto_takes_a_publish_and_ends_without_a_trace(mosquitto: MosquittoServer) -> None:
    """Mosquitto acknowledges a QoS 1 publish, can be started again, and stops without leaving a process."""
    publish(mosquitto.host, mosquitto.port, None, "steam/v1/norte/b1/data", b"hello")

    mosquitto.stop()
    assert await_no_process(mosquitto.folder) == []
    mosquitto.start()


def test_mosquitto_with_two_listeners_answers_on_both(
    new_mosquitto: Callable[[str], MosquittoServer],
) -> None:
    """Each listener of a configuration keeps its own settings on a port of its own."""
    conf = "allow_anonymous true\nlistener 1883\nmount_point outer/\nlistener 1884 0.0.0.0\n"

    server = new_mosquitto(conf)

    assert len(set(server.ports)) == 2
    for port in server.ports:
        publish(server.host, port, None, "steam/v1/norte/b1/data", b"hello")


def test_process_that_ends_early_is_reported_with_its_last_words(tmp_path: Path) -> None:
    """A server that dies while it starts gives an error holding what it printed."""
    process = ServerProcess(
        "shortlived",
        ["sh", "-c", "echo port taken; exit 3"],
        folder=tmp_path,
        env=child_env(tmp_path),
    )
    process.start()

    with pytest.raises(ServerError, match=r"ended before it was ready(?s:.*)port taken"):
        process.wait_ready(lambda: False, timeout_s=10)


def test_process_that_ignores_its_stop_signal_is_killed_and_reported(tmp_path: Path) -> None:
    """A server that does not end when asked is killed, and the test that used it hears of it."""
    script = "trap '' TERM; echo up; while :; do sleep 0.1; done"
    process = ServerProcess(
        "stubborn", ["sh", "-c", script], folder=tmp_path, env=child_env(tmp_path)
    )
    process.start()
    process.wait_ready(lambda: "up" in process.log_tail(), timeout_s=10)

    with pytest.raises(ServerError, match="did not end"):
        process.stop(timeout_s=0.2)

    assert not process.running


def test_conf_without_keys_drops_listeners_and_keeps_the_rest() -> None:
    """The shipped rabbitmq.conf loses its listeners, and nothing else."""
    conf = "listeners.tcp.default = 5672\n  mqtt.listeners.tcp.default = 1883\nmqtt.prefetch = 10\n# listeners here\n"

    assert (
        without_keys(conf, ("listeners.", "mqtt.listeners."))
        == "mqtt.prefetch = 10\n# listeners here"
    )


def make_bucket(server: InfluxDB) -> None:
    """Make the bucket `steam/raw` the way the server's version wants it."""
    if server.version.startswith("1."):
        statement = 'CREATE DATABASE "steam" WITH DURATION INF REPLICATION 1 NAME "raw"'
        server.request("POST", "/query", query={"q": statement})
        return
    orgs = server.request("GET", "/api/v2/orgs", query={"org": server.org})
    org_id = orgs.split(b'"id": "', 1)[1].split(b'"', 1)[0].decode()
    body = f'{{"orgID": "{org_id}", "name": "steam/raw", "retentionRules": []}}'
    server.request("POST", "/api/v2/buckets", body=body.encode())


def select(server: InfluxDB) -> bytes:
    """Return the raw answer to a query for every steam_pressure."""
    return server.request(
        "GET",
        "/query",
        query={"db": "steam", "rp": "raw", "q": "SELECT steam_pressure FROM boiler"},
    )
