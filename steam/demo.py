"""`steam demo`: everything on this machine, with simulated boilers and a scripted fault."""

import shutil
import socket
import tempfile
import threading
import time
from importlib.resources import files
from pathlib import Path
from typing import cast

import msgspec

from device.sim.device import DeviceConfig
from device.sim.faults import parse_faults
from device.sim.fleet import Fleet, FleetConfig
from device.sim.link import LinkConfig
from device.sim.outbox import Counts
from processor.notifier.routes import NotificationSettings, Route
from steam.embedded import Embedded
from steam.ledger import ALL_TIME_US, Ledger, LedgerStore
from steam.receipts import Receipts
from steam.settings import Mqtt, Panel, Settings
from steam.stores import store_of
from store.port import Store

FAULTS = (
    "esp32-1/low_water@8+45:per_s=1.2, esp32-2/sensor_open@150+60:metric=oxygen, "
    "esp32-3/flame_failure@240+30, esp32-1/low_water@420+60"
)
_DASHBOARD_PORT = 5006
_SETTLE_WITHIN_S = 20.0


class DemoFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What became of every message of the demo; stored + duplicate + quarantined = acknowledged."""

    published: int
    acknowledged: int
    stored: int
    duplicate: int
    quarantined: int
    held: int
    dead: int
    lost: int
    alarms_raised: int
    notifications_sent: int
    p95_publish_to_stored_ms: float | None

    @property
    def good(self) -> bool:
        """Whether nothing was lost, held or given up."""
        accounted = self.stored + self.duplicate + self.quarantined
        return accounted == self.acknowledged and not (self.held or self.dead or self.lost)


class Demo:
    """The demo's plant, its simulated devices and the whole of Steam around them."""

    def __init__(self, *, open_browser: bool, port: int | None = None, seed: int = 1) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="steam-demo-"))
        plant = files("steam").joinpath("demo_plant.yaml").read_text(encoding="utf-8")
        (self._folder / "plant.yaml").write_text(plant, encoding="utf-8")
        self.ending = threading.Event()
        self._ledger = Ledger()
        self._receipts = Receipts()
        settings = Settings(
            folder=str(self._folder),
            mqtt=Mqtt(port=_free_port()),
            panel=Panel(port=_port(port)),
            notifications=NotificationSettings(
                routes=[Route(name="local", targets=[self._receipts.url])]
            ),
        )
        store = cast("Store", LedgerStore(store_of(settings), self._ledger))
        self.steam = Embedded(settings, store=store, open_browser=open_browser)
        self._fleet = Fleet(
            FleetConfig(
                devices=tuple(
                    DeviceConfig(site=device.site, device=device.name)
                    for device in self.steam.plant().file.devices
                ),
                link=LinkConfig(host=settings.mqtt.host, port=settings.mqtt.port),
                seed=seed,
                faults=parse_faults(FAULTS),
            ),
            on_acknowledged=self._ledger.acknowledged,
        )

    def run(self, for_s: float | None) -> DemoFigures:
        """Run for so many seconds, or until told to stop; the folder goes at the end."""
        try:
            with self._receipts, self.steam:
                self._fleet.start()
                self.steam.loops.wait_for(self.ending, for_s)
                counts = self._fleet.stop()
                self._settle(counts)
                return self._figures(counts)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _settle(self, counts: Counts) -> None:
        """Wait until everything acknowledged has come out at the other end."""
        deadline = time.monotonic() + _SETTLE_WITHIN_S
        while time.monotonic() < deadline and not self._settled(counts):
            time.sleep(0.1)

    def _settled(self, counts: Counts) -> bool:
        record, evaluate = self.steam.counters.record, self.steam.counters.evaluate
        notify = self.steam.counters.notify
        assert record is not None  # noqa: S101 - the embedded deployment has every role
        assert evaluate is not None  # noqa: S101
        assert notify is not None  # noqa: S101
        flows = (record.flow.snapshot(), evaluate.flow.snapshot())
        arrived = all(
            flow.received >= counts.total_acknowledged and not flow.in_flight for flow in flows
        )
        waiting = sum(target.waiting for target in notify.targets.values())
        return arrived and notify.transitions >= evaluate.transitions and not waiting

    def _figures(self, counts: Counts) -> DemoFigures:
        record, evaluate = self.steam.counters.record, self.steam.counters.evaluate
        notify = self.steam.counters.notify
        assert record is not None  # noqa: S101 - the embedded deployment has every role
        assert evaluate is not None  # noqa: S101
        assert notify is not None  # noqa: S101
        recorded = record.flow.snapshot()
        duplicate = evaluate.flow.snapshot().outcomes["duplicate"]
        events = self.steam.store.alarm_events(*ALL_TIME_US)
        return DemoFigures(
            published=counts.total_published,
            acknowledged=counts.total_acknowledged,
            stored=recorded.outcomes["stored"] - duplicate,
            duplicate=duplicate,
            quarantined=sum(recorded.quarantined.values()),
            held=recorded.in_flight,
            dead=record.over_quota + sum(t.given_up for t in notify.targets.values()),
            lost=len(self._ledger.missing(self.steam.store, self.steam.plant())),
            alarms_raised=sum(1 for event in events if event.state.value == "UNACK"),
            notifications_sent=len(self._receipts.bodies),
            p95_publish_to_stored_ms=self._ledger.publish_to_stored_p95_ms(),
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _port(asked: int | None) -> int:
    """The asked port, else the dashboard's usual one, else a free one."""
    if asked is not None:
        return asked
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", _DASHBOARD_PORT))
        except OSError:
            return _free_port()
    return _DASHBOARD_PORT
