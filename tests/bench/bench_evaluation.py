"""CPU time of evaluating one message: `python -m tests.bench.bench_evaluation`.

One row of 12 metrics a message, 20 alarm definitions a boiler, 100 boilers in turn. The
variants are measured in turn, round by round, so that a busy machine touches all alike;
the figure is the median of the rounds.
"""

import json
import statistics
import sys
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from bridge.messages import Data, decode
from bridge.plant import AlarmDefinition, AlarmType, Boiler, Device, Plant, PlantFile, Site
from bridge.topics import Kind, Topic
from processor.evaluation import Evaluation

METRICS = (
    "steam_pressure",
    "water_level",
    "steam_temperature",
    "steam_flow",
    "feedwater_flow",
    "feedwater_temperature",
    "feedwater_pressure",
    "flue_gas_temperature",
    "oxygen",
    "carbon_monoxide",
    "fuel_flow",
    "draft",
)
BOILERS = 100
MESSAGES = 20_000
ROUNDS = 7
TARGET_US = 12.0
NOW = datetime(2026, 11, 23, tzinfo=UTC)
START_MS = int(NOW.timestamp()) * 1000

Change = Callable[[int, list[float | None]], dict[str, int] | None]


def plant() -> Plant:
    """100 boilers with 20 definitions each, one device a boiler."""
    alarms = [
        AlarmDefinition(
            name=f"{type_.value.lower()}_{metric}",
            metric=metric,
            type=type_,
            setpoint=setpoint,
            deadband=1.0,
            on_delay_s=3.0,
        )
        for metric in METRICS[:10]
        for type_, setpoint in ((AlarmType.HI, 900.0), (AlarmType.LO, -900.0))
    ]
    return Plant(
        PlantFile(
            sites=[Site(name="mill")],
            boilers=[Boiler(name=f"b{n}", site="mill", alarms=alarms) for n in range(BOILERS)],
            devices=[Device(name=f"d{n}", site="mill", boiler=f"b{n}") for n in range(BOILERS)],
        )
    )


def payloads(change: Change) -> list[bytes]:
    """The messages as devices send them, boiler after boiler."""
    encoded = []
    for number in range(MESSAGES):
        seq = number // BOILERS + 1
        row: list[float | None] = [float(number % 97) + column for column in range(len(METRICS))]
        quality = change(seq, row)
        body = {"v": 1, "b": 1, "n": seq, "up": seq * 1000, "t": START_MS + seq * 1000, "ts": 2}
        encoded.append(msgspec.json.encode(body | {"k": METRICS, "r": [[0, *row]], "q": quality}))
    return encoded


def quiet(seq: int, row: list[float | None]) -> None:
    """Every reading within its limits."""


def one_null(seq: int, row: list[float | None]) -> None:
    """One metric without a value."""
    row[5] = None


def one_bad(seq: int, row: list[float | None]) -> dict[str, int]:
    """One reading of bad quality."""
    return {"0,5": 0}


def one_active(seq: int, row: list[float | None]) -> None:
    """One alarm active all the time."""
    row[0] = 950.0


def chattering(seq: int, row: list[float | None]) -> None:
    """Five metrics that pass their limits in every other row, without alarming."""
    if seq % 2:
        row[:5] = [950.0] * 5


def evaluate(encoded: list[bytes]) -> float:
    """µs of CPU a message for `take` alone."""
    evaluation = Evaluation(plant(), NOW)
    topics = [Topic("mill", f"d{number}", Kind.DATA) for number in range(BOILERS)]
    taken = [
        (topics[n % BOILERS], decode(Kind.DATA, b), zlib.crc32(b)) for n, b in enumerate(encoded)
    ]
    take = evaluation.take
    begin = time.process_time()
    for topic, message, crc in taken:
        take(topic, message, crc, NOW)
    return (time.process_time() - begin) / len(encoded) * 1e6


def decode_alone(encoded: list[bytes]) -> float:
    """µs of CPU a message for decoding and its crc32, for comparison."""
    begin = time.process_time()
    for body in encoded:
        message = decode(Kind.DATA, body)
        zlib.crc32(body)
    assert type(message) is Data
    return (time.process_time() - begin) / len(encoded) * 1e6


def tick_alone() -> float:
    """µs of CPU of one tick with 100 boilers, nothing waiting."""
    evaluation = Evaluation(plant(), NOW)
    begin = time.process_time()
    for _ in range(1000):
        evaluation.tick(NOW, 0.0)
    return (time.process_time() - begin) / 1000 * 1e6


def main() -> int:
    """Measure, print the table and the JSON line."""
    variants = {
        change.__name__: payloads(change)
        for change in (quiet, one_null, one_bad, one_active, chattering)
    }
    found: dict[str, list[float]] = {name: [] for name in (*variants, "decode", "tick")}
    for _ in range(ROUNDS):
        for name, encoded in variants.items():
            found[name].append(evaluate(encoded))
        found["decode"].append(decode_alone(variants["quiet"]))
        found["tick"].append(tick_alone())
    figures = {f"{name}_us": round(statistics.median(each), 2) for name, each in found.items()}
    print(f"{'variant':<14}{'median µs':>12}{'best µs':>12}")
    for name, each in found.items():
        print(f"{name:<14}{statistics.median(each):>12.2f}{min(each):>12.2f}")
    met = figures["quiet_us"] <= TARGET_US
    result = {
        "bench": "evaluation",
        "figures": figures,
        "targets": {"quiet_us": TARGET_US},
        "met": met,
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
