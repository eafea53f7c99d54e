"""Steam on one machine: broker, recorder, evaluator, notifier and dashboard in one process."""

import random
import socket
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from typing import Self, cast

import structlog

from bridge.accounts import OWN_NAMES, embedded_access
from bridge.clock import utc_now
from bridge.inner_accounts import ACCESS_FILE, PASSWORDS_FILE, inner_accounts
from bridge.live import COMMANDS_TOPIC
from bridge.topics import telemetry_filter
from panel_app.data.history import History
from panel_app.data.hub import LiveHub
from panel_app.data.live_mqtt import MqttLive
from panel_app.server import Dashboard
from processor.adapters.embedded_results import EmbeddedResults
from processor.adapters.embedded_troubles import EmbeddedTroubles
from processor.adapters.mqtt_live import MqttLiveOut
from processor.adapters.mqtt_source import MqttSource
from processor.adapters.prometheus import exposition
from processor.adapters.sqlite_quarantine import SqliteQuarantine
from processor.backoff import Backoff
from processor.counters import Counters, EvaluatorCounters, NotifierCounters, RecorderCounters
from processor.evaluate import Evaluator
from processor.health import Health, HealthServer
from processor.notifier.service import Notifier
from processor.notifier.sqlite_ledger import SqliteLedger
from processor.notifier.sqlite_outbox import SqliteOutbox
from processor.record import Recorder
from processor.rolling import Rolling
from processor.rollup import Touched
from processor.troubles import Telling, TroubleBook
from processor.writing import Writing
from steam.desk import QUARANTINE_FILE
from steam.held_folder import held
from steam.housekeeping import Prunable, pruning
from steam.inner_broker import GUARANTEE, InnerBroker
from steam.links import mqtt_address, own_password_file
from steam.loops import Loops, collect_rarely
from steam.notifying import notifier_of
from steam.plant_watch import PlantWatch
from steam.settings import Settings
from steam.stores import store_of
from store.port import Store

log = structlog.get_logger(__name__)

OUTBOX_FILE = "outbox.sqlite"
_ROLES = ("record", "evaluate")
_OUTSIDE_GUARANTEE = (
    "broker outside the process: what it acknowledged waits there while Steam is down, "
    "provided it keeps persistent sessions (bridge/mosquitto/mosquitto.conf does)"
)


