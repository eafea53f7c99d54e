"""Whether a message costs the same however much there is: `python -m tests.bench.bench_growth`.

The recorder's CPU a message with 10 and with 1,000 devices, and in front of an empty and of a
queue of a million messages; by turns, medians of the rounds.
"""

import json
import os
import sys

from tests.bench.bench_rig import bench_rig
from tests.bench.bench_telegraf import Bench

MESSAGES = int(os.environ.get("BENCH_MESSAGES", "50000"))
BACKLOG = int(os.environ.get("BENCH_BACKLOG", "1000000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
FEW, MANY = 10, 1_000
TARGETS = {"many_devices_of_few": 1.1, "large_backlog_of_small": 1.1}


def plant_text() -> str:
    """A thousand boilers, a device each."""
    boilers = "\n".join(f"  - {{name: b{number}, site: mill}}" for number in range(MANY))
    devices = "\n".join(
        f"  - {{name: d{number}, site: mill, boiler: b{number}}}" for number in range(MANY)
    )
    return f"sites: [{{name: mill}}]\nboilers:\n{boilers}\ndevices:\n{devices}\n"


def measure(bench: Bench, name: str, backlog: int, devices: int) -> None:
    """Drain the first MESSAGES of a backlog."""
    bench.devices = devices
    bench.fill(backlog, 1, ("steam.record",))
    process = bench.rig.spawn("processor", "--role", "record")
    bench.note(name, bench.drained(process, "steam", MESSAGES, 1))


def main() -> None:
    """Run the rounds and print the table and the JSON line."""
    with bench_rig(plant_text()) as rig:
        bench = Bench(rig, 0, None)
        for _ in range(ROUNDS):
            measure(bench, "few devices", MESSAGES, FEW)
            measure(bench, "many devices", MESSAGES, MANY)
        measure(bench, "large backlog", BACKLOG, FEW)
        measure(bench, "few devices", MESSAGES, FEW)
    report(bench)


def report(bench: Bench) -> None:
    """Print the medians, and what was met."""
    names = ("few devices", "many devices", "large backlog")
    cpu = {name: bench.median(name, "cpu_us") for name in names}
    for name in names:
        print(
            f"{name:15} {bench.median(name, 'rows_per_s'):10,.0f} messages/s {cpu[name]:6.1f} µs/message "
            f"{bench.median(name, 'peak_mib'):6.1f} MiB"
        )
    figures = {name.replace(" ", "_") + "_cpu_us": round(each, 1) for name, each in cpu.items()}
    figures["many_devices_of_few"] = round(cpu["many devices"] / cpu["few devices"], 2)
    figures["large_backlog_of_small"] = round(cpu["large backlog"] / cpu["few devices"], 2)
    met = all(figures[name] <= limit for name, limit in TARGETS.items())
    print(json.dumps({"bench": "growth", "figures": figures, "targets": TARGETS, "met": met}))


if __name__ == "__main__":
    sys.exit(main())
