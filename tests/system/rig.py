"""Steam on real servers for system tests: settings, the command line, comparisons."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from store.influx import InfluxStore

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0


def wait_until(condition: Callable[[], object], what: str, patience_s: float = PATIENCE_S):
    """Ask until the answer is true; fails with what was waited for."""
    deadline = time.monotonic() + patience_s
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {patience_s:.0f} s: {what}"
        time.sleep(0.1)


@dataclass
class Rig:
    """A folder with steam.yaml and plant.yaml, pointing at a RabbitMQ and an InfluxDB."""

    folder: Path
    rabbitmq: object
    influxdb: object
    plant_text: str
    extra: str = ""
    processes: list[subprocess.Popen] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        broker = self.rabbitmq
        (self.folder / "plant.yaml").write_text(self.plant_text)
        (self.folder / "steam.yaml").write_text(f"""\
deployment: server
retention: {{raw_days: null, rollup_days: null, events_days: null}}
mqtt:
  host: {broker.mqtt_host}
  port: {broker.mqtt_port}
  username: "{broker.mqtt_username}"
  password: {{env: TEST_MQTT_PASSWORD}}
management:
  url: {broker.management_url}
  username: {broker.username}
  virtual_host: "{broker.vhost}"
influxdb:
  url: {self.influxdb.url}
  org: {self.influxdb.org}
{self.extra}
""")

    @property
    def environment(self):
        return os.environ | {
            "STEAM_AMQP_URL": self.rabbitmq.amqp_url,
            "STEAM_MANAGEMENT_PASSWORD": self.rabbitmq.password,
            "STEAM_INFLUXDB_TOKEN": self.influxdb.token,
            "TEST_MQTT_PASSWORD": self.rabbitmq.password,
            "STEAM_CONFIG": str(self.folder / "steam.yaml"),
            "PYTHONPATH": str(ROOT),
            **self.secrets,
        }

    def run(self, *arguments, expect=0):
        """Run a `steam` command to its end; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "steam", *map(str, arguments)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == expect, (
            f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout + done.stderr

    def spawn(self, *arguments):
        """Start a `steam` command that runs on; its log is in the folder."""
        name = "-".join(map(str, arguments)).replace("/", "_")[:60]
        path = self.folder / f"{name}-{len(self.processes)}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "steam", *map(str, arguments)],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        return process

    def prepare(self):
        """Make the buckets and declare the topology."""
        self.run("store", "init")
        self.run("topology", "declare")

    def store(self):
        """The store, to look into."""
        return InfluxStore(self.influxdb.url, token=self.influxdb.token, org=self.influxdb.org)

    def queue_length(self, queue):
        """How many messages a queue holds, unacknowledged ones included."""
        from urllib.parse import quote

        return self.rabbitmq.api(
            "GET", f"/queues/{quote(self.rabbitmq.vhost, safe='')}/{queue}"
        ).get("messages", 0)

    def logs(self):
        """What every spawned process said."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def close(self):
        """End what still runs."""
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