class Embedded:
    """The whole of Steam in this process; a context manager.

    Started in the order in which data flows back from its end: store first, broker
    last, so that nothing arrives before there is a place for it.
    """

    def __init__(
        self, settings: Settings, *, store: Store | None = None, open_browser: bool = False
    ) -> None:
        self.settings = settings
        self.loops = Loops()
        self.counters = Counters(
            record=RecorderCounters(), evaluate=EvaluatorCounters(), notify=NotifierCounters()
        )
        self.store = store_of(settings) if store is None else store
        self.plant = PlantWatch(settings.plant_path)
        self.quarantine = SqliteQuarantine(settings.data_path / QUARANTINE_FILE)
        self.url = ""
        self._open_browser = open_browser
        self._health = Health()
        self._troubles = TroubleBook()
        self._told = EmbeddedTroubles()
        self._touched = Touched()
        self._rng = random.Random()
        self._stack = ExitStack()
        self._dismiss_devices: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        settings = self.settings
        collect_rarely()
        settings.data_path.mkdir(parents=True, exist_ok=True)
        stack.enter_context(held(settings.data_path))
        self.store.open()
        stack.callback(self.store.close)
        self.store.init(settings.retention)
        self.quarantine.open()
        stack.callback(self.quarantine.close)
        outbox = SqliteOutbox(settings.data_path / OUTBOX_FILE)
        outbox.open()
        stack.callback(outbox.close)
        notifier = self._notifier(outbox)
        self._start_broker(stack)
        self._start_health(stack)
        stack.callback(self.loops.join)
        stack.callback(self._dismiss_devices)
        self.loops.start("notify", notifier.run)
        self.loops.start("housekeeping", pruning([cast("Prunable", self.store), outbox], utc_now))
        self.loops.start("troubles", Telling(self._troubles, self._told, utc_now).run)
        self.loops.start("record", self._recorder().run)
        self.loops.start("roll-up", self._rolling().run)
        self.loops.start("evaluate", self._evaluator(outbox, notifier).run)
        self._start_dashboard(stack)

    def _start_broker(self, stack: ExitStack) -> None:
        mqtt = self.settings.mqtt
        if mqtt.broker == "outside":
            log.info(_OUTSIDE_GUARANTEE)
            return
        loopback = mqtt.host in ("127.0.0.1", "::1", "localhost")
        folder = None if loopback else self.settings.data_path
        own = own_password_file(self.settings)
        own.unlink(missing_ok=True)
        if folder is not None:
            files = inner_accounts(folder / PASSWORDS_FILE, folder / ACCESS_FILE)
            own.touch(mode=0o600)
            own.write_text(files.put(embedded_access()), encoding="ascii")
            stack.callback(own.unlink, missing_ok=True)
        broker = InnerBroker(mqtt.host, mqtt.port, folder, awaited=[_client_id(r) for r in _ROLES])
        stack.enter_context(broker)
        self._dismiss_devices = broker.dismiss_devices
        log.info(GUARANTEE)

    def _start_health(self, stack: ExitStack) -> None:
        where = self.settings.health
        if where.port is None:
            return
        server = HealthServer(
            where.host, where.port, self._health, lambda: exposition(self.counters)
        )
        stack.enter_context(server)

    def _start_dashboard(self, stack: ExitStack) -> None:
        panel = self.settings.panel
        hub = LiveHub()
        broker = mqtt_address(self.settings)
        feed = MqttLive(
            hub, broker.host, broker.port, username=broker.username, password=broker.password
        )
        history = History(self.store)
        stack.callback(history.close)
        dashboard = Dashboard(
            plant=self.plant,
            hub=hub,
            history=history,
            commands=feed,
            feed=feed,
            address=panel.host,
            port=panel.port,
            origins=panel.origins,
            language=panel.language,
            batch_zone=self.settings.time_zone,
            open_browser=self._open_browser,
        )
        dashboard.start()
        stack.callback(dashboard.stop)
        self.url = dashboard.url

    def _notifier(self, outbox: SqliteOutbox) -> Notifier:
        counters = self.counters.notify
        assert counters is not None  # noqa: S101 - made in __init__
        ledger = SqliteLedger(self.settings.data_path / OUTBOX_FILE)
        loop = self._health.loop("notify")
        return notifier_of(self.settings, self.plant, outbox, ledger, counters, loop)

    def _source(self, topic_filters: list[str], role: str) -> MqttSource:
        broker = mqtt_address(self.settings)
        return MqttSource(
            broker.host,
            broker.port,
            topic_filters,
            client_id=_client_id(role),
            username=broker.username,
            password=broker.password,
        )

    def _recorder(self) -> Recorder:
        counters = self.counters.record
        assert counters is not None  # noqa: S101 - made in __init__
        source = self._source([telemetry_filter()], "record")
        writing = Writing(
            self.store,
            self.quarantine,
            counters,
            utc_now,
            zone=self.settings.zone,
            recorder=socket.gethostname(),
            backoff=Backoff(0.2, 30, self._rng),
            troubles=self._troubles,
            touched=self._touched,
        )
        self._health.needs("MQTT broker (record)", lambda: source.fault)
        self._health.needs("store", lambda: writing.fault)
        return Recorder(
            source,
            writing,
            self.plant,
            counters,
            utc_now,
            rule=self.settings.flush,
            retention=self._retention(),
            loop=self._health.loop("record"),
            troubles=self._troubles,
        )

    def _rolling(self) -> Rolling:
        counters = self.counters.record
        assert counters is not None  # noqa: S101 - made in __init__
        return Rolling(
            self.store,
            self._touched,
            counters,
            utc_now,
            retention=self._retention(),
            backoff=Backoff(1, 60, self._rng),
        )

    def _evaluator(self, outbox: SqliteOutbox, notifier: Notifier) -> Evaluator:
        counters = self.counters.evaluate
        assert counters is not None  # noqa: S101 - made in __init__
        source = self._source([telemetry_filter(), COMMANDS_TOPIC], "evaluate")
        broker = mqtt_address(self.settings)
        live_out = MqttLiveOut(
            broker.host,
            broker.port,
            client_id="steam-live",
            username=broker.username,
            password=broker.password,
        )
        evaluator = Evaluator(
            source,
            EmbeddedResults(outbox, self.store, utc_now, notifier.heartbeat),
            live_out,
            self.plant,
            self.store,
            counters,
            utc_now,
            retention=self._retention(),
            backoff=Backoff(0.2, 10, self._rng),
            loop=self._health.loop("evaluate"),
            troubles=self._told.take,
        )
        self._health.needs("MQTT broker (evaluate)", lambda: source.fault)
        self._health.needs("results", lambda: evaluator.fault)
        return evaluator

    def _retention(self) -> timedelta | None:
        days = self.settings.retention.raw_days
        return None if days is None else timedelta(days=days)


def _client_id(role: str) -> str:
    return f"{OWN_NAMES}{role}"
