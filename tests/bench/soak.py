"""Memory of a processor over time: `python -m tests.bench.soak [--minutes 30] [--rate 500]`.

Both roles at a steady rate; the resident memory is looked at every 5 s. Flat means: the median
of the last quarter is at most 5 % above that of the second.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import pika

from tests.bench.bench_pipeline import DEVICES, payload, plant_text
from tests.bench.bench_rig import bench_rig

TARGETS = {"last_quarter_of_second": 1.05}
_LOOK_EVERY_S = 5.0


def resident_mib(pid: int) -> float:
    """The resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    """Run for so many minutes and print the samples' quarters and the JSON line."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=int, default=500)
    asked = parser.parse_args()
    samples: list[float] = []
    with bench_rig(plant_text()) as rig, rig.rabbitmq.connect() as connection:
        process = rig.spawn("processor")
        channel = connection.channel()
        begun, look_at = time.monotonic(), 0.0
        for number in range(round(asked.minutes * 60 * asked.rate)):
            now = time.monotonic()
            if now >= look_at:
                look_at = now + _LOOK_EVERY_S
                samples.append(resident_mib(process.pid))
                print(f"{now - begun:7.0f} s {samples[-1]:7.1f} MiB", flush=True)
            connection.sleep(max(0.0, begun + number / asked.rate - now))
            device, seq = number % DEVICES, number // DEVICES + 1
            channel.basic_publish(
                "amq.topic",
                f"steam.v1.mill.d{device}.data",
                payload(seq, int(time.time() * 1000)),
                pika.BasicProperties(delivery_mode=2),
            )
        if process.poll() is not None:
            raise SystemExit(rig.logs())
    size = len(samples) // 4
    quarters = [statistics.median(samples[size * n : size * (n + 1)]) for n in range(4)]
    figures: dict[str, object] = {
        "minutes": asked.minutes,
        "messages_per_s": asked.rate,
        "quarters_mib": [round(each, 1) for each in quarters],
        "last_quarter_of_second": round(quarters[3] / quarters[1], 3),
    }
    met = quarters[3] / quarters[1] <= TARGETS["last_quarter_of_second"]
    print(json.dumps({"bench": "soak", "figures": figures, "targets": TARGETS, "met": met}))


if __name__ == "__main__":
    main()
