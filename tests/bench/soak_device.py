"""Ours beside umqtt.simple and umqtt.robust on one fault proxy: `soak_device [--minutes 10] [--seed N]`.

Each device runs on the MicroPython that boards run, makes a number five times a second, writes it
into a ledger, and publishes it with QoS 1 through its own door of the same kind of proxy; all doors
fail at once, before a real mosquitto. Who listens at the broker says what arrived.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as mqtt

from tests.chaos.proxy import Proxy
from tests.firmware import micropython
from tests.servers.mosquitto import MosquittoServer, own_mosquitto

PERIOD_MS = 200
TARGETS = {"lost": 0, "doubled": 0, "hung": False}
_PROGRAMS = Path(__file__).parents[1] / "firmware" / "programs"
_DEVICES = ("steam", "umqtt.simple", "umqtt.robust")
_NAMES = {"steam": "dev1", "umqtt.simple": "simple", "umqtt.robust": "robust"}
_HEAP = "600k"
_HEAP_BYTES = 600 * 1024
_QUIET_S = 12.0
_BROKER = "allow_anonymous true\npersistence true\nmax_queued_messages 0\n"


@dataclass(slots=True)
class Arrivals:
    """What a listener at the broker got of one device."""

    numbers: Counter[int] = field(default_factory=Counter)
    identities: dict[tuple[int, int], bytes] = field(default_factory=dict)
    at_s: list[float] = field(default_factory=list)
    heap: int | None = None


@dataclass(slots=True)
class Contender:
    """One device: its folder, its door, its process, and what arrived."""

    name: str
    folder: Path
    door: Proxy
    arrivals: Arrivals = field(default_factory=Arrivals)
    process: subprocess.Popen[bytes] | None = None
    recoveries_s: list[float] = field(default_factory=list)

    def start(self) -> None:
        """Run its program."""
        if self.name == "steam":
            _write_config(self.folder, self.door.port)
            arguments = [str(_PROGRAMS / "ledgered.py"), str(self.folder)]
        else:
            variant, device = self.name.partition(".")[2], _NAMES[self.name]
            arguments = [str(_PROGRAMS / "umqtt_publisher.py"), variant, "127.0.0.1"]
            arguments += [str(self.door.port), device, str(self.folder), str(PERIOD_MS)]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [micropython.program(), "-X", f"heapsize={_HEAP}", *arguments],
                env=micropython.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def sampled(self) -> list[int]:
        """The numbers it made."""
        path = self.folder / "ledger"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [int(line.split()[1]) for line in lines if line]

    def heap(self) -> int | None:
        """Bytes of heap in use, as it told last."""
        if self.arrivals.heap is not None:
            return _HEAP_BYTES - self.arrivals.heap
        path = self.folder / "heap"
        return int(path.read_text()) if path.exists() else None

    def check(self) -> None:
        """SystemExit where it has died."""
        if self.process is not None and self.process.poll() is not None:
            raise SystemExit(f"{self.name} ended:\n{(self.folder / 'log').read_text()[-2000:]}")

    def close(self) -> None:
        """End it."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def _write_config(folder: Path, port: int) -> None:
    values = {
        "v": 1,
        "site": "mill",
        "device": "dev1",
        "mqtt": {"host": "127.0.0.1", "port": port, "keepalive_s": 8},
        "ntp": [],
        "sampling": {"period_ms": PERIOD_MS, "rows": 6, "publish_ms": 200},
        "diag_s": 10,
        "sensors": [{"kind": "ledgered"}],
    }
    (folder / "config.json").write_text(json.dumps(values))


class Listener:
    """Subscribes at the broker itself, past every proxy, and keeps what arrives by device."""

    def __init__(self, port: int, contenders: dict[str, Contender]) -> None:
        self._contenders = contenders
        # Its session stays: what arrives while the broker has just started is kept for it.
        self._client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(
            [(f"steam/v1/+/+/{kind}", 1) for kind in ("data", "hist", "diag")] + [("umqtt/+", 1)]
        )
        self._client.loop_start()

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()

    def _take(self, _: mqtt.Client, __: object, message: mqtt.MQTTMessage) -> None:
        if message.topic.startswith("umqtt/"):
            name = f"umqtt.{message.topic.partition('/')[2]}"
            arrivals = self._contenders[name].arrivals
            arrivals.numbers[int(message.payload)] += 1
        else:
            arrivals = self._contenders["steam"].arrivals
            data = json.loads(message.payload)
            if message.topic.endswith("/diag"):
                arrivals.heap = data["heap"]
                return
            identity = (data["b"], data["n"])
            known = arrivals.identities.setdefault(identity, message.payload)
            assert known == message.payload, f"{identity} came with two contents"
            # The processor takes an identity once: a row is its identity and its place.
            if known is message.payload:
                arrivals.numbers.update(int(row[1]) for row in data["r"])
        arrivals.at_s.append(time.monotonic())


