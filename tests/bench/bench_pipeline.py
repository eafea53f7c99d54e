"""Drain of a backlog RabbitMQ -> InfluxDB, and publish-to-stored: `python -m tests.bench.bench_pipeline`.

One row of 12 metrics a message. A null consumer (pika, multiple acknowledgement, nothing else)
is measured in turn with the recorder and the evaluator, each as a process of its own; figures are
medians of the rounds. Rates count from the first to the last message settled.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pika

from bridge.records import Batch
from steam.loops import Loops
from steam.server import Processor
from steam.settings import load_settings
from tests.bench.bench_evaluation import METRICS
from tests.bench.bench_rig import bench_rig
from tests.servers.ports import free_port
from tests.system.rig import ROOT, Rig

MESSAGES = int(os.environ.get("BENCH_MESSAGES", "100000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "2"))
DEVICES = 50
LIVE_RATE, LIVE_S = 500, 15
TARGETS = {
    "recorder_us_above_null": 25.0,
    "evaluator_us_above_null": 25.0,
    "recorder_peak_mib": 100.0,
    "evaluator_peak_mib": 100.0,
}
_TICKS = os.sysconf("SC_CLK_TCK")
_POLL_S = 0.2  # Each look at /metrics costs the measured process about 2 ms.

NULL_CONSUMER = """
import sys, time, pika
url, queue, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3])
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.basic_qos(prefetch_count=10_000)
seen, begun = 0, 0.0
def on_message(channel, method, properties, body):
    global seen, begun
    begun = begun or time.monotonic()
    seen += 1
    if seen % 500 == 0 or seen == wanted:
        channel.basic_ack(method.delivery_tag, multiple=True)
channel.basic_consume(queue, on_message)
cpu = time.process_time()
while seen < wanted:
    connection.process_data_events(0.5)
