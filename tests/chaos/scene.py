"""One case on real servers: Steam behind proxies, traffic with a ledger, and the verdict."""

import contextlib
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import paho.mqtt.client as mqtt

from bridge.plant import parse_plant
from bridge.records import AlarmEvent, AlarmState
from device.sim.link import LinkConfig
from processor.adapters.amqp_desk import AmqpDesk
from processor.alarms.journal import verify
from tests.chaos.ledger import Comparison, Ledger
from tests.chaos.proxy import Proxy
from tests.chaos.traffic import CYCLE, DEVICES, LIMIT, PLANT, SITE, Traffic
from tests.servers.influxdb import InfluxDB1Server
from tests.servers.ports import free_port
from tests.servers.rabbitmq import RabbitMQServer
from tests.system.rig import Rig, wait_until

ALL_TIME_US = (0, 9_000_000_000_000_000)
SYSTEM = "_steam"
_AUDIT_OFTEN = "audit_every_s: 3"
_SAMPLE = re.compile(r"^steam_messages_(\w+?)(?:_total)?\{([^}]*)\} (\S+)$", re.MULTILINE)


@dataclass(slots=True)
class Verdict:
    """What a case showed."""

    comparison: Comparison
    recovery_s: float
    alarms: int
    faults: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return self.comparison.is_clean and not self.faults


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers that all cases share; a case may stop, kill and start them."""

    rabbitmq: RabbitMQServer
    influxdb: InfluxDB1Server


class Replica:
    """One `steam processor` with health endpoints of its own."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self.process.poll() is None

    def get(self, path: str) -> tuple[int, str]:
        """The status and the text of a health endpoint; 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    @property
    def ready(self) -> bool:
        """Whether it says that it has everything it needs."""
        return self.get("/readyz")[0] == 200

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """End it with SIGTERM; its exit code."""
        self.process.terminate()
        return self.process.wait(60)


class Scene:
    """Steam between its proxies in a fresh virtual host and database; a context manager.

    Everything Steam and the devices send goes through `amqp`, `mqtt` and `http`.
    """

    def __init__(self, folder: Path, servers: Servers, settings: str = "") -> None:
        self.folder = folder
        self.servers = servers
        self.ledger = Ledger()
        self.replicas: list[Replica] = []
        self.faults: list[str] = []
        self._settings = settings
        self._stack = ExitStack()
        self._sampling = threading.Event()
        self._samples = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._sampling.set()
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        self.broker = stack.enter_context(self.servers.rabbitmq.address.fresh_vhost())
        self.servers.influxdb.address.clear()
        address = self.servers.influxdb.address
        amqp = urlsplit(self.broker.amqp_url)
        influx = urlsplit(address.url)
        self.amqp = stack.enter_context(Proxy("127.0.0.1", amqp.port or 0))
        self.mqtt = stack.enter_context(Proxy("127.0.0.1", self.broker.mqtt_port))
        self.http = stack.enter_context(Proxy("127.0.0.1", influx.port or 0))
        netloc = f"{amqp.username}:{amqp.password}@127.0.0.1:{self.amqp.port}"
        behind = replace(
            self.broker,
            amqp_url=urlunsplit(amqp._replace(netloc=netloc)),
            mqtt_port=self.mqtt.port,
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        self.rig = Rig(
            self.folder,
            behind,
            replace(address, url=f"http://127.0.0.1:{self.http.port}"),
            PLANT,
            self._settings,
        )
        stack.callback(self.rig.close)
        path = self.folder / "steam.yaml"
        text = path.read_text().replace("management:", f"management:\n  {_AUDIT_OFTEN}")
        path.write_text(text.replace("raw_days: null", "raw_days: 90"))
        self.rig.run("topology", "declare")
        self.rig.run("store", "init")
        self.servers.rabbitmq.await_on_disk("steam.record", "steam.evaluate", "steam.results")
        links = {device: self._link_config(device) for device in DEVICES}
        self.traffic = Traffic(self.ledger, links)
        threading.Thread(target=self._sample, name="identities", daemon=True).start()

    def _link_config(self, device: str) -> LinkConfig:
        """How a device connects, with an account of its own: the client id is its name."""
        name, broker = f"chaos-{device}", self.broker
        broker.api("PUT", f"/users/{name}", {"password": broker.password, "tags": ""})
        rights = {"configure": ".*", "write": ".*", "read": ".*"}
        broker.api("PUT", f"/permissions/{broker.vhost}/{name}", rights)
        return LinkConfig(
            host="127.0.0.1",
            port=self.mqtt.port,
            username=broker.mqtt_user(name),
            password=broker.password,
            keep_alive_s=10,
            puback_timeout_s=10,
            connect_timeout_s=5,
            reconnect_most_s=2,
        )

    # -- processors

    def start_processor(self) -> Replica:
        """Start a processor and wait until it answers."""
        number, port = len(self.replicas) + 1, free_port()
        path = self.folder / f"steam-{number}.yaml"
        text = (self.folder / "steam.yaml").read_text()
        path.write_text(f"{text}health: {{port: {port}}}\n")
        log_path = self.folder / f"processor-{number}.log"
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "steam", "processor"],
                env=self.rig.environment | {"STEAM_CONFIG": str(path)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.rig.processes.append(process)
        replica = Replica(process, port)
        self.replicas.append(replica)
        wait_until(lambda: replica.get("/healthz")[0] == 200, f"processor {number}\n{self.logs()}")
        return replica

    def logs(self) -> str:
        """What every process said."""
        return self.rig.logs()

    @property
    def running(self) -> list[Replica]:
        """The processors that live."""
        return [replica for replica in self.replicas if replica.running]

    # -- time goes by

    def flow(self, messages: int, patience_s: float = 60.0) -> None:
        """Wait until so many more messages are acknowledged by the broker."""
        wanted = self.ledger.acknowledged + messages
        wait_until(
            lambda: self.ledger.acknowledged >= wanted, f"{messages} more PUBACKs", patience_s
        )

    def until(self, reached: Callable[[], Any], what: str, patience_s: float = 60.0) -> Any:
        """Wait until something is so; what was answered."""
        return wait_until(reached, f"{what}\n{self.logs()}", patience_s)

    def steady(self) -> None:
        """Wait until what is published is stored, and alarms are judged."""
        self.flow(4 * CYCLE)
        wanted = self.ledger.identities()
        self.until(lambda: wanted <= self.stored_identities(), "the first messages stored")

    def recovered(self, patience_s: float) -> float:
        """Wait until all that is acknowledged by now is stored; how long that took, in seconds."""
        begun = time.monotonic()
        wanted = self.ledger.identities()
        behind = lambda: wanted - self.stored_identities()  # noqa: E731
        deadline = begun + patience_s * 2
        while behind():
            if time.monotonic() > deadline:
                self.faults.append(f"not recovered after {patience_s * 2:.0f} s")
                return float("inf")
            time.sleep(0.2)
        took = time.monotonic() - begun
        if took > patience_s:
            self.faults.append(f"recovered after {took:.0f} s, more than {patience_s:.0f} s")
        return took

    def acknowledged_within(self, seen: int, seconds: float) -> bool:
        """Whether more than `seen` messages are acknowledged within so many seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.ledger.acknowledged > seen:
                return True
            time.sleep(0.05)
        return False

    def publish(self, topic: str, *bodies: bytes, kept: int | None = None) -> None:
        """Publish bad messages and wait for their PUBACKs; the first `kept` (all) must be kept."""
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311, client_id="steam-test-bad"
        )
        client.username_pw_set(self.broker.mqtt_username, self.broker.password)
        client.max_inflight_messages_set(500)
        client.connect("127.0.0.1", self.broker.mqtt_port)
        client.loop_start()
        try:
            sent = [(body, client.publish(topic, body, qos=1)) for body in bodies]
            for number, (body, info) in enumerate(sent):
                info.wait_for_publish(60)
                assert info.is_published(), "no PUBACK within 60 s"
                if kept is None or number < kept:
                    self.ledger.acknowledge_bad(body)
        finally:
            client.disconnect()
            client.loop_stop()

    def now_ms(self) -> int:
        """Now, in epoch ms."""
        return int(time.time() * 1000)

    # -- what is kept

    def stored_identities(self) -> set[tuple[str, int, int]]:
        """The (device, boot, seq) of which a row is stored."""
        query = {"db": "steam", "rp": "raw", "q": 'SELECT "seq", "device", "boot" FROM "boiler"'}
        try:
            answer = self.servers.influxdb.address._json("/query", query=query)
        except OSError:
            return set()
        series = answer["results"][0].get("series", [])
        return {(row[2], row[3], row[1]) for each in series for row in each["values"]}

    def cardinality(self) -> tuple[int, int]:
        """How many series InfluxDB holds of the boilers, and how many fields."""
        answers = []
        for what in ("SERIES", "FIELD KEYS"):
            query = {"db": "steam", "rp": "raw", "q": f'SHOW {what} FROM "boiler"'}
            (answer,) = self.servers.influxdb.address._json("/query", query=query)["results"]
            answers.append(sum(len(each["values"]) for each in answer.get("series", [])))
        return (answers[0], answers[1])

    def events(self) -> list[AlarmEvent]:
        """Every alarm event stored."""
        with self._store() as store:
            return store.alarm_events(*ALL_TIME_US, limit=1_000_000)

    def system_alarms(self) -> set[str]:
        """The names of the system alarms that were ever raised."""
        return {event.definition for event in self.events() if event.boiler == SYSTEM}

    @contextmanager
    def _store(self) -> Iterator:
        from store.influx import InfluxStore

        address = self.servers.influxdb.address
        with InfluxStore(address.url, token=address.token, org=address.org) as store:
            yield store

    # -- the verdict

    def verdict(self, recovery_s: float, *, alarms_exact: bool = True) -> Verdict:
        """End the traffic, wait for quiet, and compare."""
        self.traffic.end()
        self.until(self.traffic.drained, "everything published")
        wanted = self.ledger.identities()
        with contextlib.suppress(AssertionError):  # the comparison names what is missing
            self.until(lambda: wanted <= self.stored_identities(), "everything stored", 30)
        self.until(self._queues_empty, "empty queues", 30)
        plant = parse_plant(PLANT, Path("plant.yaml"))
        with self._store() as store:
            rows = [
                each
                for boiler in plant.file.boilers
                for each in store.rows(SITE, boiler.name, *ALL_TIME_US)
            ]
        bodies = [message.body for message in AmqpDesk(self.broker.amqp_url).messages(1_000_000)]
        comparison = self.ledger.compare(rows, bodies)
        alarms = self._judge_alarms(exact=alarms_exact)
        for replica in self.running:
            self._check_identities(replica)
        for replica in self.running:
            code = replica.stop()
            if code:
                self.faults.append(f"a processor ended with {code} on SIGTERM")
        if not self._samples:
            self.faults.append("the identities were never seen")
        return Verdict(comparison, recovery_s, alarms, self.faults)

    def _queues_empty(self) -> bool:
        queues = ("steam.record", "steam.evaluate", "steam.results", "steam.unrouted")
        return all(self.rig.queue_length(queue) == 0 for queue in queues)

    def _judge_alarms(self, *, exact: bool) -> int:
        """Compare the activations recorded with those that the readings make; how many there are."""
        expected = {
            (f"b{device[3:]}", at_us)
            for device in DEVICES
            for at_us in _activations(self.ledger.payloads(device))
        }
        if exact:
            with contextlib.suppress(AssertionError):  # what is missing is told below
                self.until(lambda: expected <= self._activated(), "every alarm", 20)
        events = [event for event in self.events() if event.boiler != SYSTEM]
        found = self._activated()
        broken = verify(events)
        if broken:
            self.faults.append(f"the alarm chain is broken: {broken[0]}")
        if exact and found - expected:
            self.faults.append(f"{len(found - expected)} alarms that no reading made")
        if exact and expected - found:
            self.faults.append(f"{len(expected - found)} of {len(expected)} alarms missed")
        return len(found)

    def _activated(self) -> set[tuple[str, int]]:
        """(boiler, time) of every activation recorded."""
        return {
            (event.boiler, event.at_us)
            for event in self.events()
            if event.state is AlarmState.UNACK and event.boiler != SYSTEM
        }

    # -- identities

    def _sample(self) -> None:
        while not self._sampling.wait(0.25):
            for replica in self.running:
                self._check_identities(replica)

    def _check_identities(self, replica: Replica) -> None:
        status, text = replica.get("/metrics")
        if status != 200:
            return
        for role in ("record", "evaluate"):
            received, ended = _sums(text, role)
            self._samples += 1
            if received != ended:
                self.faults.append(f"{role}: received {received:.0f}, accounted {ended:.0f}")


def _sums(text: str, role: str) -> tuple[float, float]:
    """What one role received, and the sum of what it says became of it."""
    received = ended = 0.0
    for name, labels, value in _SAMPLE.findall(text):
        if f'role="{role}"' not in labels or name.endswith("created"):
            continue
        if name == "received":
            received += float(value)
        elif name in ("settled", "quarantined", "in_flight", "returned"):
            ended += float(value)
    return received, ended


def _activations(payloads: list) -> list[int]:
    """When readings in order make the alarm active, in epoch µs."""
    active, found = False, []
    for payload in payloads:
        pressure = payload.r[0][1 + payload.k.index("steam_pressure")]
        if not active and pressure > LIMIT:
            active = True
            found.append(int(payload.t * 1000) + payload.n % 1000)
        elif active and pressure < LIMIT - 0.5:
            active = False
    return found
