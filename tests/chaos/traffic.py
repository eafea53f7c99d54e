"""Devices that publish at a steady rate, whatever happens, and write the ledger."""

import threading
import time
from typing import Self

from device.sim.link import Link, LinkConfig
from device.sim.session import Identity, MetricDescription, Session
from device.steamlink import codec
from tests.chaos.ledger import Ledger

SITE = "mill"
DEVICES = tuple(f"dev{number}" for number in range(1, 5))
METRICS = ("steam_pressure", "water_level")
LIMIT = 10.0
CYCLE = 40
"""Of so many messages the second half is above LIMIT: each cycle is one alarm, and its return."""

PLANT = (
    "sites: [{name: mill}]\nboilers:\n"
    + "".join(
        f"""\
  - name: b{device[3:]}
    site: mill
    alarms:
      - {{name: high_pressure, metric: steam_pressure, type: HI, setpoint: {LIMIT}, deadband: 0.5}}
"""
        for device in DEVICES
    )
    + "devices:\n"
    + "".join(f"  - {{name: {device}, site: mill, boiler: b{device[3:]}}}\n" for device in DEVICES)
)


class Traffic:
    """Each device sends `rate` messages a second; a context manager.

    What is not acknowledged is sent again after a reconnection, as steamlink does it.
    """

    def __init__(self, ledger: Ledger, links: dict[str, LinkConfig], *, rate: float = 20.0) -> None:
        self.ledger = ledger
        self._period_s = 1.0 / rate
        self._ending = threading.Event()
        self._links = {device: self._link(device, config) for device, config in links.items()}
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def __enter__(self) -> Self:
        for link in self._links.values():
            link.open()
        for link in self._links.values():
            assert link.wait_connected(30), "no MQTT connection within 30 s"
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        for link in self._links.values():
            link.close(0.1)

    def end(self) -> None:
        """Send nothing new; what was sent still goes out."""
        self._ending.set()
        self._thread.join()

    def drained(self) -> bool:
        """Whether everything sent is acknowledged."""
        return all(link.wait_acknowledged(0) for link in self._links.values())

    def _link(self, device: str, config: LinkConfig) -> Link:
        described = [
            MetricDescription(name=name, unit="", decimals=2, low=None, high=None)
            for name in METRICS
        ]
        identity = Identity(site=SITE, device=device, metrics=described)
        session = Session(identity, boot=1, offset_ms=0)
        return Link(config, session, on_acknowledged=self.ledger.acknowledge, seed=1)

    def _run(self) -> None:
        next_at = time.monotonic()
        while not self._ending.wait(max(0.0, next_at - time.monotonic())):
            next_at += self._period_s
            for device, link in self._links.items():
                self._send(device, link)

    def _send(self, device: str, link: Link) -> None:
        session = link.session
        with session.lock:
            session.seq += 1
            seq = session.seq
        pressure = LIMIT - 1 if (seq - 1) % CYCLE < CYCLE // 2 else LIMIT + 1
        payload = codec.encode_data(
            boot=1,
            seq=seq,
            up_ms=seq * 10,
            utc_ms=int(time.time() * 1000),
            clock=2,
            metrics=METRICS,
            rows=[[0, pressure + seq / 1e6, 50 + seq % 7]],
        )
        self.ledger.send(device, 1, seq, payload)
        link.publish("data", payload, boot=1, seq=seq)