print(time.monotonic() - begun, time.process_time() - cpu)
connection.close()
"""


@dataclass
class Drain:
    """What one drain of the backlog took."""

    seconds: float
    cpu_us: float
    peak_mib: float = 0.0

    @property
    def rate(self) -> float:
        return MESSAGES / self.seconds


def plant_text() -> str:
    """50 boilers with 20 definitions each, one device a boiler."""
    alarms = "\n".join(
        f"      - {{name: {kind.lower()}_{metric}, metric: {metric}, type: {kind}, setpoint: {limit},"
        " deadband: 1, on_delay_s: 3}"
        for metric in METRICS[:10]
        for kind, limit in (("HI", 900), ("LO", -900))
    )
    boilers = "\n".join(
        f"  - name: b{n}\n    site: mill\n    alarms: {'&alarms' if n == 0 else '*alarms'}"
        + (f"\n{alarms}" if n == 0 else "")
        for n in range(DEVICES)
    )
    devices = "\n".join(f"  - {{name: d{n}, site: mill, boiler: b{n}}}" for n in range(DEVICES))
    return f"sites: [{{name: mill}}]\nboilers:\n{boilers}\ndevices:\n{devices}\n"


def payload(seq: int, at_ms: int) -> bytes:
    row = [0, *(round(seq % 97 + column * 1.37, 2) for column in range(len(METRICS)))]
    body = {"v": 1, "b": 1, "n": seq, "up": seq, "t": at_ms, "ts": 2, "k": METRICS, "r": [row]}
    return msgspec.json.encode(body)


def fill(rig: Rig, boot_ms: int) -> None:
    """Put the backlog where devices would: one message a device in turn."""
    with rig.rabbitmq.connect() as connection:
        channel = connection.channel()
        for number in range(MESSAGES):
            device, seq = number % DEVICES, number // DEVICES + 1
            channel.basic_publish(
                "amq.topic",
                f"steam.v1.mill.d{device}.data",
                payload(seq, boot_ms + seq),
                pika.BasicProperties(delivery_mode=2),
            )
        for queue in ("steam.record", "steam.evaluate"):
            while ready(channel, queue) < MESSAGES:
                connection.sleep(0.2)


def ready(channel: object, queue: str) -> int:
    return channel.queue_declare(queue, passive=True).method.message_count  # type: ignore[attr-defined]


def drain_null(rig: Rig) -> Drain:
    done = subprocess.run(
        [sys.executable, "-c", NULL_CONSUMER, rig.rabbitmq.amqp_url, "steam.record", str(MESSAGES)],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, cpu_s = map(float, done.stdout.split())
    return Drain(seconds, cpu_s / MESSAGES * 1e6)


def drain_role(rig: Rig, role: str, outcome: str, port: int) -> Drain:
    """Run `steam processor` in one role until everything is settled."""
    process = rig.spawn("processor", "--role", role)
    try:
        begun = first = 0.0
        cpu_before = cpu_s(process.pid)
        settled = 0
        while settled < MESSAGES:
            if process.poll() is not None:
                raise SystemExit(rig.logs())
            time.sleep(_POLL_S)
            settled = settled_of(port, role, outcome)
            if settled and not begun:
                begun, first, cpu_before = time.monotonic(), settled, cpu_s(process.pid)
        seconds = time.monotonic() - begun
        spent = cpu_s(process.pid) - cpu_before
        share = (MESSAGES - first) / MESSAGES
        return Drain(seconds / share, spent / (MESSAGES - first) * 1e6, peak_mib(process.pid))
    finally:
        process.terminate()
        process.wait(60)


def settled_of(port: int, role: str, outcome: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return 0
    for line in text.splitlines():
        if not line.startswith("#") and f'role="{role}"' in line and f'"{outcome}"' in line:
            return int(float(line.rsplit(" ", 1)[1]))
    return 0


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


class TimedStore:
    """Notes how long after its publishing each row was stored (the row's time is when)."""

    def __init__(self, store: object, waits_ms: list[float]) -> None:
        self._store = store
        self._waits_ms = waits_ms

    def write(self, batch: Batch) -> None:
        self._store.write(batch)  # type: ignore[attr-defined]
        now_ms = time.time() * 1000
        self._waits_ms += [now_ms - rows.times_us[0] // 1000 for rows in batch.rows]

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def publish_to_stored(rig: Rig, rate: int = LIVE_RATE) -> list[float]:
    """The waits in ms at a steady rate."""
    os.environ.update(rig.environment)
    waits_ms: list[float] = []

    class Timed(Processor):
        def _store(self):
            return TimedStore(super()._store(), waits_ms)

    loops = Loops()
    processor = Timed(load_settings(rig.folder / "steam.yaml"), roles=frozenset({"record"}))
    thread = threading.Thread(target=processor.run, args=(loops,))
    thread.start()
    # In a process of its own: here it would keep the recorder from running.
    publisher = [sys.executable, "-m", "tests.bench.publisher", rig.rabbitmq.amqp_url]
    subprocess.run([*publisher, str(rate), str(LIVE_S)], check=True, cwd=ROOT)
    wanted, deadline = rate * LIVE_S, time.monotonic() + 30
    while len(waits_ms) < wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    loops.stopping.set()
    thread.join()
    # What was not stored in time waited for ever.
    return sorted(waits_ms) + [float("inf")] * (wanted - len(waits_ms))


def main() -> None:
    """Run the rounds and print the table and the JSON line."""
    drains: dict[str, list[Drain]] = {"null": [], "record": [], "evaluate": []}
    port = free_port()
    with bench_rig(plant_text(), f"health: {{port: {port}}}\n") as rig:
        boot_ms = int(time.time() * 1000) - 3_600_000
        for round_ in range(ROUNDS):
            fill(rig, boot_ms + round_ * 10_000_000 // 10)
            drains["evaluate"].append(drain_role(rig, "evaluate", "evaluated", port))
            drains["record"].append(drain_role(rig, "record", "stored", port))
            fill(rig, boot_ms + round_ * 10_000_000 // 10)
            drains["null"].append(drain_null(rig))
            with rig.rabbitmq.connect() as connection:
                connection.channel().queue_purge("steam.evaluate")
        path = rig.folder / "steam.yaml"
        path.write_text(path.read_text().replace(f"health: {{port: {port}}}", ""))
        waits_ms = publish_to_stored(rig)
    report(drains, waits_ms)


def report(drains: dict[str, list[Drain]], waits_ms: list[float]) -> None:
    figures: dict[str, float] = {}
    for name, label in (("null", "null"), ("record", "recorder"), ("evaluate", "evaluator")):
        each = drains[name]
        figures[f"{label}_messages_per_s"] = round(statistics.median(d.rate for d in each))
        figures[f"{label}_cpu_us"] = round(statistics.median(d.cpu_us for d in each), 1)
        figures[f"{label}_peak_mib"] = round(statistics.median(d.peak_mib for d in each), 1)
    for label in ("recorder", "evaluator"):
        above = figures[f"{label}_cpu_us"] - figures["null_cpu_us"]
        figures[f"{label}_us_above_null"] = round(above, 1)
    figures["publish_to_stored_p50_ms"] = round(waits_ms[len(waits_ms) // 2], 1)
    figures["publish_to_stored_p95_ms"] = round(waits_ms[int(len(waits_ms) * 0.95)], 1)
    print(f"{'':10} {'messages/s':>12} {'CPU µs/message':>15} {'peak MiB':>10}")
    for label in ("null", "recorder", "evaluator"):
        print(
            f"{label:10} {figures[f'{label}_messages_per_s']:12,.0f} "
            f"{figures[f'{label}_cpu_us']:15.1f} {figures[f'{label}_peak_mib']:10.1f}"
        )
    print(
        f"publish to stored at {LIVE_RATE} messages/s: p50 {figures['publish_to_stored_p50_ms']} ms, "
        f"p95 {figures['publish_to_stored_p95_ms']} ms"
    )
    met = all(figures[name] <= limit for name, limit in TARGETS.items())
    print(json.dumps({"bench": "pipeline", "figures": figures, "targets": TARGETS, "met": met}))


if __name__ == "__main__":
    main()
