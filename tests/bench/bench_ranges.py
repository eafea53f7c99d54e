"""How long a chart's question takes, by its span: `python -m tests.bench.bench_ranges`.

A month of one boiler, a row of 12 metrics every 10 s, in SQLite and in InfluxDB, with roll-ups
and without; four metrics at 1,000 points. Medians of the rounds, the spans asked by turns.
"""

import json
import os
import random
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bridge.records import Batch, Rows
from bridge.series import ROLL_UPS
from store.influx import InfluxStore
from store.port import Retention, Store
from store.sqlite import SqliteStore
from tests.bench.bench_evaluation import METRICS
from tests.servers.influxdb import any_influxdb

DAYS = int(os.environ.get("BENCH_DAYS", "30"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
STEP_US = 10_000_000
POINTS = 1_000
HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000
TARGETS = {"sqlite_month_ms": 100.0, "influx_month_ms": 100.0}
"""A person feels no difference to an hour."""


def fill(store: Store, start_us: int) -> None:
    """Write the month, 2,000 rows a batch."""
    rng = random.Random(1)
    count = DAYS * DAY_US // STEP_US
    for low in range(0, count, 2_000):
        times = [start_us + number * STEP_US for number in range(low, min(low + 2_000, count))]
        values = [[round(rng.uniform(1, 99), 2) for _ in METRICS] for _ in times]
        rows = Rows(
            site="mill",
            boiler="b1",
            device="d1",
            boot=1,
            seq=low,
            metrics=METRICS,
            times_us=times,
            values=values,
        )
        store.write(Batch(batch_id="2026-11-24_08-00", rows=[rows]))


def ask_ms(store: Store, start_us: int, end_us: int) -> float:
    """How long one question takes, in ms."""
    begun = time.perf_counter()
    store.series("mill", "b1", list(METRICS[:4]), start_us, end_us, POINTS)
    return (time.perf_counter() - begun) * 1000


def measure(store: Store, name: str, figures: dict[str, float]) -> None:
    """Fill, ask without roll-ups, make them, ask by turns."""
    store.open()
    store.init(Retention(raw_days=None, rollup_days=None, events_days=None))
    end_us = int(time.time() * 1e6) // DAY_US * DAY_US
    start_us = end_us - DAYS * DAY_US
    fill(store, start_us)
    figures[f"{name}_month_without_ms"] = round(ask_ms(store, start_us, end_us), 1)
    begun = time.perf_counter()
    for day_us in range(start_us, end_us, DAY_US):
        for width_us in ROLL_UPS:
            store.roll_up(width_us, day_us, day_us + DAY_US, ("mill", "b1"))
    figures[f"{name}_rolling_a_day_ms"] = round((time.perf_counter() - begun) * 1000 / DAYS, 1)
    spans = {"hour": HOUR_US, "day": DAY_US, "week": 7 * DAY_US, "month": DAYS * DAY_US}
    found: dict[str, list[float]] = {span: [] for span in spans}
    for _ in range(ROUNDS):
        for span, length_us in spans.items():
            found[span].append(ask_ms(store, end_us - length_us - 1_234_567, end_us - 1_234_567))
    for span, each in found.items():
        figures[f"{name}_{span}_ms"] = round(statistics.median(each), 1)
    figures[f"{name}_month_of_hour"] = round(
        figures[f"{name}_month_ms"] / figures[f"{name}_hour_ms"], 2
    )
    store.close()


def main() -> None:
    """Measure both stores and print the table and the JSON line."""
    figures: dict[str, float] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        measure(SqliteStore(folder / "steam.sqlite"), "sqlite", figures)
        server = stack.enter_context(any_influxdb(folder / "influxdb"))
        influx = InfluxStore(server.url, token=server.token, org=server.org)
        measure(influx, "influx", figures)
    print(f"{'ms':8} {'hour':>8} {'day':>8} {'week':>8} {'month':>8} {'month without':>14}")
    for name in ("sqlite", "influx"):
        cells = [figures[f"{name}_{span}_ms"] for span in ("hour", "day", "week", "month")]
        without = figures[f"{name}_month_without_ms"]
        print(f"{name:8} " + " ".join(f"{cell:8.1f}" for cell in cells) + f" {without:14.1f}")
    met = all(figures[name] <= limit for name, limit in TARGETS.items())
    print(json.dumps({"bench": "ranges", "figures": figures, "targets": TARGETS, "met": met}))


if __name__ == "__main__":
    sys.exit(main())
