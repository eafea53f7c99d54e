"""Containers as the last resort: only an image that is local already, or any with STEAM_TEST_DOCKER=1."""

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import docker
import docker.errors
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from tests.servers.influxdb import InfluxDB, set_up
from tests.servers.process import ServerError
from tests.servers.rabbitmq import PLUGINS, RabbitMQ, mqtt_accepts, without_keys

_READY_S = 120.0
# The reaper is one more image to fetch, and each container is removed by its own context manager.
testcontainers_config.ryuk_disabled = True


def image_may_run(image: str) -> bool:
    """Whether Docker answers and `image` is local, or may be fetched because STEAM_TEST_DOCKER=1."""
    if not _docker_listens():
        return False
    try:
        with closing(docker.from_env()) as client:
            if os.environ.get("STEAM_TEST_DOCKER") == "1":
                return True
            client.images.get(image)
    except docker.errors.DockerException:
        return False
    return True


def rabbitmq_container(
    folder: Path, *, conf: Path | None, plugins: Path | None
) -> AbstractContextManager[RabbitMQ] | None:
    """Return a RabbitMQ container (STEAM_TEST_RABBITMQ_IMAGE), or None when none may run."""
    image = os.environ.get("STEAM_TEST_RABBITMQ_IMAGE", "rabbitmq:4-management")
    return _rabbitmq(image, folder, conf, plugins) if image_may_run(image) else None


def influxdb_container() -> AbstractContextManager[InfluxDB] | None:
    """Return an InfluxDB container (STEAM_TEST_INFLUXDB_IMAGE), or None when none may run."""
    image = os.environ.get("STEAM_TEST_INFLUXDB_IMAGE", "influxdb:2.7")
    return _influxdb(image) if image_may_run(image) else None


@contextmanager
def _rabbitmq(
    image: str, folder: Path, conf: Path | None, plugins: Path | None
) -> Iterator[RabbitMQ]:
    folder.mkdir(parents=True, exist_ok=True)
    shipped = (
        without_keys(conf.read_text(encoding="utf-8"), ("listeners.", "mqtt.listeners."))
        if conf
        else ""
    )
    (folder / "steam.conf").write_text(
        f"{shipped}\nmqtt.allow_anonymous = false\n", encoding="utf-8"
    )
    enabled = plugins.read_text(encoding="utf-8") if plugins else f"[{','.join(PLUGINS)}].\n"
    (folder / "enabled_plugins").write_text(enabled, encoding="utf-8")
    username, password = "steam-test", secrets.token_hex(16)
    container = (
        DockerContainer(image)
        .with_exposed_ports(5672, 1883, 15672)
        .with_env("RABBITMQ_DEFAULT_USER", username)
        .with_env("RABBITMQ_DEFAULT_PASS", password)
        .with_volume_mapping(str(folder / "steam.conf"), "/etc/rabbitmq/conf.d/90-steam.conf")
        .with_volume_mapping(str(folder / "enabled_plugins"), "/etc/rabbitmq/enabled_plugins")
    )
    with container:
        host = container.get_container_host_ip()
        broker = RabbitMQ(
            amqp_url=f"amqp://{username}:{password}@{host}:{container.get_exposed_port(5672)}/%2F",
            mqtt_host=host,
            mqtt_port=int(container.get_exposed_port(1883)),
            management_url=f"http://{host}:{container.get_exposed_port(15672)}",
            username=username,
            password=password,
            version="unknown",
        )
        _wait(image, lambda: mqtt_accepts(broker) and bool(broker.api("GET", "/overview")))
        yield replace(broker, version=broker.api("GET", "/overview")["rabbitmq_version"])


@contextmanager
def _influxdb(image: str) -> Iterator[InfluxDB]:
    with DockerContainer(image).with_exposed_ports(8086) as container:
        url = f"http://{container.get_container_host_ip()}:{container.get_exposed_port(8086)}"
        server = InfluxDB(url=url, version="2.7", token=secrets.token_hex(16))
        _wait(image, lambda: bool(server.request("GET", "/health")))
        set_up(server, secrets.token_hex(16))
        yield server


def _wait(image: str, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _READY_S
    while True:
        try:
            if ready():
                return
        except OSError:
            pass  # Not listening yet; the deadline below ends the wait.
        if time.monotonic() > deadline:
            msg = f"the container of {image} was not ready after {_READY_S:.0f} s; see docker logs"
            raise ServerError(msg)
        time.sleep(0.5)


def _docker_listens() -> bool:
    # Asked before docker.from_env(), which leaks its socket (a warning, so an error here) when nobody answers.
    address = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if not address.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(address.removeprefix("unix://")) == 0
