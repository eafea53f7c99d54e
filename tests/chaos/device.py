"""Firmware, broker, processor and store together under random faults, with a ledger of every row.

`python -m tests.chaos.device --minutes 5`: the firmware runs on the MicroPython that boards
run, provisioned by `steam device add`, with a proxy before a real RabbitMQ. For half of the time
the broker and the connection fail: every row must come. Then the firmware is killed too, also in
the middle of an outage: of each kill at most the last COMMIT_S may be missing, and no older row
than the next boot declares. Rows are looked for in InfluxDB.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from tests.chaos.proxy import Proxy
from tests.chaos.scene import Servers
from tests.firmware import micropython
from tests.system.rig import Rig, wait_until

COMMIT_S = 5
"""How old a row may get before it is in flash (60 by default): short, so that much more is asked."""

PERIOD_MS = 200
PLANT = "sites: [{name: mill}]\nboilers: [{name: b1, site: mill}]\ndevices: []\n"
PROGRAM = micropython.ROOT / "tests" / "firmware" / "programs" / "ledgered.py"
_RESTART_CODE = 75
_NOTHING_COMES_S = 40.0


@dataclass(frozen=True, slots=True)
class Sampled:
    """One row of the ledger: the boot it was sampled in, its number, when (epoch ms)."""

    boot: int
    number: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of the rows: doubled, excused by a kill, lost without one, never sampled."""

    sampled: int
    stored: int
    doubled: list[int]
    excused: list[Sampled]
    lost: list[Sampled]
    strange: list[int]

    @property
    def is_clean(self) -> bool:
        """Nothing is doubled, lost or strange."""
        return not (self.doubled or self.lost or self.strange)


def compare(
    ledger: Iterable[Sampled], stored: Iterable[int], kills: Sequence[tuple[int, int]]
) -> Comparison:
    """Hold the ledger against the numbers stored; `kills` are (boot, at_ms) of SIGKILLs.

    A missing row is excused only if its own boot was killed within COMMIT_S after it.
    """
    rows = {row.number: row for row in ledger}
    counts = Counter(stored)
    missing = [row for number, row in rows.items() if number not in counts]
    excused = [
        row
        for row in missing
        if any(
            boot == row.boot and 0 <= at_ms - row.at_ms <= COMMIT_S * 1000 for boot, at_ms in kills
        )
    ]
    return Comparison(
        sampled=len(rows),
        stored=len(counts),
        doubled=sorted(number for number, count in counts.items() if count > 1),
        excused=excused,
        lost=[row for row in missing if row not in excused],
        strange=sorted(number for number in counts if number not in rows),
    )


def undeclared(
    excused: Iterable[Sampled],
    kills: Sequence[tuple[int, int]],
    lost_at_most_s: Mapping[int, float],
    seen_off: Collection[int],
) -> list[Sampled]:
    """The excused rows of which the device did not tell that they may be lost.

    `lost_at_most_s` is what each boot said at its start of the one before; `seen_off` are the
    boots of which a later birth said that nothing is left to come.
    """
    ended_ms = dict(reversed(kills))  # the first: later ones had no row
    return [
        row
        for row in excused
        if row.boot not in seen_off
        or ended_ms[row.boot] - row.at_ms > 1000 * lost_at_most_s.get(row.boot + 1, 0)
    ]


