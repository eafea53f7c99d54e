"""Fixtures that more than one folder of tests uses: real servers, the browser, shared recordings."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.servers.absence import go_without, missing, skip_aloud
from tests.servers.influxdb import InfluxDB, InfluxDBServer, any_influxdb, own_server
from tests.servers.mosquitto import MosquittoServer, own_mosquitto
from tests.servers.process import ServerUnavailable
from tests.servers.rabbitmq import INSTALL as RABBITMQ_INSTALL
from tests.servers.rabbitmq import PROGRAM, RabbitMQ, RabbitMQServer, any_rabbitmq

ROOT = Path(__file__).resolve().parents[1]
# A busy machine is no fault of what is tested.
settings.register_profile(
    "untimed",
    parent=settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("untimed")
_GROUPS = {"chaos": ("chaos",), "servers": ("broker", "influx"), "browser": ("browser",)}


def pytest_configure() -> None:
    """End in order on SIGTERM, so that a cancelled run leaves no server behind."""

    def end(*_: object) -> None:
        pytest.exit("ended by SIGTERM", returncode=128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    # A shell's background job ignores SIGINT, and so would every process that a test interrupts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what shares a server or a browser in one process, where the run has several."""
    for item in items:
        if item.get_closest_marker("xdist_group"):
            continue  # it has servers of its own
        for group, needs in _GROUPS.items():
            if any(item.get_closest_marker(name) for name in needs):
                item.add_marker(pytest.mark.xdist_group(group))
                break


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once more, at the end, what this run went without."""
    for text in missing(terminalreporter.stats.get("skipped", [])):
        terminalreporter.write_line(f"NOT TESTED: {text}", yellow=True, bold=True)


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """A RabbitMQ for the whole run, with the files of bridge/rabbitmq; `rabbitmq_vhost` is an empty corner of it."""
    with ExitStack() as stack:
        try:
            broker = stack.enter_context(
                any_rabbitmq(
                    tmp_path_factory.mktemp("rabbitmq"),
                    conf=_shipped("rabbitmq.conf"),
                    plugins=_shipped("enabled_plugins"),
                )
            )
        except ServerUnavailable as unavailable:
            go_without(str(unavailable))
        yield broker


@pytest.fixture
def rabbitmq_vhost(rabbitmq: RabbitMQ) -> Iterator[RabbitMQ]:
    """An empty virtual host on the run's RabbitMQ, deleted after the test."""
    with rabbitmq.fresh_vhost() as broker:
        yield broker


@pytest.fixture
def rabbitmq_server(tmp_path: Path) -> Iterator[RabbitMQServer]:
    """A RabbitMQ of the test's own, started, that it may stop, kill and start again."""
    if not PROGRAM.exists():
        go_without(
            f"a RabbitMQ that a test may kill must be a program of this machine: {RABBITMQ_INSTALL}"
        )
    with RabbitMQServer(
        tmp_path / "rabbitmq", conf=_shipped("rabbitmq.conf"), plugins=_shipped("enabled_plugins")
    ) as server:
        yield server


@pytest.fixture(scope="session")
def influxdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDB]:
    """An InfluxDB for the whole run: 1.8, or 2.7 with STEAM_TEST_INFLUXDB=2."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(any_influxdb(tmp_path_factory.mktemp("influxdb")))
        except ServerUnavailable as unavailable:
            go_without(str(unavailable))
        yield server


@pytest.fixture
def influxdb_empty(influxdb: InfluxDB) -> InfluxDB:
    """The run's InfluxDB without any database or bucket."""
    influxdb.clear()
    return influxdb


@pytest.fixture
def influxdb_server(tmp_path: Path) -> Iterator[InfluxDBServer]:
    """An InfluxDB of the test's own, started, that it may stop, kill and start again."""
    try:
        server = own_server(tmp_path / "influxdb")
    except ServerUnavailable as unavailable:
        go_without(str(unavailable))
    with server:
        yield server


@pytest.fixture(scope="session")
def new_mosquitto(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], MosquittoServer]]:
    """A function that starts a mosquitto with the given configuration; all end with the run."""
    with ExitStack() as stack:

        def start(conf: str) -> MosquittoServer:
            try:
                server = own_mosquitto(tmp_path_factory.mktemp("mosquitto"), conf=conf)
            except ServerUnavailable as unavailable:
                go_without(str(unavailable))
            return stack.enter_context(server)

        yield start


@pytest.fixture(scope="session")
def mosquitto(new_mosquitto: Callable[[str], MosquittoServer]) -> MosquittoServer:
    """A mosquitto for the whole run that takes anonymous clients."""
    return new_mosquitto("allow_anonymous true\n")


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The path of a Chromium for Playwright: STEAM_TEST_CHROMIUM, or the machine's."""
    named = os.environ.get("STEAM_TEST_CHROMIUM")
    found = named or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if found is None or not os.access(found, os.X_OK):
        go_without(
            "no Chromium for the browser tests: install it (Debian: apt-get install chromium fonts-dejavu-core)"
        )
    return Path(found)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the repository, with recordings of real plants."""
    folder = ROOT.parent / "shared"
    if not (folder / "data").is_dir():
        text = f"no recordings: {folder} is not there (it lies beside a checkout of the project, not in it)"
        skip_aloud(text)
    return folder


def _shipped(name: str) -> Path | None:
    path = ROOT / "bridge" / "rabbitmq" / name
    return path if path.exists() else None
