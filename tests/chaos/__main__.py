"""`make chaos`: every fault on real servers, a table, and an exit code that is not 0 if any failed."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.cases import CASES, Case
from tests.chaos.run import run_case
from tests.chaos.scene import Servers, Verdict
from tests.servers.influxdb import InfluxDB1Server, own_server
from tests.servers.rabbitmq import RabbitMQServer

_SHIPPED = Path(__file__).resolve().parents[2] / "bridge" / "rabbitmq"
_HEADINGS = (
    f"{'case':52} {'acked':>7} {'stored':>7} {'quarant':>7} {'lost':>5} {'dup':>4} "
    f"{'recov':>6} {'alarms':>6} {'s':>6}"
)


def main() -> int:
    """Run the cases that were asked for, all by default."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("only", nargs="*", help="names of cases, or parts of them")
    parser.add_argument("--short", action="store_true", help="only those of `make test`")
    parser.add_argument("--list", action="store_true", help="list the cases and end")
    asked = parser.parse_args()
    chosen = [
        case
        for case in CASES
        if (case.is_short or not asked.short)
        and (not asked.only or any(part in case.name for part in asked.only))
    ]
    if asked.list:
        for case in chosen:
            print(f"{case.name:52} {case.text}")
        return 0
    print(_HEADINGS, flush=True)
    figures: dict[str, dict[str, object]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="steam-chaos-") as name,
        servers_in(Path(name)) as servers,
    ):
        for case in chosen:
            figures[case.name] = _run(case, Path(name) / case.name, servers)
    met = all(each["passed"] for each in figures.values())
    print(json.dumps({"bench": "chaos", "figures": figures, "targets": {"lost": 0}, "met": met}))
    return 0 if met else 1


@contextmanager
def servers_in(folder: Path) -> Iterator[Servers]:
    """RabbitMQ and InfluxDB 1.8 of our own, which the cases may kill."""
    influxdb = own_server(folder / "influxdb")
    if not isinstance(influxdb, InfluxDB1Server):
        raise SystemExit("the chaos cases run on InfluxDB 1.8; unset STEAM_TEST_INFLUXDB")
    rabbitmq = RabbitMQServer(
        folder / "rabbitmq",
        conf=_SHIPPED / "rabbitmq.conf",
        plugins=_SHIPPED / "enabled_plugins",
    )
    with rabbitmq, influxdb:
        yield Servers(rabbitmq, influxdb)


def _run(case: Case, folder: Path, servers: Servers) -> dict[str, object]:
    begun = time.monotonic()
    try:
        verdict = run_case(case, folder, servers)
    except Exception as error:  # noqa: BLE001 - a case that cannot be run has failed; the others go on
        print(f"{case.name:52} failed: {error}", flush=True)
        return {"passed": False, "error": str(error)[:500]}
    _tell(case, verdict, time.monotonic() - begun)
    compared = verdict.comparison
    return {
        "passed": verdict.passed,
        "acknowledged": compared.acknowledged,
        "stored": compared.stored,
        "quarantined": compared.quarantined,
        "lost": len(compared.lost),
        "duplicated": len(compared.duplicated),
        "unexpected": len(compared.unexpected),
        "recovered": compared.recovered,
        "recovery_s": round(verdict.recovery_s, 1),
        "alarms": verdict.alarms,
        "faults": verdict.faults,
    }


def _tell(case: Case, verdict: Verdict, took_s: float) -> None:
    compared = verdict.comparison
    print(
        f"{case.name:52} {compared.acknowledged:7} {compared.stored:7} {compared.quarantined:7} "
        f"{len(compared.lost):5} {len(compared.duplicated):4} {verdict.recovery_s:5.1f}s "
        f"{verdict.alarms:6} {took_s:5.0f}s {'' if verdict.passed else 'FAILED'}",
        flush=True,
    )
    for fault in [*verdict.faults[:5], *(f"lost {each}" for each in compared.lost[:5])]:
        print(f"    {fault}", flush=True)
    for kind in ("different", "duplicated", "unexpected"):
        for each in getattr(compared, kind)[:3]:
            print(f"    {kind} {each}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