class Device:
    """The firmware as a process that is killed and started again; its data stays in `folder`."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder = folder
        self.kills: list[tuple[int, int]] = []
        self.restarts = 0
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def ledger(self) -> list[Sampled]:
        """Every row sampled so far."""
        path = self.folder / "ledger"
        if not path.exists():
            return []
        lines = path.read_text().split("\n")[:-1]
        return [Sampled(*map(int, line.split())) for line in lines if line]

    def log(self) -> str:
        """The last of what it printed."""
        return self._log.read_text()[-5000:] if self._log.exists() else ""

    def start(self) -> None:
        """Power on."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [micropython.program(), "-X", "heapsize=600k", str(PROGRAM), str(self.folder)],
                env=micropython.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """Cut the power."""
        process = self._running()
        process.send_signal(signal.SIGKILL)
        killed_ms = time.time_ns() // 1_000_000
        process.wait()
        ledger = self.ledger
        if ledger:
            self.kills.append((ledger[-1].boot, killed_ms))

    def look(self) -> None:
        """Start it again where it asked for a restart; AssertionError where it died."""
        code = self._running().poll()
        if code is None:
            return
        assert code == _RESTART_CODE, f"the firmware ended with {code}\n{self.log()}"
        self.restarts += 1
        self.start()

    def stop(self) -> None:
        """Ctrl-C; AssertionError where it does not end in order."""
        process = self._running()
        process.send_signal(signal.SIGINT)
        code = process.wait(20)
        assert code == 0, f"the firmware ended with {code}\n{self.log()}"

    def close(self) -> None:
        """End it if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process


class WholePath:
    """A plant of one boiler and one device on real servers; a context manager."""

    def __init__(self, folder: Path, servers: Servers, seed: int) -> None:
        self.folder = folder
        self.servers = servers
        self.faults: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            broker = self.servers.rabbitmq.address
            self.servers.influxdb.address.clear()
            self.proxy = stack.enter_context(Proxy("127.0.0.1", broker.mqtt_port))
            self.rig = Rig(
                self.folder,
                replace(broker, mqtt_port=self.proxy.port),
                self.servers.influxdb.address,
                PLANT,
            )
            stack.callback(self.rig.close)
            self.rig.prepare()
            self.device = self._provision()
            stack.callback(self.device.close)
            self.rig.spawn("processor")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _provision(self) -> Device:
        """`steam device add`, then the sensor that keeps the ledger instead of the kit's."""
        folder = self.folder / "board"
        folder.mkdir()
        config = folder / "config.json"
        self.rig.run(
            "device", "add", "mill", "dev1", "--boiler", "b1", "--board", "unix", "--out", config
        )
        values = json.loads(config.read_text())
        values["sensors"] = [{"kind": "ledgered"}]
        values["sampling"] = {"period_ms": PERIOD_MS, "rows": 6, "publish_ms": 600}
        values["store"] = {"commit_s": COMMIT_S, "spill_s": 2}
        values["mqtt"]["keepalive_s"] = 8
        values["ntp"] = []
        config.write_text(json.dumps(values))
        return Device(folder, self.folder / "firmware.log")

    # -- faults

    def run(self, seconds: float) -> Comparison:
        """Half of the time faults of broker and connection, then kills of the firmware too.

        Returns what became of the rows of the first half, for which nothing is excused.
        """
        outside = (self.kill_broker, self.cut, self.reset, self.half_open)
        self.device.start()
        self._until(self.numbers, "the first row stored")
        self._do(outside, seconds / 2)
        first = self._settled()
        inside = (self.kill_firmware, self.kill_both, self.kill_half_open)
        self._do((*outside, *inside), seconds / 2)
        return first

    def _do(self, faults: Sequence[Callable[[], None]], seconds: float) -> None:
        """Do random faults for so long, with quiet moments between; each at least once."""
        until = time.monotonic() + seconds
        todo: list[Callable[[], None]] = []
        done = 0
        while time.monotonic() < until or done < len(faults):
            if not todo:
                todo = list(faults)
                self._random.shuffle(todo)
            fault = todo.pop()
            done += 1
            self.faults[fault.__name__] += 1
            fault()
            self._let(self._random.uniform(1, 6))

    def kill_broker(self) -> None:
        """SIGKILL of RabbitMQ; it comes back after a while."""
        self.servers.rabbitmq.kill()
        self._let(self._random.uniform(0, 12))
        self.servers.rabbitmq.start()

    def kill_firmware(self) -> None:
        """SIGKILL of the firmware; power comes back."""
        self.device.look()
        self.device.kill()
        time.sleep(self._random.uniform(0.1, 2))
        self.device.start()

    def kill_both(self) -> None:
        """SIGKILL of the firmware in the middle of an outage of RabbitMQ: its store holds some of it."""
        self.servers.rabbitmq.kill()
        self._let(self._random.uniform(3, 10))
        self.kill_firmware()
        self._let(self._random.uniform(1, 6))
        self.servers.rabbitmq.start()

    def cut(self) -> None:
        """Every connection ends in order."""
        self.proxy.cut()

    def reset(self) -> None:
        """Every connection is reset."""
        self.proxy.reset()

    def half_open(self) -> None:
        """Nothing moves and nobody is told, then the connections are gone."""
        self.proxy.half_open = True
        self._let(self._random.uniform(2, 20))
        self.proxy.half_open = False

    def kill_half_open(self) -> None:
        """SIGKILL of the firmware while nothing moves and nobody is told."""
        self.proxy.half_open = True
        self._let(self._random.uniform(2, 12))
        self.kill_firmware()
        self._let(self._random.uniform(1, 6))
        self.proxy.half_open = False

    def _let(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.device.look()
            time.sleep(0.1)

    # -- the verdict

    def finish(self) -> Comparison:
        """Let it recover, stop and start the firmware in order, and compare."""
        self._settled()
        self.device.stop()
        self.device.start()  # what was kept at the stop is sent at the next start
        found = self._settled()
        self.device.stop()
        return found

    def _settled(self) -> Comparison:
        """Wait until what is sampled by now is stored; then compare it."""
        self._let(1)
        rows = self.device.ledger
        self._until(lambda: max(self.numbers(), default=0) >= rows[-1].number, "the newest row")
        self._drained(rows)
        later = [row for row in self.device.ledger if row.number > rows[-1].number]
        known = {row.number for row in later}
        stored = [number for number in self.numbers() if number not in known]
        return compare(rows, stored, self.device.kills)

    def _until(self, reached: Callable[[], object], what: str) -> None:
        """Wait up to two minutes; a failure tells what everybody said."""
        try:
            wait_until(reached, what, 120)
        except AssertionError as error:
            queues = {
                name: self.rig.queue_length(name) for name in ("steam.record", "steam.unrouted")
            }
            told = f"{error}\n{queues} connections accepted: {self.proxy.accepted}"
            raise AssertionError(f"{told}\n{self.device.log()}\n{self.rig.logs()}") from None

    def _drained(self, rows: Sequence[Sampled]) -> None:
        """Wait until the store has all but what kills may excuse, or none of `rows` comes any more."""
        wanted = {row.number for row in rows}
        still, since = -1, time.monotonic()
        while time.monotonic() - since < _NOTHING_COMES_S:
            self.device.look()
            numbers = self.numbers()
            come = len(wanted.intersection(numbers))
            if come != still:
                still, since = come, time.monotonic()
            if compare(rows, numbers, self.device.kills).lost == []:
                return
            time.sleep(0.3)

    def numbers(self) -> list[int]:
        """The value of every stored point, one for each point."""
        return [int(row[1]) for row in self._points('SELECT "fuel_flow" FROM "boiler"')]

    def said(self, kind: str) -> list[dict]:
        """What the device said of itself: birth, state, event, diag or ack."""
        points = self._points(f'SELECT "body" FROM "device_status" WHERE "kind"=\'{kind}\'')
        return [json.loads(row[1]) for row in points]

    def undeclared(self, comparison: Comparison) -> list[Sampled]:
        """The rows of `comparison` excused by a kill of which the next boot did not tell enough."""
        resets = [event for event in self.said("event") if event["ev"] == "reset"]
        told = {event["b"]: event["d"]["lost_at_most_s"] for event in resets}
        oldest = max((birth["oldest"][0] for birth in self.said("birth")), default=0)
        return undeclared(comparison.excused, self.device.kills, told, range(oldest))

    def _points(self, query: str) -> list[list]:
        try:
            answer = self.servers.influxdb.address._json(
                "/query", query={"db": "steam", "rp": "raw", "q": query}
            )
        except OSError:
            return []
        series = answer["results"][0].get("series", [])
        return [row for each in series for row in each["values"]]


def main() -> int:
    """Run it, print what was found, end with 1 if a row was lost or doubled."""
    from tests.chaos.__main__ import servers_in

    parser = argparse.ArgumentParser(prog="make chaos-device", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(2), "big"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="steam-device-") as name:
        (Path(name) / "rig").mkdir()
        with (
            servers_in(Path(name)) as servers,
            WholePath(Path(name) / "rig", servers, asked.seed) as path,
        ):
            first = path.run(asked.minutes * 60)
            found = path.finish()
            untold = path.undeclared(found)
    ended_ms = dict(reversed(path.device.kills))
    ages = [round((ended_ms[row.boot] - row.at_ms) / 1000, 1) for row in found.excused]
    figures = {
        "seed": asked.seed,
        "minutes": asked.minutes,
        "faults": dict(path.faults),
        "kills_of_firmware": len(path.device.kills),
        "sampled_before_any_kill": first.sampled,
        "missing_before_any_kill": first.sampled - first.stored,
        "sampled": found.sampled,
        "stored": found.stored,
        "doubled": len(found.doubled),
        "lost": len(found.lost),
        "excused_by_a_kill": len(found.excused),
        "oldest_excused_s": max(ages, default=0.0),
        "undeclared": len(untold),
        "strange": len(found.strange),
    }
    for row in [*first.lost, *found.lost][:10]:
        print(f"lost {row}")
    met = first.is_clean and found.is_clean and not untold
    targets = {"missing_before_any_kill": 0, "doubled": 0, "lost": 0, "undeclared": 0}
    print(json.dumps({"bench": "chaos-device", "figures": figures, "targets": targets, "met": met}))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
