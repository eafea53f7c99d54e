"""The servers of a bench, and Steam's folder beside them."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.servers.influxdb import any_influxdb
from tests.servers.rabbitmq import any_rabbitmq
from tests.system.rig import ROOT, Rig

_SHIPPED = ROOT / "bridge" / "rabbitmq"


@contextmanager
def bench_rig(plant_text: str, extra: str = "") -> Iterator[Rig]:
    """A RabbitMQ and an InfluxDB, ready for a plant; `extra` are lines of steam.yaml."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(
            any_rabbitmq(
                folder / "rabbitmq",
                conf=_SHIPPED / "rabbitmq.conf",
                plugins=_SHIPPED / "enabled_plugins",
            )
        )
        influxdb = stack.enter_context(any_influxdb(folder / "influxdb"))
        (folder / "rig").mkdir()
        rig = Rig(folder / "rig", broker, influxdb, plant_text, extra)
        stack.callback(rig.close)
        rig.prepare()
        yield rig
