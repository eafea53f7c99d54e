"""The servers that the cases may kill, started once for all of them."""

import pytest

from tests.chaos.scene import Servers
from tests.servers.absence import go_without
from tests.servers.influxdb import InfluxDB1Server, own_server
from tests.servers.process import ServerUnavailable
from tests.servers.rabbitmq import INSTALL, PROGRAM, RabbitMQServer


@pytest.fixture(scope="package")
def servers(tmp_path_factory, request):
    shipped = request.config.rootpath / "bridge" / "rabbitmq"
    if not PROGRAM.exists():
        go_without(f"a RabbitMQ that a test may kill must be a program of this machine: {INSTALL}")
    try:
        influxdb = own_server(tmp_path_factory.mktemp("influxdb"))
    except ServerUnavailable as unavailable:
        go_without(str(unavailable))
    if not isinstance(influxdb, InfluxDB1Server):
        pytest.skip("the faults are done to InfluxDB 1.8")
    rabbitmq = RabbitMQServer(
        tmp_path_factory.mktemp("rabbitmq"),
        conf=shipped / "rabbitmq.conf",
        plugins=shipped / "enabled_plugins",
    )
    with rabbitmq, influxdb:
        yield Servers(rabbitmq, influxdb)
