"""Images built on a base of Debian's, without a registry, and servers beside them."""

import os
import shutil
from pathlib import Path

import pytest

from tests.images.docker import BASE, IMAGES, Docker, built

if os.environ.get("STEAM_TEST_INFRA") != "1":
    # Not part of the default run: it needs root, an engine and minutes.
    collect_ignore_glob = ["test_*.py"]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def docker(tmp_path_factory):
    """An engine: the one that answers, or Debian's dockerd for this run."""
    with Docker.running(tmp_path_factory.mktemp("docker")) as engine:
        yield engine


@pytest.fixture(scope="session")
def images(docker):
    """Steam's four images, by name."""
    docker.make_base()
    return {name: built(docker, name) for name in IMAGES}


@pytest.fixture(scope="session")
def servers(docker, tmp_path_factory):
    """Images of RabbitMQ and InfluxDB that behave as the official ones do, made here."""
    docker.make_base()
    folder = ROOT / "tests" / "infra" / "images"
    rabbitmq = docker.build(folder / "rabbitmq", "steam-test/rabbitmq:3.10", BASE=BASE)
    influxd = os.environ.get("INFLUXD2") or shutil.which("influxd2")
    if not influxd:
        pytest.skip("an InfluxDB 2.7 server for the image: name one in INFLUXD2")
    context = tmp_path_factory.mktemp("influxdb")
    for path in (folder / "influxdb").iterdir():
        shutil.copy(path, context)
    shutil.copy(influxd, context / "influxd")
    return rabbitmq, docker.build(context, "steam-test/influxdb:2.7", BASE=BASE)
