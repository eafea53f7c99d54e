"""The compose file on an engine: every service comes up, data flows, and it ends in order."""

import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import go_without
from tests.servers.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "steam-test"
HEALTHY_S = 120


class Compose:
    """The project's compose file in a folder of its own, on free ports."""

    def __init__(self, docker, folder, servers):
        self.docker = docker
        program = shutil.which("docker-compose")
        if program is None:
            go_without("docker-compose: as root on Debian, apt-get install docker-compose")
        self.program = program
        self.folder = folder / "infra" / "compose"
        shutil.copytree(
            ROOT / "infra" / "compose", self.folder, ignore=shutil.ignore_patterns("secrets")
        )
        for path in ("bridge/rabbitmq", "steam/demo_plant.yaml"):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            source = ROOT / path
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        self.panel_port = free_port()
        text = (self.folder / "compose.yaml").read_text()
        for published in ("1883:1883", "15672:15672", "8086:8086"):
            text = text.replace(f":{published}", f":{free_port()}:{published.partition(':')[2]}")
        text = text.replace("127.0.0.1:5006:5006", f"127.0.0.1:{self.panel_port}:5006")
        (self.folder / "compose.yaml").write_text(text)
        subprocess.run([str(self.folder / "make-secrets")], check=True)
        self.env = {
            "REGISTRY": "steam-boilers",
            "TAG": "latest",
            "RABBITMQ_IMAGE": servers[0],
            "INFLUXDB_IMAGE": servers[1],
            "COMPOSE_PROFILES": "sim",
            "PATH": "/usr/bin:/bin",
        }

    def __call__(self, *arguments):
        done = subprocess.run(
            [self.program, "--project-name", PROJECT, *arguments],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def container(self, service):
        return f"{PROJECT}_{service}_1"

    def state(self, service):
        return self.docker.inspect(self.container(service))["State"]

    def metric(self, service, start):
        """The value of the first metric that begins so."""
        code = (
            "import urllib.request as u;"
            "print(u.urlopen('http://127.0.0.1:9100/metrics').read().decode())"
        )
        text = self.docker.run("exec", self.container(service), "python3", "-c", code)
        return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(start))


def until(condition, what, within_s=HEALTHY_S):
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def compose(docker, images, servers, tmp_path_factory):
    compose = Compose(docker, tmp_path_factory.mktemp("compose"), servers)
    try:
        compose("up", "--detach")
        yield compose
    finally:
        compose("down", "--volumes", "--timeout", "5")


def test_services_come_up_healthy(compose):
    """In their order, each by its own health check."""
    for service in ("rabbitmq", "influxdb", "processor", "panel"):
        until(
            lambda service=service: compose.state(service)["Health"]["Status"] == "healthy", service
        )
    for service in ("definitions", "prepare"):
        assert compose.state(service)["ExitCode"] == 0


def test_readings_of_simulated_boilers_are_stored_and_shown(compose):
    """From the producer through the broker into InfluxDB, and live on the dashboard."""
    until(
        lambda: compose.metric("processor", 'steam_messages_settled_total{outcome="stored"') > 20,
        "messages stored",
    )

    with urllib.request.urlopen(f"http://127.0.0.1:{compose.panel_port}/healthz") as answer:
        shown = json.load(answer)
    assert shown["live_feed"]
    assert shown["data_age_s"] < 30


def test_idle_processor_is_small(compose):
    """What it holds with three boilers: at most 70 MiB."""
    used = compose.metric("processor", "process_resident_memory_bytes") / 2**20

    print(f"processor: {used:.0f} MiB resident")
    assert used <= 70


def test_stopped_processor_ends_in_order(compose):
    """SIGTERM: what it has is stored and acknowledged, and the exit code is 0."""
    compose("stop", "--timeout", "60", "processor")

    assert compose.state("processor")["ExitCode"] == 0
    assert not compose.state("processor")["OOMKilled"]
