"""Wire messages for tests, made by the device side's own codec."""

from pathlib import Path

from bridge.clock import to_us
from bridge.plant import parse_plant
from device.steamlink import codec
from tests.fakes import START

PLANT = parse_plant(
    """\
sites:
  - name: mill
boilers:
  - name: b1
    site: mill
    alarms:
      - {name: high_pressure, metric: steam_pressure, type: HI, setpoint: 10, deadband: 0.5}
      - {name: low_water, metric: water_level, type: LO, setpoint: 30, on_delay_s: 2}
  - name: b2
    site: mill
devices:
  - {name: dev1, site: mill, boiler: b1}
  - {name: dev2, site: mill, boiler: b2}
""",
    Path("plant.yaml"),
)
START_MS = to_us(START) // 1000
DATA_KEY = "steam.v1.mill.dev1.data"


def data(seq=1, *, at_ms=START_MS, pressure=8.0, level=50.0, boot=1, **more):
    """A data message of one row of two metrics."""
    return codec.encode_data(
        boot=boot,
        seq=seq,
        up_ms=seq * 1000,
        utc_ms=at_ms,
        clock=2,
        metrics=more.pop("metrics", ("steam_pressure", "water_level")),
        rows=more.pop("rows", [[0, pressure, level]]),
        **more,
    )