# -- faults of all doors at once; each returns when it is over


def _cut(doors: list[Proxy], _: random.Random) -> None:
    for door in doors:
        door.cut()


def _reset(doors: list[Proxy], _: random.Random) -> None:
    for door in doors:
        door.reset()


def _half_open(doors: list[Proxy], dice: random.Random) -> None:
    for door in doors:
        door.half_open = True
    time.sleep(dice.uniform(3, 15))
    for door in doors:
        door.half_open = False


def _slow(doors: list[Proxy], dice: random.Random) -> None:
    for door in doors:
        door.delay_s = dice.uniform(0.2, 1.0)
    time.sleep(dice.uniform(3, 8))
    for door in doors:
        door.delay_s = 0.0


def _flapping(doors: list[Proxy], dice: random.Random) -> None:
    for _ in range(6):
        _reset(doors, dice)
        time.sleep(dice.uniform(0.05, 1.5))


Fault = Callable[[list[Proxy], random.Random], None]
_FAULTS: tuple[Fault, ...] = (_cut, _reset, _half_open, _slow, _flapping)


def run(contenders: list[Contender], broker: MosquittoServer, seconds: float, seed: int) -> int:
    """Do faults for so long; returns how many. Recoveries are noted with the contenders."""
    dice, doors, number = random.Random(seed), [each.door for each in contenders], 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        number += 1
        if number % 6 == 0:
            broker.stop()  # in order: what it acknowledged and lost itself is no device's fault
            time.sleep(dice.uniform(1, 10))
            broker.start()
        else:
            dice.choice(_FAULTS)(doors, dice)
        over_s = time.monotonic()
        time.sleep(dice.uniform(_QUIET_S, _QUIET_S + 8))
        for each in contenders:
            each.check()
            first = next((at_s for at_s in list(each.arrivals.at_s) if at_s > over_s), None)
            each.recoveries_s.append((first or time.monotonic()) - over_s)
    return number


def figures_of(each: Contender, sampled: set[int], seconds: float) -> dict[str, object]:
    """What became of the numbers that a contender had made some time ago."""
    arrived = each.arrivals.numbers
    recoveries = sorted(each.recoveries_s)
    last_s = max(each.arrivals.at_s, default=0.0)
    return {
        "sampled": len(sampled),
        "not_sampled": max(0, round(seconds * 1000 / PERIOD_MS) - len(sampled)),
        "lost": len(sampled - set(arrived)),
        "doubled": sum(1 for count in arrived.values() if count > 1),
        "hung": time.monotonic() - last_s > _QUIET_S,
        "recovery_p50_s": round(statistics.median(recoveries), 1),
        "recovery_p99_s": round(recoveries[max(0, round(0.99 * len(recoveries)) - 1)], 1),
        "heap_kb": None if each.heap() is None else round(each.heap() / 1000, 1),
    }


def main() -> None:
    """Run for so many minutes and print the table and the JSON line."""
    parser = argparse.ArgumentParser(prog="make soak-device", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(2), "big"))
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="steam-soak-")))
        broker = stack.enter_context(own_mosquitto(folder / "mosquitto", conf=_BROKER))
        contenders = {}
        for name in _DEVICES:
            (folder / name).mkdir()
            door = stack.enter_context(Proxy("127.0.0.1", broker.port))
            contenders[name] = Contender(name, folder / name, door)
            stack.callback(contenders[name].close)
        listener = Listener(broker.port, contenders)
        stack.callback(listener.close)
        begun_s = time.monotonic()
        for each in contenders.values():
            each.start()
        faults = run(list(contenders.values()), broker, asked.minutes * 60, asked.seed)
        lasted_s = time.monotonic() - begun_s
        sampled = {name: set(each.sampled()) for name, each in contenders.items()}
        time.sleep(_QUIET_S + 5)
        found = {
            name: figures_of(each, sampled[name], lasted_s) for name, each in contenders.items()
        }
    print(f"{'':14}" + "".join(f"{name:>16}" for name in found["steam"]))
    for name, row in found.items():
        print(f"{name:14}" + "".join(f"{value!s:>16}" for value in row.values()))
    figures = {"seed": asked.seed, "minutes": asked.minutes, "faults": faults, **found}
    met = all(found["steam"][name] == wanted for name, wanted in TARGETS.items())
    print(json.dumps({"bench": "soak-device", "figures": figures, "targets": TARGETS, "met": met}))


if __name__ == "__main__":
    main()
